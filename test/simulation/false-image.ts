// The bytes of one file of the false journal: what a read sees and what is on disk, by sectors, and
// the blocks that an eye of the auditor's own finds in both.
//
// The twist: after a flush that failed a kernel may take for written what is not. Such sectors are
// seen, no later flush writes them, and one day they are read from the disk as it is.

import type { Chance } from "./chance.js";
import { positionsOf, wholeBlockSize } from "./wire.js";

const SECTOR = 512;
const ZEROS = Buffer.alloc(1 << 16);

/** A block where it stands. */
export interface PlacedBlock {
  first: number;
  last: number;
  offset: number;
  /** A copy. */
  bytes: Uint8Array;
}

/** Bytes that grow, and the whole blocks one behind the other from their start. */
export class Layer {
  readonly blocks: PlacedBlock[] = [];
  private memory = Buffer.alloc(0);
  private length = 0;

  get size(): number {
    return this.length;
  }

  get bytes(): Buffer {
    return this.memory.subarray(0, this.length);
  }

  /** Where its blocks end. */
  get end(): number {
    const block = this.blocks.at(-1);
    return block === undefined ? 0 : block.offset + block.bytes.length;
  }

  /** Makes it as long as `size` with zeros, if it is shorter. */
  grow(size: number): void {
    if (size > this.memory.length) {
      const larger = Buffer.alloc(2 * size);
      larger.set(this.bytes);
      this.memory = larger;
    }
    this.length = Math.max(this.length, size);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.grow(offset + bytes.length);
    const stood = this.memory.subarray(offset, offset + bytes.length);
    if (stood.equals(bytes)) return;
    let same = 0;
    while (stood[same] === bytes[same]) same++;
    stood.set(bytes);
    while (this.end > offset + same) this.blocks.pop();
  }

  /** Becomes what `other` is. */
  copy(other: Layer): void {
    this.write(0, other.bytes);
    this.memory.fill(0, other.length, this.length);
    this.length = other.length;
    while (this.end > this.length) this.blocks.pop();
  }

  /** Walks on over whole blocks; returns those that were not known. */
  walk(): PlacedBlock[] {
    const count = this.blocks.length;
    for (;;) {
      const offset = this.end;
      const size = wholeBlockSize(this.bytes.subarray(offset));
      if (size === 0) return this.blocks.slice(count);
      const bytes = Uint8Array.from(this.bytes.subarray(offset, offset + size));
      this.blocks.push({ ...positionsOf(bytes), offset, bytes });
    }
  }

  /** Whether only zeros stand behind the blocks. */
  get endsInZeros(): boolean {
    for (let at = this.end; at < this.size; at += ZEROS.length) {
      const bytes = this.bytes.subarray(at, at + ZEROS.length);
      if (!bytes.equals(ZEROS.subarray(0, bytes.length))) return false;
    }
    return true;
  }
}

export class FalseImage {
  readonly visible = new Layer();
  readonly durable = new Layer();
  /** Sectors written and not flushed. */
  private readonly unflushed = new Set<number>();
  /** Sectors that are not on disk, and no flush will put there. */
  private readonly forgotten = new Set<number>();

  /** `named` is whether its name is on disk. */
  constructor(public named: boolean) {}

  write(offset: number, bytes: Uint8Array): void {
    this.visible.write(offset, bytes);
    const end = Math.ceil((offset + bytes.length) / SECTOR);
    for (let sector = Math.floor(offset / SECTOR); sector < end; sector++) {
      this.unflushed.add(sector);
      this.forgotten.delete(sector);
    }
    this.visible.walk();
  }

  /** Room: zeros at the end that are on disk, until the file has `size` bytes. */
  extend(size: number): void {
    this.visible.grow(size);
    this.durable.grow(size);
  }

  /** What was written and is not forgotten is on disk. Returns the blocks that have come there. */
  flush(): PlacedBlock[] {
    this.named = true;
    this.durable.grow(this.visible.size);
    this.keep([...this.unflushed]);
    this.unflushed.clear();
    return this.durable.walk();
  }

  /** A flush fails: some of it is on disk, and of the rest nothing is tried again. */
  forget(chance: Chance): PlacedBlock[] {
    this.durable.grow(this.visible.size);
    const kept = chosen([...this.unflushed], 1, chance);
    this.keep(kept);
    for (const sector of this.unflushed) this.forgotten.add(sector);
    for (const sector of kept) this.forgotten.delete(sector);
    this.unflushed.clear();
    return this.durable.walk();
  }

  /** The kernel needs the memory: what it takes for written is read from the disk again. */
  evict(): boolean {
    if (this.forgotten.size === 0) return false;
    for (const sector of this.forgotten) {
      const start = sector * SECTOR;
      this.visible.write(start, this.durable.bytes.subarray(start, start + SECTOR));
    }
    this.forgotten.clear();
    this.visible.walk();
    return true;
  }

  /** Power is cut: of the sectors that were not flushed some are kept. Returns as `flush`. */
  cutPower(chance: Chance): PlacedBlock[] {
    const atOnce = chance.pick([1, 8]);
    const kept = chosen([...this.unflushed], atOnce, chance);
    this.keep(kept);
    // Its length may have come to the disk before its bytes.
    if (chance.hit(0.5)) this.durable.grow(this.visible.size);
    const blocks = this.durable.walk();
    this.visible.copy(this.durable);
    this.visible.walk();
    this.unflushed.clear();
    this.forgotten.clear();
    return blocks;
  }

  /** Other bytes stand there, as if they had always. */
  replace(offset: number, bytes: Uint8Array): void {
    for (const layer of [this.visible, this.durable]) {
      layer.write(offset, bytes);
      layer.walk();
    }
  }

  private keep(sectors: readonly number[]): void {
    const { visible, durable } = this;
    for (const sector of sectors) {
      const start = sector * SECTOR;
      durable.write(start, visible.bytes.subarray(start, start + SECTOR));
    }
  }
}

/** Some of the sectors, `atOnce` together: from none over every mixture to all. */
function chosen(sectors: readonly number[], atOnce: number, chance: Chance): number[] {
  const rate = chance.pick([0, 1, chance.below(100) / 100, chance.below(100) / 100]);
  const kept = new Map<number, boolean>();
  return sectors.filter((sector) => {
    const unit = Math.floor(sector / atOnce);
    const known = kept.get(unit);
    const keep = known ?? chance.hit(rate);
    if (known === undefined) kept.set(unit, keep);
    return keep;
  });
}
