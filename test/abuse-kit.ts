// What the abuse tables stand on: a real server that is attacked, under a clock that stands still,
// so that its state has one hash for as long as nothing changes it.

import { readFileSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";
import { FRAME_PROBLEM_NAMES, MTI_USE_REQUEST } from "../protocol/index.js";
import { createLogger } from "../src/log.js";
import type { RunningServer } from "../src/server.js";
import { Needles } from "./needles.js";
import { RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  CARD_COUNT,
  CONCENTRATOR,
  type Flags,
  GATE_FIRST,
  masterKeyOf,
  panOf,
  seededFolder,
  serve,
  TERMINALS,
  until,
  within,
} from "./server-kit.js";

/** Terminal that signs on after each table, to show that the server still serves. */
const WITNESS = GATE_FIRST + 63;
/** Most bytes by which the process, clients included, may grow under a table. */
const GROWTH_MAX = 400 * 1024 * 1024;

/** All that must not change where nothing was taken. */
export interface Mark {
  position: number;
  hash: string;
}

export class Target {
  /** Frames, requests and connections that were tried and not taken. */
  refused = 0;
  private readonly needles = new Needles();
  private readonly startSize = process.memoryUsage.rss();

  private constructor(
    readonly server: RunningServer,
    private readonly logFile: string,
  ) {
    for (let i = 0; i < CARD_COUNT; i++) this.needles.addNumber(`card ${i}`, panOf(i));
    for (const id of [...TERMINALS, CONCENTRATOR, GATE_FIRST, WITNESS]) {
      this.needles.addKey(`master key ${id}`, masterKeyOf(id));
    }
  }

  static async start(t: Test, flags: Flags = {}): Promise<Target> {
    const nowMs = Date.now();
    const clock = () => nowMs;
    const folder = await seededFolder(t, flags, clock);
    const logFile = `${folder}.log`;
    t.teardown(() => rmSync(logFile, { force: true }));
    const log = createLogger("target", "trace", logFile);
    return new Target(await serve(t, { folder, flags, clock, log }), logFile);
  }

  mark(): Mark {
    const { state } = this.server.node.engine;
    return { position: state.registers.position, hash: state.hash() };
  }

  /** Whether nothing has changed since `mark`, with nothing on its way. */
  async unchanged(t: Test, mark: Mark, name: string): Promise<void> {
    const { core } = this.server.node;
    await until("nothing is in flight", () => core.inFlight === 0);
    t.same(this.mark(), mark, `${name}: journal and state are as they were`);
  }

  socket(t: Test, subprotocols: string[] = []): Promise<RawSocket> {
    return openSocket(t, this.server.terminalsUrl, subprotocols);
  }

  /** A terminal that is signed on over a connection of its own. */
  async signedOn(t: Test, terminalId: number, subprotocols: string[] = []): Promise<SignedOn> {
    return new SignedOn(await this.socket(t, subprotocols), new RawTerminal(terminalId)).signOn();
  }

  /** After a table: it serves, holds what it held, and told nobody anything. */
  async unharmed(t: Test): Promise<void> {
    const { core } = this.server.node;
    const { socket, terminal } = await this.signedOn(t, WITNESS);
    const answer = await terminal.ask(
      socket.exchange,
      terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(0))]),
    );
    t.equal(answer.outcomes[0]?.responseCode, "00", "it still serves");
    await socket.close();
    t.equal(core.inFlight, 0, "nothing is left in flight");
    t.same(this.needles.found(readFileSync(this.logFile)), [], "no secret is in its log");
    const growth = process.memoryUsage.rss() - this.startSize;
    t.ok(growth < GROWTH_MAX, `memory is bounded: ${Math.round(growth / 2 ** 20)} MiB more`);
  }
}

/** Response code of a frame that was refused for overload. */
const OVERLOADED = "91";
const RETRY_AFTER_MS = 10;

export class SignedOn {
  constructor(
    readonly socket: RawSocket,
    readonly terminal: RawTerminal,
  ) {}

  async signOn(): Promise<this> {
    await this.terminal.signOn(this.socket.exchange);
    return this;
  }

  readonly ask = (frame: Uint8Array) => this.terminal.ask(this.socket.exchange, frame);

  /** The outcome of one use; asked again, as the library does, while the server is overloaded. */
  async decide(mti: number, use: ReturnType<RawTerminal["use"]>) {
    for (;;) {
      const { verified, header, outcomes } = await this.ask(this.terminal.uses(mti, [use]));
      if (verified) return outcomes[0]!;
      if (header.status !== OVERLOADED) throw new Error(`not verified: ${header.status}`);
      await delay(RETRY_AFTER_MS);
    }
  }
}

async function openSocket(t: Test, url: string, subprotocols: string[]): Promise<RawSocket> {
  const socket = await RawSocket.open(url, subprotocols);
  t.teardown(() => socket.close());
  return socket;
}

/**
 * What a server does with one frame on a connection of its own: the name of the problem for which
 * it closes, or the status of its answer.
 */
export async function fateOf(
  url: string,
  frame: Uint8Array | string,
  subprotocols: string[] = [],
): Promise<string> {
  const socket = await RawSocket.open(url, subprotocols);
  socket.send(frame);
  const closed = socket.closed.then((code) => FRAME_PROBLEM_NAMES[code - 4400] ?? String(code));
  const answered = socket.next().then(statusOf);
  const fate = await within("an answer or a close", Promise.race([closed, answered]));
  socket.socket.terminate();
  return fate;
}

/** The status of a response frame. */
export function statusOf(frame: Uint8Array): string {
  return String.fromCharCode(frame[30]!, frame[31]!);
}

/** Runs `each` over all items, some at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  each: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await each(items[next++]!);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
