// One of several processes that try to take the same data folders at the same moments. Prints the
// folders that it took, and "done".

import { DataLock } from "../src/data-lock.js";

/** What the parent hands over as its one argument, in JSON. */
export interface RaceOptions {
  /** When the race for the first folder begins, milliseconds since 1970. */
  startMs: number;
  folders: string[];
}

const APART_MS = 15;
const { startMs, folders } = JSON.parse(process.argv[2]!) as RaceOptions;

for (const [i, folder] of folders.entries()) {
  const atMs = startMs + i * APART_MS;
  while (Date.now() < atMs);
  try {
    DataLock.take(folder).serve("http://127.0.0.1:1");
    process.stdout.write(`${folder}\n`);
  } catch (error) {
    if (!(error as Error).message.includes("is in use by process")) throw error;
  }
}
process.stdout.write("done\n");
// Holds its locks until the parent ends it.
process.stdin.resume();
