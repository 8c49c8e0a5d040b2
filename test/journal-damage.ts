// Damage to the journal for tests: other bytes in the place of a block, in the middle of its file.
// The place is looked for while the journal is whole, for behind a damaged block none is found.

import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { blockSizeAt, firstPositionAt } from "../engine/block.js";
import { firstOfName } from "../src/block-file.js";

/** Where a block lies. */
export interface BlockPlace {
  path: string;
  offset: number;
  size: number;
}

/** The place of the block that begins at `position`, in a journal that is whole. */
export function blockPlace(folder: string, position: number): BlockPlace {
  const journal = join(folder, "journal");
  for (const name of readdirSync(journal).filter((name) => firstOfName(name) > 0)) {
    const path = join(journal, name);
    // A copy: a file of few bytes is read into memory that others share, at any offset.
    const bytes = Uint8Array.from(readFileSync(path));
    const words = new Int32Array(bytes.buffer);
    for (let offset = 0; ; ) {
      const size = blockSizeAt(words, offset / 4);
      if (size === 0) break;
      if (firstPositionAt(words, offset / 4) === position) return { path, offset, size };
      offset += size;
    }
  }
  throw new Error(`no block begins at position ${position}`);
}

/** Puts `bytes` in the place of a block: cut off at its size, or with zeros up to it. */
export function overwriteBlock({ path, offset, size }: BlockPlace, bytes: Uint8Array): void {
  const whole = new Uint8Array(size);
  whole.set(bytes.subarray(0, size));
  const fd = openSync(path, "r+");
  writeSync(fd, whole, 0, size, offset);
  closeSync(fd);
}
