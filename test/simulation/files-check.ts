// What the journal's files must be, whoever wrote them: named by their first position, followed by
// another when they are full and not before, and zeros behind the last block.
//
// The twist: of a file that is not full yet nothing more is known, so only others are judged.

import type { Layer } from "./false-image.js";
import type { FalseJournal } from "./false-journal.js";
import { Broken } from "./trace.js";

/** Throws when a file is not where its blocks are due. */
export function checkFiles(journal: FalseJournal, fileSizeMax: number): void {
  const names = journal.names();
  names.forEach((name, i) => {
    const { visible } = journal.images.get(name)!;
    const first = visible.blocks[0]?.first;
    const named = first === undefined || name === `${String(first).padStart(16, "0")}.blocks`;
    if (!named) throw new Broken(`a file is named by its first position: ${name}`, "block");
    const last = visible.blocks.at(-1);
    const begunInTime = last === undefined || last.offset < fileSizeMax;
    if (!begunInTime) throw new Broken("a block begins in a file that is full", "block");
    const followed = i < names.length - 1;
    if (followed && visible.end < fileSizeMax) {
      throw new Broken("a file is followed before it is full", "block");
    }
  });
}

/** Throws when something stands behind the blocks of a file. */
export function checkEnd(visible: Layer): void {
  if (!visible.endsInZeros) throw new Broken("zeros stand behind the last block", "block");
}
