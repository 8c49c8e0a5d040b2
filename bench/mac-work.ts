// MACs to be checked: batches of frames of one use from many sessions, as the core has them, with
// the keys of real sessions. Frames of a session stand in runs, as they come from a connection.

import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { Batch } from "../src/batch.js";
import { FrameSlot } from "../src/frame-slot.js";
import { JOB_GOOD, type MacWorkerData } from "../src/mac-jobs.js";
import { type KeyPair, SessionKeys } from "../src/session-keys.js";
import { EngineWorld } from "./engine-world.js";
import { useFrameSize } from "./frames.js";

const SESSIONS = 64;
const CARDS = 1000;
export const MAC_FRAME_SIZE = useFrameSize(1);

export class MacWork {
  readonly keys: SessionKeys;
  readonly batches: readonly Batch[];
  private readonly pairs: KeyPair[] = [];

  private constructor(
    world: EngineWorld,
    batchCount: number,
    private readonly framesMax: number,
  ) {
    this.keys = new SessionKeys(world.engine.state, world.vault, SESSIONS);
    this.batches = Array.from({ length: batchCount }, (_, i) => {
      return new Batch(i, framesMax * MAC_FRAME_SIZE + 8, framesMax, true);
    });
  }

  /** Makes `batchCount` batches of up to `framesMax` frames. */
  static async make(batchCount: number, framesMax: number): Promise<MacWork> {
    const world = await EngineWorld.make(CARDS, CARDS);
    const work = new MacWork(world, batchCount, framesMax);
    for (let i = 0; i < SESSIONS; i++) {
      if (i > 0) world.nextTerminal();
      work.pairs.push(work.keys.get(world.senderRow, world.sessionBase, 1)!);
    }
    return work;
  }

  /** What the threads of a pool over these batches are made with. */
  get data(): MacWorkerData {
    return {
      arenas: this.batches.map((batch) => batch.arena.shared!),
      jobs: this.batches.map((batch) => batch.jobs.memory),
      keyTable: this.keys.table,
    };
  }

  /** Puts `count` frames into each batch, `runLength` of a session next to each other. */
  fill(count: number, runLength: number): void {
    for (const batch of this.batches) {
      batch.clear();
      for (let i = 0; i < count; i++) {
        const pair = this.pairs[Math.floor(i / runLength) % SESSIONS]!;
        const frame = signedFrame(batch, pair);
        batch.frames.push(frame);
        batch.jobs.put(i, frame.start, frame.size - FRAME_MAC_SIZE, pair);
      }
    }
  }

  /** Throws unless every MAC was found good, inline or, when `pooled`, by the threads. */
  check(pooled: boolean): void {
    for (const { frames, jobs } of this.batches) {
      const good = frames.every((frame, i) => {
        const done = !pooled || jobs.results[i] === JOB_GOOD;
        return done && frame.refusal === 0;
      });
      if (!good || frames.length > this.framesMax) throw new Error("a MAC does not hold");
    }
  }

  close(): void {
    this.keys.close();
  }
}

function signedFrame({ arena }: Batch, pair: KeyPair): FrameSlot {
  const frame = new FrameSlot();
  frame.start = arena.take(MAC_FRAME_SIZE);
  frame.size = MAC_FRAME_SIZE;
  frame.keys = pair;
  const end = frame.start + MAC_FRAME_SIZE - FRAME_MAC_SIZE;
  pair.request.sign(arena.bytes, frame.start, end, arena.bytes, end);
  return frame;
}
