// One of several processes that try to take the same data folders at the same moments.
// Arguments: the first moment (milliseconds since 1970) and the folders. Prints which it took.

import { DataLock } from "../src/data-lock.js";

const APART_MS = 15;
const [start, ...folders] = process.argv.slice(2);

for (const [i, folder] of folders.entries()) {
  const atMs = Number(start) + i * APART_MS;
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
