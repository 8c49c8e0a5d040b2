// A recording of all writes and syncs of the data files (made by preload.c), and the files as a
// power cut at any moment of it could have left them. Files of the journal are made meanwhile.
//
//   record   u32 kind, u32 file (1 journal, 2 tables, 3 folder of the journal), u64 first position
//            of a file of the journal, u64 offset, u64 length, then for writes `length` bytes; of a
//            sync, `offset` is its number
//
// What a sync covers is what was written before it began, and that only once it has ended. All
// else may be on the disk or not, whole or in part, sector by sector. That a file is there is
// covered by a sync of its folder alone: before it the file may be gone with all that is in it.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileNameOf } from "../../src/block-file.js";
import type { Random } from "../random.js";

const RECORD_SIZE = 32;
const KIND = {
  WRITE: 1,
  WRITE_SYNCED: 2,
  SYNC_BEGIN: 3,
  SYNC_END: 4,
  TRUNCATE: 5,
  OUTSIDE: 6,
  CREATE: 7,
};
const FILE = { JOURNAL: 1, TABLES: 2 };
/** What a disk writes in one piece. */
const SECTOR_SIZES = [512, 4096];
const JOURNAL = "journal";
const TABLES = join("tables", "data.mdb");

/** The data files of a folder by their path in it. */
export type DataFiles = ReadonlyMap<string, Buffer>;

interface Step {
  kind: number;
  /** Path of the file, or of the folder of the journal. */
  path: string;
  offset: number;
  length: number;
  bytes: Buffer;
  /** Size of the recording when this was on it. */
  end: number;
  /** Size of the recording from which on this is on disk; Infinity never. */
  durableAt: number;
}

/** What of a recording is on a disk: whether a file was made, and a write, in whole or in part. */
interface Disk {
  has(step: Step): boolean;
  write(image: Image, step: Step): void;
}

const WHOLE: Disk = { has: () => true, write: (image, step) => image.put(step, 0, step.length) };

export class Recording {
  readonly steps: readonly Step[];
  /** How many steps there are before each that makes a file. */
  readonly creations: readonly number[];

  /** `before` are the data files before the first step. */
  constructor(
    recordFile: string,
    private readonly before: DataFiles,
  ) {
    this.steps = stepsOf(readFileSync(recordFile));
    this.creations = this.steps.flatMap(({ kind }, i) => (kind === KIND.CREATE ? [i] : []));
  }

  /** Whether nothing was written that the recording does not see. */
  get whole(): boolean {
    return !this.steps.some(({ kind }) => kind === KIND.OUTSIDE || kind === KIND.TRUNCATE);
  }

  /** The files with every write in them. */
  all(): DataFiles {
    return this.files(this.steps.length, WHOLE);
  }

  /**
   * The files after a power cut when `count` steps were done and the next was on its way. What was
   * not synced is kept or dropped by chance.
   */
  cut(count: number, random: Random): DataFiles {
    const end = count === 0 ? 0 : this.steps[count - 1]!.end;
    const sectorSize = random.pick(SECTOR_SIZES);
    // From nothing kept, over every mixture, to everything kept.
    const keptOfEight = random.below(9);
    const keeps = () => random.below(8) < keptOfEight;
    return this.files(count + 1, {
      has: ({ durableAt }) => durableAt <= end || keeps(),
      write: (image, step) => {
        if (step.durableAt <= end) {
          WHOLE.write(image, step);
          return;
        }
        for (let at = 0; at < step.length; ) {
          const size = Math.min(sectorSize - ((step.offset + at) % sectorSize), step.length - at);
          if (keeps()) image.put(step, at, size);
          at += size;
        }
      },
    });
  }

  /** The files of a disk that ignores syncs, and has taken the first `count` steps only. */
  unsynced(count: number): DataFiles {
    return this.files(count, WHOLE);
  }

  private files(count: number, disk: Disk): DataFiles {
    const images = new Map([...this.before].map(([path, bytes]) => [path, new Image(bytes)]));
    for (const step of this.steps.slice(0, count)) {
      if (step.kind === KIND.CREATE && disk.has(step)) {
        images.set(step.path, new Image(Buffer.alloc(0)));
      }
      const image = images.get(step.path);
      // None when its file is not there, whatever was written into it.
      if (writes(step) && image !== undefined) disk.write(image, step);
    }
    return new Map([...images].map(([path, { bytes, size }]) => [path, bytes.subarray(0, size)]));
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

function writes({ kind }: Step): boolean {
  return kind === KIND.WRITE || kind === KIND.WRITE_SYNCED;
}

function pathOf(file: number, first: number): string {
  if (file === FILE.TABLES) return TABLES;
  return file === FILE.JOURNAL ? join(JOURNAL, fileNameOf(first)) : JOURNAL;
}

function stepsOf(bytes: Buffer): Step[] {
  const steps: Step[] = [];
  const covered = new Map<number, Step[]>();
  let open: Step[] = [];
  for (let at = 0; at + RECORD_SIZE <= bytes.length; ) {
    const kind = bytes.readUInt32LE(at);
    const path = pathOf(bytes.readUInt32LE(at + 4), Number(bytes.readBigUInt64LE(at + 8)));
    const offset = Number(bytes.readBigUInt64LE(at + 16));
    const length = Number(bytes.readBigUInt64LE(at + 24));
    const content = kind <= KIND.WRITE_SYNCED ? length : 0;
    at += RECORD_SIZE + content;
    // The process was killed in the middle of its record.
    if (at > bytes.length) break;
    const body = bytes.subarray(at - content, at);
    const durableAt = kind === KIND.WRITE_SYNCED ? at : Number.POSITIVE_INFINITY;
    const step: Step = { kind, path, offset, length, bytes: body, end: at, durableAt };
    steps.push(step);
    if (kind === KIND.WRITE || kind === KIND.CREATE) open.push(step);
    if (kind === KIND.SYNC_BEGIN)
      covered.set(
        offset,
        open.filter((before) => isCovered(before, path)),
      );
    if (kind !== KIND.SYNC_END) continue;
    for (const before of covered.get(offset)!) before.durableAt = Math.min(before.durableAt, at);
    open = open.filter((before) => before.durableAt === Number.POSITIVE_INFINITY);
  }
  return steps;
}

/** Whether a sync of `path` puts a step on disk. */
function isCovered(step: Step, path: string): boolean {
  return path === (step.kind === KIND.CREATE ? JOURNAL : step.path);
}

/** The data files that are in a folder. */
export function readFiles(folder: string): DataFiles {
  const paths = [...readdirSync(join(folder, JOURNAL)).map((name) => join(JOURNAL, name)), TABLES];
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path))]));
}

/** Makes `files` the data files of a folder, and no others. */
export function putFiles(folder: string, files: DataFiles): void {
  rmSync(join(folder, JOURNAL), { recursive: true });
  mkdirSync(join(folder, JOURNAL), { mode: 0o700 });
  for (const [path, bytes] of files) writeFileSync(join(folder, path), bytes);
}
