// The thread beside an import: reads and checks rows and makes their commands, while the import
// hands over those that came before. It is a few blocks ahead and no more.
//
// Invariant: the vault's keys are zeroed when it ends, however it ends.

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../protocol/assert.js";
import { KeyVault, type VaultKeys } from "../vault.js";
import { BrokenFileError } from "./blocks.js";
import { type ReadBlock, type ReadOrder, readRows } from "./read-rows.js";

/** What it is started with. */
export interface ReadWorkerData {
  order: ReadOrder;
  vaultKeys: VaultKeys;
  kek: Uint8Array | null;
}

/** What it says. */
export type ReadMessage =
  | { block: ReadBlock }
  | { ended: true }
  | { fault: string; broken: boolean };

/** What it is told: a block has been taken (true), or no more are wanted. */
export type ReadWanted = boolean;

/** Blocks of 256 KB that may wait to be taken. */
const BLOCKS_AHEAD = 4;

const { order, vaultKeys, kek } = workerData as ReadWorkerData;
const parent = parentPort;
assert(parent !== null, "rows are read beside in a worker");
const vault = new KeyVault(vaultKeys);
let waiting = 0;
let stopped = false;
let wake = () => {};
parent.on("message", (wanted: ReadWanted) => {
  if (wanted) waiting--;
  else stopped = true;
  wake();
});

try {
  for await (const block of readRows(order, { vault, kek })) {
    waiting++;
    tell({ block }, buffersOf(block));
    while (waiting >= BLOCKS_AHEAD && !stopped) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (stopped) break;
  }
  tell({ ended: true });
} catch (error) {
  const fault = error instanceof Error ? error.message : "unknown error";
  tell({ fault, broken: error instanceof BrokenFileError });
} finally {
  vault.close();
  kek?.fill(0);
  parent.close();
}

function tell(message: ReadMessage, transfer: ArrayBuffer[] = []): void {
  parent!.postMessage(message, transfer);
}

/** Buffers of a block that are its own; others, which small ones share, are copied. */
function buffersOf({ batches }: ReadBlock): ArrayBuffer[] {
  return batches
    .flatMap(({ batch, lines }) => [batch.bytes, lines])
    .filter(({ buffer, byteLength }) => buffer.byteLength === byteLength)
    .map(({ buffer }) => buffer as ArrayBuffer);
}
