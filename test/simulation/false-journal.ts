// A false disk under the journal: files of bytes that outlive processes, and a process's handle on
// them. Stands in for src/journal-disk.ts: what is written becomes visible, then durable, each when
// the timeline says so. A kill leaves whole pages of a write or none, a power cut any mixture of
// sectors.
//
// The twist: bytes are taken when they are written and not when `write` is called: who lays the
// next block into the pages of one that is on its way is found out.

import type { JournalDisk } from "../../src/journal-disk.js";
import type { Chance } from "./chance.js";
import { type DiskFaults, durationUs } from "./false-disk.js";
import { FalseImage, type PlacedBlock } from "./false-image.js";
import type { Timeline } from "./timeline.js";

const SECTOR = 512;
const PAGE = 4096;

export interface FileBlock extends PlacedBlock {
  image: FalseImage;
}

/** What the journal's files hold. */
export class FalseJournal {
  readonly images = new Map<string, FalseImage>();
  /** No write succeeds until then. */
  fullUntilUs = 0;
  /** Told of whole blocks that have come to the disk, and by the flush of which file. */
  flushed: (blocks: readonly PlacedBlock[], image: FalseImage | null) => void = () => {};

  /** `roomSize` is how many bytes of zeros a file has behind what is written, made by others. */
  constructor(readonly roomSize = 0) {}

  names(): string[] {
    return [...this.images.keys()].sort();
  }

  /** The whole blocks that a read sees, in order, as far as they go in each file. */
  visibleBlocks(): FileBlock[] {
    return this.names().flatMap((name) => {
      const image = this.images.get(name)!;
      return image.visible.blocks.map((block) => ({ ...block, image }));
    });
  }

  /** How many whole blocks are on disk. */
  get durableCount(): number {
    return [...this.images.values()].reduce((sum, { durable }) => sum + durable.blocks.length, 0);
  }

  create(name: string, named: boolean): void {
    const image = new FalseImage(named);
    this.images.set(name, image);
    image.extend(this.roomSize);
  }

  write(name: string, offset: number, bytes: Uint8Array): void {
    const image = this.images.get(name)!;
    image.write(offset, bytes);
    if (this.roomSize > 0 && offset + bytes.length === image.visible.size) {
      image.extend(image.visible.size + this.roomSize);
    }
  }

  flush(name: string): void {
    const image = this.images.get(name)!;
    this.flushed(image.flush(), image);
  }

  forget(name: string, chance: Chance): void {
    this.flushed(this.images.get(name)!.forget(chance), null);
  }

  /** Whether anything was taken for written and is not. */
  evict(): boolean {
    return [...this.images.values()].map((image) => image.evict()).includes(true);
  }

  /** Power is cut. Returns whether what a file ends in now is no block. */
  cutPower(chance: Chance): boolean {
    let torn = false;
    for (const name of this.names()) {
      const image = this.images.get(name)!;
      this.flushed(image.cutPower(chance), null);
      torn ||= !image.visible.endsInZeros;
      if (!image.named && chance.hit(0.5)) this.images.delete(name);
      else image.named = true;
    }
    return torn;
  }
}

interface Write {
  name: string;
  offset: number;
  bytes: Uint8Array;
}

type Fault = "no" | "write" | "flush";

/** A process's handle on the files. */
export class FalseJournalDisk implements JournalDisk {
  private readonly underWay = new Set<Write>();

  constructor(
    private readonly journal: FalseJournal,
    private readonly timeline: Timeline,
    private readonly chance: Chance,
    private readonly faults: DiskFaults,
    private readonly alive: () => boolean,
    private readonly note: (text: string) => void,
  ) {}

  names(): string[] {
    return this.journal.names();
  }

  size(name: string): number {
    return this.journal.images.get(name)?.visible.size ?? -1;
  }

  read(name: string, offset: number, into: Uint8Array): number {
    const bytes = this.journal.images.get(name)?.visible.bytes ?? Buffer.alloc(0);
    const found = bytes.subarray(offset, offset + into.length);
    into.set(found);
    return found.length;
  }

  create(name: string): void {
    const { chance, journal } = this;
    if (journal.images.has(name)) throw new Error("the false disk has that file");
    if (this.fault() === "write") {
      this.note("a file is not made");
      // It may be there by now, and its name not on disk.
      if (chance.hit(0.5)) journal.create(name, false);
      throw new Error("no space left on the false disk");
    }
    journal.create(name, true);
  }

  write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const write = { name, offset, bytes };
    const fault = this.fault();
    this.underWay.add(write);
    return new Promise((resolve, reject) => {
      this.timeline.after(this.duration(20, 200), () => {
        if (!this.underWay.delete(write)) return;
        if (fault === "write") {
          this.writePart(write, SECTOR);
          this.note("a block is not written, or not whole");
          reject(new Error("no space left on the false disk"));
          return;
        }
        this.journal.write(name, offset, bytes);
        this.flushLater(name, fault).then(resolve, reject);
      });
    });
  }

  sync(name: string): Promise<void> {
    const fault = this.fault();
    return this.flushLater(name, fault === "flush" ? fault : "no");
  }

  close(): void {}

  /** The process is killed: of what it was writing, some may have been written. */
  kill(): void {
    for (const write of this.underWay) this.writePart(write, PAGE);
    this.underWay.clear();
  }

  private async flushLater(name: string, fault: Fault): Promise<void> {
    return new Promise((resolve, reject) => {
      this.timeline.after(this.duration(100, 900), () => {
        if (!this.alive()) return;
        if (fault === "no") {
          this.journal.flush(name);
          resolve();
          return;
        }
        this.note("a flush fails");
        if (this.chance.hit(0.7)) {
          this.note("a flush is not tried again");
          this.journal.forget(name, this.chance);
        }
        reject(new Error("the false disk did not flush"));
      });
    });
  }

  /** A part of it from its start on is written, in whole units; nothing, or all of it. */
  private writePart({ name, offset, bytes }: Write, unit: number): void {
    const size = unit * this.chance.below(Math.ceil(bytes.length / unit) + 1);
    if (size > 0) this.journal.write(name, offset, bytes.subarray(0, size));
  }

  private fault(): Fault {
    const { chance, faults } = this;
    if (this.timeline.nowUs < this.journal.fullUntilUs) return "write";
    if (chance.hit(faults.failWrite)) return "write";
    return chance.hit(faults.failFlush) ? "flush" : "no";
  }

  private duration(low: number, high: number): number {
    return durationUs(this.chance, this.faults, low, high);
  }
}
