// A recording of all writes and syncs of the data files (made by preload.c), and the files as a
// power cut at any moment of it could have left them.
//
//   record   u32 kind, u32 file (1 journal, 2 tables), u64 offset, u64 length, then for writes
//            `length` bytes; of a sync, `offset` is its number
//
// What a sync covers is what was written before it began, and that only once it has ended. All
// else may be on the disk or not, whole or in part, sector by sector.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "../random.js";

const RECORD_SIZE = 24;
const KIND = { WRITE: 1, WRITE_SYNCED: 2, SYNC_BEGIN: 3, SYNC_END: 4, TRUNCATE: 5, OUTSIDE: 6 };
/** What a disk writes in one piece. */
const SECTOR_SIZES = [512, 4096];
export const DATA_FILES = [join("journal", "data.mdb"), join("tables", "data.mdb")];

interface Step {
  kind: number;
  /** 0 journal, 1 tables. */
  file: number;
  offset: number;
  length: number;
  bytes: Buffer;
  /** Size of the recording when this was on it. */
  end: number;
  /** Size of the recording from which on a write is on disk; Infinity never. */
  durableAt: number;
}

export class Recording {
  readonly steps: readonly Step[];
  /** The data files before the first step. */
  private readonly before: Buffer[];

  /** `folder` is the data folder as it was before. */
  constructor(recordFile: string, folder: string) {
    this.before = DATA_FILES.map((name) => readFileSync(join(folder, name)));
    this.steps = stepsOf(readFileSync(recordFile));
  }

  /** Whether nothing was written that the recording does not see. */
  get whole(): boolean {
    return !this.steps.some(({ kind }) => kind === KIND.OUTSIDE || kind === KIND.TRUNCATE);
  }

  /** Writes of the tables, of which a cut in the middle leaves a half-written checkpoint. */
  get tableWrites(): number {
    return this.steps.filter((step) => step.file === 1 && writes(step)).length;
  }

  /** The files with every write in them. */
  all(): Buffer[] {
    return this.files(this.steps.length, putWhole);
  }

  /**
   * The files after a power cut when `count` steps were done and the next was on its way. What was
   * not synced is kept or dropped by chance.
   */
  cut(count: number, random: Random): Buffer[] {
    const end = count === 0 ? 0 : this.steps[count - 1]!.end;
    const sectorSize = random.pick(SECTOR_SIZES);
    // From nothing kept, over every mixture, to everything kept.
    const keptOfEight = random.below(9);
    return this.files(count + 1, (image, step) => {
      if (step.durableAt <= end) {
        putWhole(image, step);
        return;
      }
      for (let at = 0; at < step.length; ) {
        const size = Math.min(sectorSize - ((step.offset + at) % sectorSize), step.length - at);
        if (random.below(8) < keptOfEight) image.put(step, at, size);
        at += size;
      }
    });
  }

  /** The files of a disk that ignores syncs, and has taken the first `count` steps only. */
  unsynced(count: number): Buffer[] {
    return this.files(count, putWhole);
  }

  private files(count: number, apply: (image: Image, step: Step) => void): Buffer[] {
    const images = this.before.map((bytes) => new Image(bytes));
    for (const step of this.steps.slice(0, count)) {
      if (writes(step)) apply(images[step.file]!, step);
    }
    return images.map((image) => image.bytes.subarray(0, image.size));
  }
}

/** A file that grows as it is written. */
class Image {
  bytes: Buffer;
  size: number;

  constructor(before: Buffer) {
    this.bytes = Buffer.from(before);
    this.size = before.length;
  }

  put(step: Step, from: number, length: number): void {
    const start = step.offset + from;
    const end = start + length;
    if (end > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(end * 2 - this.bytes.length)]);
    }
    step.bytes.copy(this.bytes, start, from, from + length);
    this.size = Math.max(this.size, end);
  }
}

function putWhole(image: Image, step: Step): void {
  image.put(step, 0, step.length);
}

function writes({ kind }: Step): boolean {
  return kind === KIND.WRITE || kind === KIND.WRITE_SYNCED;
}

function stepsOf(bytes: Buffer): Step[] {
  const steps: Step[] = [];
  const covered = new Map<number, Step[]>();
  let open: Step[] = [];
  for (let at = 0; at + RECORD_SIZE <= bytes.length; ) {
    const kind = bytes.readUInt32LE(at);
    const file = bytes.readUInt32LE(at + 4) - 1;
    const offset = Number(bytes.readBigUInt64LE(at + 8));
    const length = Number(bytes.readBigUInt64LE(at + 16));
    const content = kind <= KIND.WRITE_SYNCED ? length : 0;
    at += RECORD_SIZE + content;
    // The process was killed in the middle of its record.
    if (at > bytes.length) break;
    const body = bytes.subarray(at - content, at);
    const durableAt = kind === KIND.WRITE_SYNCED ? at : Number.POSITIVE_INFINITY;
    const step: Step = { kind, file, offset, length, bytes: body, end: at, durableAt };
    steps.push(step);
    if (kind === KIND.WRITE) open.push(step);
    if (kind === KIND.SYNC_BEGIN)
      covered.set(
        offset,
        open.filter((write) => write.file === file),
      );
    if (kind !== KIND.SYNC_END) continue;
    for (const write of covered.get(offset)!) write.durableAt = Math.min(write.durableAt, at);
    open = open.filter((write) => write.durableAt === Number.POSITIVE_INFINITY);
  }
  return steps;
}

/** Writes data files into a folder. */
export function putFiles(folder: string, files: readonly Buffer[]): void {
  for (const [i, name] of DATA_FILES.entries()) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, files[i]!);
  }
}
