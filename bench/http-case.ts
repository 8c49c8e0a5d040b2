// The HTTP case: one use a POST, beside the raw POST echo of the same frames by the same load
// generator, and beside the plain way of doing it in Node.

import type { BenchCase, Run } from "./case.js";
import { Child } from "./child.js";
import type { EchoReady } from "./echo-host.js";
import { bodiesOf, useFrameSize } from "./frames.js";
import { type HttpLoad, type HttpRequests, httpLoader, loadHttp, warmUpSeconds } from "./http.js";
import { loadPlain } from "./plain.js";
import { Server } from "./server.js";
import { type LoadTerminal, openTerminals } from "./terminal.js";
import { messagesOf, usesOf } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";
import { terminalIdOf } from "./world.js";

/** Half of what wire-single has in flight: enough for a commit of them to be worth its wait. */
const SHAPE = { connections: 512, recordsPerFrame: 1, inFlight: 1 };
/** Loads of each, in turn: the machine drifts by more than a limit may. */
const ROUNDS = 3;
/** wrk counts whole ones. */
const ROUND_SECONDS = 2;
/** More than any server here answers in a second: requests must last as long as the load. */
const REQUESTS_PER_SECOND_MAX = 250_000;
/** autocannon is the limit itself. */
const AUTOCANNON_PER_SECOND_MAX = 60_000;

export const HTTP: BenchCase = {
  name: "http",
  text: `one use a POST, ${SHAPE.connections} connections`,
  run: async (run) => {
    const seconds = run.seconds(ROUND_SECONDS);
    const ours = await Ours.start(run, seconds);
    try {
      if (run.settings.alone) await inTurn(run, [ours]);
      else await besideEcho(run, ours, seconds);
    } finally {
      await ours.stop();
    }
    if (run.settings.alone) return;
    run.say("loading the plain way");
    run.record({
      name: "plain-node",
      text: "Fastify, JSON, HMAC of node:crypto, lmdb puts for each use",
      value: await loadPlain(SHAPE.connections, seconds),
      unit: "uses/s",
    });
    run.compare("plain-node", "");
  },
};

/** One that is loaded in turn with others. */
interface Side {
  /** Round 0 is the warm-up. */
  load(round: number): Promise<HttpLoad>;
  record(run: Run, load: HttpLoad): void;
}

/** Loads all of `sides` so often, to and fro, and records what each answered in all. */
async function inTurn(run: Run, sides: readonly Side[]): Promise<void> {
  const sums = sides.map((): HttpLoad => ({ requests: 0, seconds: 0 }));
  for (const side of sides) await side.load(0);
  for (let round = 1; round <= ROUNDS; round++) {
    run.say(`round ${round} of ${ROUNDS}`);
    const order = sides.map((_, i) => i);
    for (const i of round % 2 === 1 ? order : order.reverse()) {
      const load = await sides[i]!.load(round);
      sums[i]!.requests += load.requests;
      sums[i]!.seconds += load.seconds;
    }
  }
  sides.forEach((side, i) => {
    side.record(run, sums[i]!);
  });
}

async function besideEcho(run: Run, ours: Side, seconds: number): Promise<void> {
  const echo = await Echo.start(seconds);
  try {
    await inTurn(run, [ours, echo]);
  } finally {
    await echo.stop();
  }
  run.compare("", "echo");
}

/** Requests of each connection in a load of `seconds`. */
function bodyCount(seconds: number): number {
  const isWrk = httpLoader(seconds) === "wrk";
  const uses = isWrk
    ? REQUESTS_PER_SECOND_MAX * Math.ceil(seconds)
    : AUTOCANNON_PER_SECOND_MAX * seconds;
  return Math.ceil(uses / SHAPE.connections);
}

class Ours implements Side {
  private cpuMicroseconds = 0;

  private constructor(
    private readonly server: Server,
    private readonly terminals: readonly LoadTerminal[],
    /** Requests of each terminal, warm-up and rounds one after the other. */
    private readonly bodies: readonly Buffer[][],
    private readonly seconds: number,
  ) {}

  static async start(run: Run, seconds: number): Promise<Ours> {
    const frameCount = bodyCount(warmUpSeconds(seconds)) + ROUNDS * bodyCount(seconds);
    run.say("starting a server");
    const server = await Server.start({
      terminalCount: SHAPE.connections,
      cardCount: run.amount(WIRE_CARDS, 1000),
      usesMax: usesOf(SHAPE, frameCount),
    });
    const { terminalsUrl, cardCount } = server;
    const terminals = await openTerminals(terminalsUrl, SHAPE.connections, terminalIdOf);
    run.say(`making ${usesOf(SHAPE, frameCount)} requests`);
    const bodies = messagesOf(terminals, 1, frameCount, cardCount).map(bodiesOf);
    return new Ours(server, terminals, bodies, seconds);
  }

  async load(round: number): Promise<HttpLoad> {
    const { server, seconds } = this;
    const warmUp = warmUpSeconds(seconds);
    if (round === 0) return this.post(0, bodyCount(warmUp), warmUp);
    const count = bodyCount(seconds);
    const from = bodyCount(warmUp) + (round - 1) * count;
    const { result, cpuMicroseconds, approved } = await server.underLoad(() => {
      return this.post(from, count, seconds);
    });
    // Those on their way at the end are not counted by the load generator.
    const unanswered = approved - result.requests;
    if (unanswered < 0 || unanswered > SHAPE.connections) {
      throw new Error(`${approved} of ${result.requests} were approved`);
    }
    this.cpuMicroseconds += cpuMicroseconds;
    return result;
  }

  record(run: Run, load: HttpLoad): void {
    const loader = httpLoader(this.seconds);
    const text = `durable, every request and answer under its own MAC; load by ${loader}`;
    run.record({ name: "", text, value: load.requests / load.seconds, unit: "uses/s" });
    run.record({
      name: "server-cpu",
      text: "CPU of the server for each use, all its threads",
      value: this.cpuMicroseconds / load.requests,
      unit: "us",
    });
  }

  async stop(): Promise<void> {
    for (const terminal of this.terminals) terminal.close();
    await this.server.stop();
  }

  /** Posts `count` requests of each terminal from number `from` on, for up to `seconds`. */
  private post(from: number, count: number, seconds: number): Promise<HttpLoad> {
    const sets = this.bodies.map((set) => set.slice(from, from + count));
    return loadHttp(requestsOf(this.server.terminalsUrl, sets), SHAPE.connections, seconds);
  }
}

class Echo implements Side {
  private constructor(
    private readonly child: Child<EchoReady>,
    private readonly requests: HttpRequests,
    private readonly seconds: number,
  ) {}

  static async start(seconds: number): Promise<Echo> {
    const child = await Child.start<EchoReady>("echo-host", null);
    return new Echo(child, requestsOf(child.ready.url, echoBodies(seconds)), seconds);
  }

  load(round: number): Promise<HttpLoad> {
    const seconds = round === 0 ? warmUpSeconds(this.seconds) : this.seconds;
    return loadHttp(this.requests, SHAPE.connections, seconds);
  }

  record(run: Run, load: HttpLoad): void {
    run.record({
      name: "echo",
      text: "uWebSockets.js giving the same bodies back, in turn: the limit of the wire",
      value: load.requests / load.seconds,
      unit: "uses/s",
    });
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

/** Frames of the same size that nobody looks into; one set goes round. */
function echoBodies(seconds: number): Buffer[][] {
  const frame = Buffer.alloc(useFrameSize(1));
  const frameCount = bodyCount(seconds);
  return Array.from({ length: SHAPE.connections }, () => new Array<Buffer>(frameCount).fill(frame));
}

/** Frames of all terminals, interleaved so that each terminal's stay in order. */
function requestsOf(url: string, sets: readonly Buffer[][]): HttpRequests {
  const { hostname, port } = new URL(url);
  const bodies: Buffer[] = [];
  for (let i = 0; i < sets[0]!.length; i++) for (const set of sets) bodies.push(set[i]!);
  return {
    url: `http://${hostname}:${port}/v1/messages`,
    headersOf: () => ({ "Content-Type": "application/octet-stream" }),
    bodies,
  };
}
