// The two things that take turns in the core: a batch of frames (one is received while another is
// verified) and a block with the answers that wait for its commit (one is committed while the next
// one fills).

import { BlockWriter } from "../engine/block.js";
import { FRAME_HEADER_SIZE, FRAME_MAC_SIZE } from "../protocol/frame.js";
import { OUTCOME_RECORD_SIZE } from "../protocol/outcome-record.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import { Arena } from "./arena.js";
import type { BlockMemory } from "./block-sink.js";
import type { Config } from "./config.js";
import type { FrameSlot } from "./frame-slot.js";
import { MacJobs, newJobMemory } from "./mac-jobs.js";
import { poolThreads } from "./mac-pool.js";

/** Bytes of an arena besides the records: headers, MACs, alignment of each frame. */
const FRAME_OVERHEAD = FRAME_HEADER_SIZE + FRAME_MAC_SIZE + 8;
/** An arena keeps a word or two free behind what it is asked to hold. */
const ARENA_SPARE = 16;
/** Management responses are longer than use responses of one record. */
const MANAGEMENT_ROOM = 1 << 20;

/**
 * The two batches, numbers 0 and 1, each with room for all that may be in flight and two messages:
 * one that is being taken, of whose frames some are refused, and the next.
 */
export function newBatches({ limits, terminals, crypto }: Config): [Batch, Batch] {
  const { recordsInFlightMax } = limits;
  const recordsRoom = recordsInFlightMax * (USE_RECORD_SIZE + FRAME_OVERHEAD);
  const room = recordsRoom + 2 * terminals.frameSizeMax + ARENA_SPARE;
  const shared = poolThreads(crypto.workers) > 0;
  const batch = (n: number) => new Batch(n, room, recordsInFlightMax, shared);
  return [batch(0), batch(1)];
}

/** The two blocks, numbers 2 and 3, each with room for the answers to all of it. */
export function newBlocks(
  { limits, journal, crypto }: Config,
  memory?: BlockMemory,
): [PendingBlock, PendingBlock] {
  const { recordsInFlightMax } = limits;
  const room = recordsInFlightMax * (OUTCOME_RECORD_SIZE + FRAME_OVERHEAD) + MANAGEMENT_ROOM;
  const shared = poolThreads(crypto.workers) > 0;
  const block = (n: number, writer: BlockWriter) => {
    return new PendingBlock(n, writer, room, recordsInFlightMax, shared);
  };
  const size = journal.blockSizeMax;
  const [first, second] = memory ?? [new ArrayBuffer(size), new ArrayBuffer(size)];
  return [block(2, new BlockWriter(size, first)), block(3, new BlockWriter(size, second))];
}

/** Frames received together, and their MAC jobs. */
export class Batch {
  readonly arena: Arena;
  readonly frames: FrameSlot[] = [];
  readonly jobs: MacJobs;

  constructor(
    readonly number: number,
    arenaSize: number,
    framesMax: number,
    shared: boolean,
  ) {
    this.arena = new Arena(arenaSize, shared);
    this.jobs = new MacJobs(newJobMemory(framesMax));
  }

  clear(): void {
    this.frames.length = 0;
    this.arena.wipe(0);
  }
}

/** A block being filled or committed, and what waits for it. */
export class PendingBlock {
  readonly arena: Arena;
  readonly frames: FrameSlot[] = [];
  /** Called when the block is on disk. */
  readonly committed: (() => void)[] = [];
  readonly jobs: MacJobs;
  records = 0;
  lastPosition = 0;
  startedMs = 0;
  /** How long its commit took on the disk, and how much later the core learnt that it was done. */
  commitMs = 0;
  lateMs = 0;
  signed = false;
  durable = false;

  constructor(
    readonly number: number,
    readonly writer: BlockWriter,
    arenaSize: number,
    framesMax: number,
    shared: boolean,
  ) {
    this.arena = new Arena(arenaSize, shared);
    this.jobs = new MacJobs(newJobMemory(framesMax));
  }

  clear(): void {
    this.frames.length = 0;
    this.arena.clear();
    this.records = 0;
    this.signed = false;
    this.durable = false;
  }
}
