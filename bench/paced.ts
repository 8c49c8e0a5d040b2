// The open loop: frames leave when they are due, whatever has been answered, and a late answer
// counts from when its frame was due, not from when it could be sent (no coordinated omission).
//
// The twist: timers of Node are a millisecond apart, so the loop looks at the clock and at the
// sockets in turn and takes a core; and a thread of the kernel that ends a commit, woken there,
// waits for a tick of 4 ms. So a load may rest in between, for some 0.2 ms: frames leave late and
// answers are seen late by as much, and both are in what is measured. Shorter rests are none for
// the host of a virtual machine, which waits for their end with a core of ours, and where its disk
// takes from the same allowance, stops us for it (docs/ARCHITECTURE.md).

import { performance } from "node:perf_hooks";
import { FRAME_SEQUENCE_OFFSET } from "../protocol/frame.js";
import { Latencies } from "./latencies.js";
import type { LoadTerminal } from "./terminal.js";
import type { Messages } from "./window.js";

/** Frames of a terminal that are due one after the other; those due at once leave in one write. */
const RUN_LENGTH = 4;
/** A turn that took less than this is followed by a rest of as long and the kernel's 50 us. */
const REST_MS = 0.15;
const NOBODY = new Int32Array(new SharedArrayBuffer(4));
const ANSWER_SECONDS_MAX = 30;

export interface PacedLoad {
  terminals: readonly LoadTerminal[];
  /** Frames of each terminal, all as many, with sequences from 1. */
  messages: readonly Messages[];
  /** Frames a second over all terminals. */
  rate: number;
  /** Frames of a terminal that are due one after the other; RUN_LENGTH without it. */
  runLength?: number;
  /** From now to when the first frame is due. */
  delayMs?: number;
  /** Frames that are due before this are sent and answered, but not measured: 0 without it. */
  warmUpMs?: number;
  /** Frames a second until then; `rate` without it. */
  warmUpRate?: number;
  /** Whether it rests when there is little to do; for loads that have no core of their own. */
  rests?: boolean;
  /** Whether a frame may be refused with 91: more is offered than can be answered. */
  overload?: boolean;
}

export interface PacedFigures {
  /** From when a frame was due to its answer. */
  latencies: Latencies;
  /** From when a frame was due to its refusal with 91. */
  refusals: Latencies;
  /** From when a frame was due to when it was sent. */
  lags: Latencies;
  /** Frames taken, and frames refused with 91; those of the warm-up, too. */
  accepted: number;
  refused: number;
}

/** Sends all frames at their rate; resolves when the last is answered. */
export function runPaced(load: PacedLoad): Promise<PacedFigures> {
  return new Paced(load).run();
}

class Paced {
  private readonly latencies = new Latencies();
  private readonly refusals = new Latencies();
  private readonly lags = new Latencies();
  private readonly total: number;
  private readonly intervalMs: number;
  private readonly warmUpMs: number;
  private readonly warmUpIntervalMs: number;
  private readonly warmUpCount: number;
  /** Of each frame, whether it has been answered. */
  private readonly answered: Uint8Array[];
  private readonly runLength: number;
  private startMs = 0;
  /** When the last turn ended. */
  private turnEndMs = 0;
  private next = 0;
  private acceptedCount = 0;
  private refusedCount = 0;

  constructor(private readonly load: PacedLoad) {
    const { messages, rate, warmUpMs = 0, warmUpRate = rate } = load;
    this.total = messages.length * messages[0]!.count;
    this.intervalMs = 1000 / rate;
    this.warmUpMs = warmUpMs;
    this.warmUpIntervalMs = 1000 / warmUpRate;
    this.warmUpCount = Math.floor(warmUpMs / this.warmUpIntervalMs);
    this.runLength = load.runLength ?? RUN_LENGTH;
    this.answered = messages.map(({ count }) => new Uint8Array(count));
  }

  run(): Promise<PacedFigures> {
    const { latencies, refusals, lags } = this;
    return new Promise<void>((resolve, reject) => {
      this.listen(reject);
      this.startMs = performance.now() + (this.load.delayMs ?? 0);
      const endMs = this.dueMs(this.total) + ANSWER_SECONDS_MAX * 1000;
      const turn = () => {
        this.sendDue();
        if (this.acceptedCount + this.refusedCount === this.total) resolve();
        else if (performance.now() > endMs) reject(new Error("answers stayed out"));
        else {
          if (this.load.rests === true) this.restIfIdle();
          setImmediate(turn);
        }
      };
      turn();
    }).then(() => {
      const { acceptedCount: accepted, refusedCount: refused } = this;
      return { latencies, refusals, lags, accepted, refused };
    });
  }

  private listen(reject: (error: Error) => void): void {
    this.load.terminals.forEach((terminal, t) => {
      const take = (bytes: Buffer, start: number, latencies: Latencies) => {
        const index = bytes.readUInt32LE(start + FRAME_SEQUENCE_OFFSET) - 1;
        if (this.answered[t]![index] !== 0) reject(new Error("a frame was answered twice"));
        this.answered[t]![index] = 1;
        const dueMs = this.dueMs(this.placeOf(t, index));
        if (this.measured(dueMs)) latencies.recordMs(performance.now() - dueMs);
      };
      terminal.onAnswer = (bytes, start) => {
        this.acceptedCount++;
        take(bytes, start, this.latencies);
      };
      terminal.onRefusal = (bytes, start) => {
        this.refusedCount++;
        take(bytes, start, this.refusals);
      };
      if (this.load.overload !== true) terminal.onRefusal = null;
      terminal.onFault = reject;
    });
  }

  private restIfIdle(): void {
    if (performance.now() - this.turnEndMs < REST_MS) Atomics.wait(NOBODY, 0, 0, REST_MS);
    this.turnEndMs = performance.now();
  }

  /** Sends what is due, frames of one terminal that stand together in one write. */
  private sendDue(): void {
    const nowMs = performance.now();
    const due = Math.min(this.dueUntil(nowMs), this.total);
    const { terminals, messages } = this.load;
    while (this.next < due) {
      const run = Math.floor(this.next / this.runLength);
      const end = Math.min((run + 1) * this.runLength, due);
      const t = run % terminals.length;
      const first =
        Math.floor(run / terminals.length) * this.runLength + (this.next % this.runLength);
      const { bytes, size } = messages[t]!;
      const count = end - this.next;
      terminals[t]!.send(bytes.subarray(first * size, (first + count) * size));
      for (let i = this.next; i < end; i++) {
        const dueMs = this.dueMs(i);
        if (this.measured(dueMs)) this.lags.recordMs(nowMs - dueMs);
      }
      this.next = end;
    }
  }

  private measured(dueMs: number): boolean {
    return dueMs - this.startMs >= this.warmUpMs;
  }

  /** When frame `place` of all is due. */
  private dueMs(place: number): number {
    const { startMs, warmUpMs, warmUpCount } = this;
    if (place < warmUpCount) return startMs + place * this.warmUpIntervalMs;
    return startMs + warmUpMs + (place - warmUpCount) * this.intervalMs;
  }

  /** How many of all are due at `nowMs`. */
  private dueUntil(nowMs: number): number {
    const sinceMs = nowMs - this.startMs;
    if (sinceMs < this.warmUpMs) {
      return Math.min(Math.floor(sinceMs / this.warmUpIntervalMs) + 1, this.warmUpCount);
    }
    return this.warmUpCount + Math.floor((sinceMs - this.warmUpMs) / this.intervalMs) + 1;
  }

  /** The place among all of frame `index` of terminal `t`. */
  private placeOf(t: number, index: number): number {
    const run = Math.floor(index / this.runLength) * this.load.terminals.length + t;
    return run * this.runLength + (index % this.runLength);
  }
}

/** Frames for each of `terminals` so that `rate` lasts `seconds`. */
export function pacedFrameCount(
  rate: number,
  seconds: number,
  terminals: number,
  runLength = RUN_LENGTH,
): number {
  return Math.max(Math.round((rate * seconds) / terminals / runLength), 1) * runLength;
}
