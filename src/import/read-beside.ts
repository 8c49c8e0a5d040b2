// Reads the rows of a file in a thread beside: checking rows and making commands costs as much as
// executing them. Whoever reads them, the blocks are the same.

import { Worker } from "node:worker_threads";
import type { KeyVault } from "../vault.js";
import { BrokenFileError } from "./blocks.js";
import type { ReadBlock, ReadOrder } from "./read-rows.js";
import type { ReadMessage, ReadWanted, ReadWorkerData } from "./read-worker.js";

/** The blocks of readRows. A caller that wants no more must leave the loop, or return it. */
export async function* readBeside(
  order: ReadOrder,
  vault: KeyVault,
  kek: Uint8Array | null,
): AsyncGenerator<ReadBlock> {
  const worker = start({ order, vaultKeys: vault.copyKeys(), kek });
  const said: ReadMessage[] = [];
  let wake = () => {};
  const hear = (message: ReadMessage) => {
    said.push(message);
    wake();
  };
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  worker.on("message", hear);
  worker.on("error", () => hear({ fault: "the thread that reads it has failed", broken: false }));
  void exited.then(() => hear({ fault: "the thread that reads it has ended", broken: false }));
  try {
    for (;;) {
      const message = said.shift();
      if (message === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if ("block" in message) {
        yield message.block;
        worker.postMessage(true satisfies ReadWanted);
      } else if ("fault" in message) {
        throw new (message.broken ? BrokenFileError : Error)(message.fault);
      } else return;
    }
  } finally {
    worker.postMessage(false satisfies ReadWanted);
    await exited;
  }
}

function start(data: ReadWorkerData): Worker {
  const worker = new Worker(new URL("./read-worker.js", import.meta.url), { workerData: data });
  // The worker has its own copy.
  data.vaultKeys.tokenizationKey.fill(0);
  data.vaultKeys.wrappingKey.fill(0);
  return worker;
}
