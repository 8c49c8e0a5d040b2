// Processes of the bench: servers that are measured and helpers that disturb them. A child is a
// file of this folder with its options as JSON in its first argument; it says when it is ready,
// answers requests over its channel and ends when it is told to or its parent is gone.

import { type ChildProcess, fork } from "node:child_process";

type Handlers = Record<string, (value: never) => unknown>;

interface Request {
  id: number;
  op: string;
  value: unknown;
}

type Message = { ready: unknown } | { id: number; result: unknown } | { id: number; error: string };

/** The parent's side. */
export class Child<Ready> {
  ready!: Ready;
  private nextId = 1;
  private readonly waiting = new Map<number, [(value: never) => void, (error: Error) => void]>();
  private readonly exited: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    name: string,
  ) {
    this.exited = new Promise((resolve) => {
      child.once("exit", (code) => {
        for (const [, reject] of this.waiting.values()) {
          reject(new Error(`${name} ended with ${code}`));
        }
        resolve();
      });
    });
    child.on("message", (message: Message) => this.take(message));
  }

  /** Starts dist/bench/`name`.js; resolves when it says that it is ready. */
  static async start<Ready>(name: string, options: unknown): Promise<Child<Ready>> {
    const path = new URL(`./${name}.js`, import.meta.url);
    // What a child prints must not get into the results.
    const stdio = ["ignore", 2, 2, "ipc"] as const;
    const child = new Child<Ready>(
      fork(path, [JSON.stringify(options)], { stdio: [...stdio] }),
      name,
    );
    child.ready = await new Promise<Ready>((resolve, reject) => {
      child.waiting.set(0, [resolve as (value: never) => void, reject]);
    });
    return child;
  }

  /** Asks for `op`; resolves with its result. */
  ask<Result>(op: string, value: unknown = null): Promise<Result> {
    const id = this.nextId++;
    return new Promise<Result>((resolve, reject) => {
      this.waiting.set(id, [resolve as (value: never) => void, reject]);
      this.child.send({ id, op, value } satisfies Request);
    });
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (this.child.connected) this.child.send({ id: 0, op: "stop", value: null } satisfies Request);
    await this.exited;
  }

  private take(message: Message): void {
    const id = "ready" in message ? 0 : message.id;
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (waiting === undefined) return;
    const [resolve, reject] = waiting;
    if ("error" in message) reject(new Error(message.error));
    else resolve(("ready" in message ? message.ready : message.result) as never);
  }
}

/** The child's side: what it was started with. */
export function childOptions<Options>(): Options {
  return JSON.parse(process.argv[2]!) as Options;
}

/** The child's side: says that it is ready and answers from then on. */
export function serveParent(ready: unknown, handlers: Handlers, stop: () => unknown): void {
  const tell = (message: Message) => process.send!(message);
  process.on("message", async ({ id, op, value }: Request) => {
    if (op === "stop") {
      await stop();
      process.exit(0);
    }
    try {
      tell({ id, result: (await handlers[op]!(value as never)) ?? null });
    } catch (error) {
      tell({ id, error: (error as Error).message });
    }
  });
  process.on("disconnect", () => process.exit(1));
  tell({ ready });
}
