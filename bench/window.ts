// The closed loop: messages made ahead of time, all of one size, so many of them in flight on a
// connection. Everything that is compared is loaded by this one: Tongka, an echo, its peers.
//
// The invariant: sent - answered never exceeds inFlight, and each answer lets one more leave; what
// the answers of one read let leave goes out in one write.

import { performance } from "node:perf_hooks";

/** Messages of one size, back to back. */
export interface Messages {
  bytes: Buffer;
  size: number;
  count: number;
}

export class Window {
  answered = 0;
  private sent = 0;
  private end = 0;
  private deadlineMs = 0;
  private finish: (() => void) | null = null;
  private fail: ((error: Error) => void) | null = null;

  constructor(
    private readonly messages: Messages,
    private readonly inFlight: number,
    private readonly send: (bytes: Buffer) => void,
  ) {}

  /** Sends up to `count` more messages, none after `seconds`; resolves when all are answered. */
  run(count: number, seconds: number): Promise<void> {
    this.end = Math.min(this.sent + count, this.messages.count);
    this.deadlineMs = performance.now() + seconds * 1000;
    return new Promise((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
      this.pump();
    });
  }

  /** To be called when the answers of a read have been counted in `answered`. */
  pump(): void {
    if (this.finish === null) return;
    if (performance.now() > this.deadlineMs) this.end = this.sent;
    const end = Math.min(this.answered + this.inFlight, this.end);
    if (end > this.sent) {
      const { bytes, size } = this.messages;
      this.send(bytes.subarray(this.sent * size, end * size));
      this.sent = end;
    }
    if (this.answered < this.sent || this.sent < this.end) return;
    const { finish } = this;
    this.finish = null;
    finish();
  }

  /** Ends the run with an error. */
  failed(error: Error): void {
    this.fail?.(error);
  }
}

/** What went through all windows together. */
export interface Flow {
  messages: number;
  seconds: number;
}

/** Runs all windows at once: at most `count` messages on each, none sent after `seconds`. */
export async function runWindows(
  windows: readonly Window[],
  count: number,
  seconds: number,
): Promise<Flow> {
  const answered = () => windows.reduce((sum, window) => sum + window.answered, 0);
  const before = answered();
  const start = performance.now();
  await Promise.all(windows.map((window) => window.run(count, seconds)));
  return { messages: answered() - before, seconds: (performance.now() - start) / 1000 };
}
