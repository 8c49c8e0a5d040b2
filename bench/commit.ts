// The limits of durability: commits of lmdb alone, one after the other, and what a use would wait
// for if there were nothing but the journal's commits.

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { BlockWriter } from "../engine/block.js";
import { COMMAND } from "../engine/commands.js";
import { BLOCK_HASH_START } from "../engine/state.js";
import { durable, openLmdb } from "../src/database.js";
import { JournalWriter } from "../src/journal-writer.js";
import { makeFolder, removeFolder } from "./folder.js";
import { Latencies } from "./latencies.js";

/** About what a block holds at half of capacity. */
export const COMMIT_SIZE = 8192;
/** Bytes in a block; with its headers about COMMIT_SIZE. */
const CONTENT_SIZE = 8000;
const FILE_SIZE = 32 * 1024 * 1024;
/** Uses come so far apart. */
const USE_MS = 0.02;

/** How long each of `count` durable commits of COMMIT_SIZE bytes takes. */
export async function commitLatencies(count: number): Promise<Latencies> {
  const folder = makeFolder();
  const store = openLmdb<number>(folder);
  const block = randomBytes(COMMIT_SIZE);
  const latencies = new Latencies();
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await durable(store.put(i + 1, block));
    latencies.recordMs(performance.now() - start);
  }
  await store.close();
  removeFolder(folder);
  return latencies;
}

/**
 * What uses that come at any time wait for at the least: the rest of the commit under way, which is
 * without them, and the next, for `count` blocks of COMMIT_SIZE bytes one after the other.
 */
export async function leastLatencies(count: number): Promise<Latencies> {
  const commits = await journalCommits(count);
  const latencies = new Latencies();
  for (let i = 0; i + 1 < commits.length; i++) {
    for (let restMs = commits[i]!; restMs > 0; restMs -= USE_MS) {
      latencies.recordMs(restMs + commits[i + 1]!);
    }
  }
  return latencies;
}

/** How long the journal's own thread takes for each block, milliseconds. */
async function journalCommits(count: number): Promise<number[]> {
  const folder = makeFolder();
  const limits = { blockSizeMax: COMMIT_SIZE, fileSizeMax: FILE_SIZE };
  const writer = await JournalWriter.open(folder, limits);
  const blocks = writer.memory.map((memory) => new BlockWriter(COMMIT_SIZE, memory));
  const content = randomBytes(CONTENT_SIZE);
  const commits: number[] = [];
  for (let position = 1; position <= count; position++) {
    const block = blocks[position % blocks.length]!;
    block.begin(position, Date.now(), 0, 0);
    block.beginEntry(COMMAND.LIST_ENTRY, 0, 0, 0);
    block.addBytes(content);
    block.endEntry();
    block.close(BLOCK_HASH_START);
    const start = performance.now();
    await writer.append(position, block.written);
    commits.push(performance.now() - start);
  }
  await writer.close();
  removeFolder(folder);
  return commits;
}
