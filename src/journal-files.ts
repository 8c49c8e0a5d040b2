// The journal as files on disk, read without a server: verification and display.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { BlockReader, blockProblem, chainProblem } from "../engine/block.js";
import { BLOCK_HASH_START } from "../engine/state.js";
import { JournalStore } from "./journal-store.js";

/** What verification found. */
export interface VerifyResult {
  blocks: number;
  /** Position of the last event verified. */
  position: number;
  /** First position of the block that is wrong, or null. */
  badPosition: number | null;
  /** What is wrong with it; "" nothing. */
  problem: string;
  /** Bytes behind the last block that are no block. */
  unfinishedSize: number;
}

export interface VerifyProgress {
  /** Positions, as of the journal when verification began. */
  positionsDone: number;
  positionsTotal: number;
}

/**
 * Checks every block: its own hash, the hash of the block before it, positions without a gap, time
 * that does not go back. Stops at the first block that is wrong. What was being written when the
 * server was killed or lost its power is no block yet, and was never answered.
 */
export async function verifyJournal(
  folder: string,
  onProgress: (progress: VerifyProgress) => void,
): Promise<VerifyResult> {
  const journal = openJournal(folder);
  const positionsTotal = journal.lastPosition;
  let blocks = 0;
  let position = 0;
  let timeMs = 0;
  let hash = BLOCK_HASH_START;
  try {
    for (const bytes of journal.from(1)) {
      const before = { position, timeMs, blockHash: hash };
      const problem = blockProblem(bytes) || chainProblem(bytes, before);
      if (problem !== "") {
        return { blocks, position, badPosition: position + 1, problem, unfinishedSize: 0 };
      }
      const block = new BlockReader(bytes);
      position = block.lastPosition;
      timeMs = block.timeMs;
      hash = block.hash;
      blocks++;
      if (blocks % 256 === 0) {
        onProgress({ positionsDone: Math.min(position, positionsTotal), positionsTotal });
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    onProgress({ positionsDone: positionsTotal, positionsTotal });
    const { unfinishedSize } = journal;
    return { blocks, position, badPosition: null, problem: "", unfinishedSize };
  } finally {
    await journal.close();
  }
}

/** Up to `count` blocks from the one that holds position `from` on. */
export async function readBlocks(
  folder: string,
  range: { from: number; count: number },
): Promise<BlockReader[]> {
  const journal = openJournal(folder);
  const blocks: BlockReader[] = [];
  try {
    for (const bytes of journal.from(range.from)) {
      if (blocks.length >= range.count) break;
      blocks.push(new BlockReader(Uint8Array.from(bytes)));
    }
    return blocks;
  } finally {
    await journal.close();
  }
}

function openJournal(folder: string): JournalStore {
  if (!existsSync(join(folder, "journal"))) {
    throw new Error(`${folder} holds no journal: name the data folder with --data`);
  }
  return new JournalStore(folder, { readOnly: true });
}
