// Mends the prebuilt library of lmdb, after it was installed: `npm run build` ends with it.
//
// When lmdb cannot write pages it makes a message of up to 125 characters in 100 bytes (mdb.c,
// mdb_page_flush: malloc(100), then sprintf). With fewer than three buffers in the write, one or
// two of its numbers are whatever the stack held, so the message is too long by chance; it spoils
// the heap, and the C library may end the process with SIGABRT before our fail stop can say why.
// So in 3.5.6, the newest, and back to 3.0.8; no option of lmdb avoids it.
//
// The mend is one byte: the text of the message ends after position and size, 64 characters at
// most. Linux only: libraries of macOS are signed, that of Windows does not make the message.
// What it did is told on stderr: stdout is for what was built (`npm run -s bench -- --json`).

import { chmodSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const KEPT = "Attempting to write page at position %u, size %u";
const TEXT = Buffer.from(`${KEPT}, blocks %u, buffer sizes %i %i %i\0`);

for (const folder of process.argv.length > 2 ? process.argv.slice(2) : installedFolders()) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.endsWith(".node") && mend(path)) process.stderr.write(`lmdb: ${name} mended\n`);
  }
}

/** Where lmdb takes its library from on this machine, in builds for each Node.js. */
function installedFolders(): string[] {
  if (process.platform !== "linux") return [];
  const ofLmdb = createRequire(createRequire(import.meta.url).resolve("lmdb"));
  const { path } = ofLmdb("node-gyp-build-optional-packages") as { path(lmdb: string): string };
  return [dirname(path(join(dirname(ofLmdb.resolve("lmdb")), "..")))];
}

/** Cuts the text short; returns whether there was something to cut. */
function mend(path: string): boolean {
  const bytes = readFileSync(path);
  const start = bytes.indexOf(TEXT);
  if (start < 0) return false;
  bytes[start + KEPT.length] = 0;
  // A file of its own, renamed: who has the library loaded keeps the one that was there.
  const mended = `${path}.mended`;
  writeFileSync(mended, bytes);
  chmodSync(mended, statSync(path).mode);
  renameSync(mended, path);
  return true;
}
