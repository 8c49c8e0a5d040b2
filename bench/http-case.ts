// The HTTP case: one use a POST, beside the raw POST echo of the same frames by the same load
// generator, and beside the plain way of doing it in Node.

import type { BenchCase, Run } from "./case.js";
import { Child } from "./child.js";
import type { EchoReady } from "./echo-host.js";
import { bodiesOf, useFrameSize } from "./frames.js";
import { type HttpLoad, httpLoader, loadHttp, warmUpSeconds } from "./http.js";
import { loadPlain } from "./plain.js";
import { Server } from "./server.js";
import { openTerminals } from "./terminal.js";
import { messagesOf, usesOf } from "./wire.js";
import { WIRE_CARDS, WIRE_SECONDS } from "./wire-cases.js";
import { terminalIdOf } from "./world.js";

/** Enough for a commit of all of them to be worth its wait. */
const SHAPE = { connections: 256, recordsPerFrame: 1, inFlight: 1 };
/** More than any server here answers in a second: requests must last as long as the load. */
const REQUESTS_PER_SECOND_MAX = 250_000;
/** autocannon is the limit itself. */
const AUTOCANNON_PER_SECOND_MAX = 60_000;

export const HTTP: BenchCase = {
  name: "http",
  text: `one use a POST, ${SHAPE.connections} connections`,
  run: async (run) => {
    const seconds = run.seconds(WIRE_SECONDS);
    await http(run, seconds);
    if (run.settings.alone) return;
    await echo(run, seconds);
    run.compare("", "echo");
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

function bodyCount(seconds: number): number {
  const isWrk = httpLoader(seconds) === "wrk";
  const uses = isWrk
    ? REQUESTS_PER_SECOND_MAX * Math.ceil(seconds)
    : AUTOCANNON_PER_SECOND_MAX * seconds;
  return Math.ceil(uses / SHAPE.connections);
}

async function http(run: Run, seconds: number): Promise<void> {
  const warmUpCount = bodyCount(warmUpSeconds(seconds));
  const frameCount = warmUpCount + bodyCount(seconds);
  run.say("starting a server");
  const server = await Server.start({
    terminalCount: SHAPE.connections,
    cardCount: run.amount(WIRE_CARDS, 1000),
    usesMax: usesOf(SHAPE, frameCount),
  });
  const { terminalsUrl, cardCount } = server.host.ready;
  const terminals = await openTerminals(terminalsUrl, SHAPE.connections, terminalIdOf);
  try {
    run.say(`making ${usesOf(SHAPE, frameCount)} requests for ${httpLoader(seconds)}`);
    const sets = messagesOf(terminals, 1, frameCount, cardCount).map(bodiesOf);
    const warmUp = sets.map((set) => set.slice(0, warmUpCount));
    await loadHttp(requestsOf(terminalsUrl, warmUp), SHAPE.connections, warmUpSeconds(seconds));
    const measured = sets.map((set) => set.slice(warmUpCount));
    const requests = requestsOf(terminalsUrl, measured);
    const { result, cpuMicroseconds, approved } = await server.underLoad(() => {
      return loadHttp(requests, SHAPE.connections, seconds);
    });
    record(run, result, seconds, cpuMicroseconds);
    // Those on their way at the end are not counted by the load generator.
    const unanswered = approved - result.requests;
    if (unanswered < 0 || unanswered > SHAPE.connections) {
      throw new Error(`${approved} of ${result.requests} were approved`);
    }
  } finally {
    for (const terminal of terminals) terminal.close();
    await server.stop();
  }
}

function record(run: Run, load: HttpLoad, seconds: number, cpuMicroseconds: number): void {
  const loader = httpLoader(seconds);
  const text = `durable, every request and answer under its own MAC; load by ${loader}`;
  run.record({ name: "", text, value: load.requests / load.seconds, unit: "uses/s" });
  run.record({
    name: "server-cpu",
    text: "CPU of the server for each use, all its threads",
    value: cpuMicroseconds / load.requests,
    unit: "us",
  });
}

async function echo(run: Run, seconds: number): Promise<void> {
  const child = await Child.start<EchoReady>("echo-host", null);
  try {
    const requests = requestsOf(child.ready.url, echoBodies(seconds));
    await loadHttp(requests, SHAPE.connections, warmUpSeconds(seconds));
    const load = await loadHttp(requests, SHAPE.connections, seconds);
    run.record({
      name: "echo",
      text: "uWebSockets.js giving the same bodies back: the limit of the wire",
      value: load.requests / load.seconds,
      unit: "uses/s",
    });
  } finally {
    await child.stop();
  }
}

/** Frames of the same size that nobody looks into; one set goes round. */
function echoBodies(seconds: number): Buffer[][] {
  const frame = Buffer.alloc(useFrameSize(1));
  const frameCount = bodyCount(seconds);
  return Array.from({ length: SHAPE.connections }, () => new Array<Buffer>(frameCount).fill(frame));
}

/** Frames of all terminals, interleaved so that each terminal's stay in order. */
function requestsOf(url: string, sets: readonly Buffer[][]) {
  const { hostname, port } = new URL(url);
  const bodies: Buffer[] = [];
  for (let i = 0; i < sets[0]!.length; i++) for (const set of sets) bodies.push(set[i]!);
  return {
    url: `http://${hostname}:${port}/v1/messages`,
    headersOf: () => ({ "Content-Type": "application/octet-stream" }),
    bodies,
  };
}
