// Damage of a disk: a byte or a sector of a block that was on it is another, while no node lives.
//
// The invariant: a whole block follows, in that file or a later one. Without, it could not be told
// from a block that was never written whole.

import type { Chance } from "./chance.js";
import type { FalseJournal, FileBlock } from "./false-journal.js";

const HEADER_SIZE = 128;
const SECTOR = 512;
/** Blocks from the end on that are damaged most: a checkpoint does not have them yet. */
const NEAR = 6;

export interface Damage {
  block: FileBlock;
  /** What was done. */
  text: string;
  undo(): void;
}

/** Damages a block; returns null when there is none that another one follows, or it was no harm. */
export function damageIn(journal: FalseJournal, chance: Chance): Damage | null {
  const blocks = journal.visibleBlocks();
  const last = blocks.pop();
  if (last === undefined || blocks.length === 0) return null;
  const reach = chance.hit(0.8) ? Math.min(NEAR, blocks.length) : blocks.length;
  const block = blocks[blocks.length - 1 - chance.below(reach)]!;
  const { image } = block;
  const at = block.offset + chance.below(chance.hit(0.5) ? HEADER_SIZE : block.bytes.length);
  const bits = chance.between(1, 255);
  let start = at;
  let end = at + 1;
  if (chance.hit(0.3)) {
    start -= start % SECTOR;
    end = start + SECTOR;
    if (image === last.image) end = Math.min(end, last.offset);
  }
  const stood = Uint8Array.from(image.visible.bytes.subarray(start, end));
  const instead = end - start > 1 ? new Uint8Array(stood.length) : stood.map((byte) => byte ^ bits);
  image.replace(start, instead);
  const undo = () => image.replace(start, stood);
  const ends = block.offset + block.bytes.length;
  const damaged = `bytes ${start} to ${end - 1} are damaged`;
  const text = `${damaged}, of the block ${block.offset} to ${ends - 1}`;
  const same = image.visible.bytes.subarray(block.offset, ends).equals(block.bytes);
  if (!same) return { block, text, undo };
  undo();
  return null;
}
