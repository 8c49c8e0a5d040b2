// The limit of durability: commits of lmdb alone, one after the other.

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { durable, openLmdb } from "../src/database.js";
import { makeFolder, removeFolder } from "./folder.js";
import { Latencies } from "./latencies.js";

/** About what a block holds at half of capacity. */
export const COMMIT_SIZE = 8192;

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
