// The open loop: frames leave when they are due, whatever has been answered, and a late answer
// counts from when its frame was due, not from when it could be sent (no coordinated omission).
//
// The twist: timers of Node are a millisecond apart, so the loop spins, and looks at the sockets
// between two looks at the clock. It takes a core; how late frames left is measured, too.

import { performance } from "node:perf_hooks";
import { FRAME_SEQUENCE_OFFSET } from "../protocol/frame.js";
import { Latencies } from "./latencies.js";
import type { LoadTerminal } from "./terminal.js";
import type { Messages } from "./window.js";

/** Frames of a terminal that are due one after the other, to be sent in one write when late. */
const RUN_LENGTH = 4;
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
  /** Frames refused with 91, those of the warm-up too. */
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
  /** Of each frame, whether it has been answered. */
  private readonly answered: Uint8Array[];
  private readonly runLength: number;
  private startMs = 0;
  private next = 0;
  private answeredCount = 0;
  private refusedCount = 0;

  constructor(private readonly load: PacedLoad) {
    const { messages, rate } = load;
    this.total = messages.length * messages[0]!.count;
    this.intervalMs = 1000 / rate;
    this.runLength = load.runLength ?? RUN_LENGTH;
    this.answered = messages.map(({ count }) => new Uint8Array(count));
  }

  run(): Promise<PacedFigures> {
    const { latencies, refusals, lags } = this;
    return new Promise<void>((resolve, reject) => {
      this.listen(reject);
      this.startMs = performance.now() + (this.load.delayMs ?? 0);
      const endMs = this.startMs + this.total * this.intervalMs + ANSWER_SECONDS_MAX * 1000;
      const turn = () => {
        this.sendDue();
        if (this.answeredCount === this.total) resolve();
        else if (performance.now() > endMs) reject(new Error("answers stayed out"));
        else setImmediate(turn);
      };
      turn();
    }).then(() => ({ latencies, refusals, lags, refused: this.refusedCount }));
  }

  private listen(reject: (error: Error) => void): void {
    this.load.terminals.forEach((terminal, t) => {
      const take = (bytes: Buffer, start: number, latencies: Latencies) => {
        const index = bytes.readUInt32LE(start + FRAME_SEQUENCE_OFFSET) - 1;
        if (this.answered[t]![index] !== 0) reject(new Error("a frame was answered twice"));
        this.answered[t]![index] = 1;
        this.answeredCount++;
        const dueMs = this.dueMs(t, index);
        if (this.measured(dueMs)) latencies.recordMs(performance.now() - dueMs);
      };
      terminal.onAnswer = (bytes, start) => take(bytes, start, this.latencies);
      terminal.onRefusal = (bytes, start) => {
        this.refusedCount++;
        take(bytes, start, this.refusals);
      };
      if (this.load.overload !== true) terminal.onRefusal = null;
      terminal.onFault = reject;
    });
  }

  /** Sends what is due, frames of one terminal that stand together in one write. */
  private sendDue(): void {
    const nowMs = performance.now();
    const due = Math.min(Math.floor((nowMs - this.startMs) / this.intervalMs) + 1, this.total);
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
        const dueMs = this.startMs + i * this.intervalMs;
        if (this.measured(dueMs)) this.lags.recordMs(nowMs - dueMs);
      }
      this.next = end;
    }
  }

  private measured(dueMs: number): boolean {
    return dueMs - this.startMs >= (this.load.warmUpMs ?? 0);
  }

  /** When frame `index` of terminal `t` was due. */
  private dueMs(t: number, index: number): number {
    const run = Math.floor(index / this.runLength) * this.load.terminals.length + t;
    return this.startMs + (run * this.runLength + (index % this.runLength)) * this.intervalMs;
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
