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
}

export interface PacedFigures {
  /** From when a frame was due to its answer. */
  latencies: Latencies;
  /** From when a frame was due to when it was sent. */
  lags: Latencies;
}

/** Sends all frames at their rate; resolves when the last is answered. */
export function runPaced(load: PacedLoad): Promise<PacedFigures> {
  return new Paced(load).run();
}

class Paced {
  private readonly latencies = new Latencies();
  private readonly lags = new Latencies();
  private readonly total: number;
  private readonly intervalMs: number;
  private startMs = 0;
  private next = 0;

  constructor(private readonly load: PacedLoad) {
    const { messages, rate } = load;
    this.total = messages.length * messages[0]!.count;
    this.intervalMs = 1000 / rate;
  }

  run(): Promise<PacedFigures> {
    const { terminals } = this.load;
    return new Promise((resolve, reject) => {
      terminals.forEach((terminal, t) => {
        terminal.onAnswer = (bytes, start) => {
          const sequence = bytes.readUInt32LE(start + FRAME_SEQUENCE_OFFSET);
          this.latencies.recordMs(performance.now() - this.dueMs(t, sequence - 1));
        };
        terminal.onFault = reject;
      });
      this.startMs = performance.now();
      const endMs = this.startMs + this.total * this.intervalMs + ANSWER_SECONDS_MAX * 1000;
      const turn = () => {
        this.sendDue();
        if (this.latencies.count === this.total) resolve(this);
        else if (performance.now() > endMs) reject(new Error("answers stayed out"));
        else setImmediate(turn);
      };
      turn();
    }).then(() => ({ latencies: this.latencies, lags: this.lags }));
  }

  /** Sends what is due, frames of one terminal that stand together in one write. */
  private sendDue(): void {
    const nowMs = performance.now();
    const due = Math.min(Math.floor((nowMs - this.startMs) / this.intervalMs) + 1, this.total);
    const { terminals, messages } = this.load;
    while (this.next < due) {
      const run = Math.floor(this.next / RUN_LENGTH);
      const end = Math.min((run + 1) * RUN_LENGTH, due);
      const t = run % terminals.length;
      const first = Math.floor(run / terminals.length) * RUN_LENGTH + (this.next % RUN_LENGTH);
      const { bytes, size } = messages[t]!;
      const count = end - this.next;
      terminals[t]!.send(bytes.subarray(first * size, (first + count) * size));
      for (let i = this.next; i < end; i++) {
        this.lags.recordMs(nowMs - this.startMs - i * this.intervalMs);
      }
      this.next = end;
    }
  }

  /** When frame `index` of terminal `t` was due. */
  private dueMs(t: number, index: number): number {
    const run = Math.floor(index / RUN_LENGTH) * this.load.terminals.length + t;
    return this.startMs + (run * RUN_LENGTH + (index % RUN_LENGTH)) * this.intervalMs;
  }
}

/** Frames for each of `terminals` so that `rate` lasts `seconds`. */
export function pacedFrameCount(rate: number, seconds: number, terminals: number): number {
  return Math.max(Math.round((rate * seconds) / terminals / RUN_LENGTH), 1) * RUN_LENGTH;
}
