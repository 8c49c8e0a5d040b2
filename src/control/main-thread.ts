// The worker's end of the port to the main thread: asks, and waits for the answer of the same id.
// Bounded twice: so many questions wait at most, and none waits longer than the deadline, so that
// a stuck main thread makes requests fail instead of pile up.

import type { MessagePort } from "node:worker_threads";
import {
  type ControlAnswer,
  type ControlOp,
  QUESTIONS_MAX,
  type RequestOf,
  type ResultOf,
} from "./messages.js";
import { Problem } from "./problem.js";

const ANSWER_DEADLINE_MS = 15_000;

interface Waiting {
  resolve(result: unknown): void;
  reject(problem: Problem): void;
  timer: NodeJS.Timeout;
}

export class MainThread {
  private readonly port: MessagePort;
  private readonly waiting: Map<number, Waiting>;
  private lastId: number;

  constructor(port: MessagePort) {
    this.port = port;
    this.waiting = new Map();
    this.lastId = 0;
    port.on("message", (answer: ControlAnswer) => this.settle(answer));
  }

  /** Asks the main thread. Rejects with a Problem: refused (409), busy or silent (503). */
  ask<Op extends ControlOp>(
    request: RequestOf<Op>,
    transfer: ArrayBuffer[] = [],
  ): Promise<ResultOf<Op>> {
    if (this.waiting.size >= QUESTIONS_MAX) {
      throw new Problem(503, "BUSY", "too many requests wait: try again later");
    }
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.expire(id), ANSWER_DEADLINE_MS);
      this.waiting.set(id, { resolve: resolve as (result: unknown) => void, reject, timer });
      this.port.postMessage({ ...request, id }, transfer);
    });
  }

  private settle(answer: ControlAnswer): void {
    const waiting = this.take(answer.id);
    if (!waiting) return;
    if (answer.ok) waiting.resolve(answer.result);
    else if ("fault" in answer) waiting.reject(new Problem(500, "INTERNAL", answer.cause));
    else waiting.reject(new Problem(409, "REFUSED", answer.cause));
  }

  private expire(id: number): void {
    const message = "the engine has not answered in time; whether it will is unknown";
    this.take(id)?.reject(new Problem(503, "NO_ANSWER", message));
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    if (waiting) clearTimeout(waiting.timer);
    this.waiting.delete(id);
    return waiting;
  }
}
