// The wire cases: uses over real sockets, durable, every request under its own MAC and every
// answer too. The server is another process; its CPU for each use is told beside the throughput,
// since that figure does not hang on what the load generator costs.

import { performance } from "node:perf_hooks";
import { businessDateAt } from "../engine/calendar.js";
import { HostProcess } from "./host-process.js";
import { postAll } from "./http-load.js";
import { LoadTerminal } from "./load.js";
import { terminalIdOf } from "./world.js";

export interface WireCase {
  name: string;
  text: string;
  connections: number;
  recordsPerFrame: number;
  inFlight: number;
  framesPerConnection: number;
  transport: "websocket" | "http";
}

export interface WireResult {
  name: string;
  uses: number;
  seconds: number;
  usesPerSecond: number;
  serverCpuMicrosecondsPerUse: number;
}

export const WIRE_CASES: readonly WireCase[] = [
  {
    name: "wire-single",
    text: "one record a frame, 64 connections, 16 in flight on each",
    connections: 64,
    recordsPerFrame: 1,
    inFlight: 16,
    framesPerConnection: 20_000,
    transport: "websocket",
  },
  {
    name: "wire-batch",
    text: "128 records a frame, 16 connections, 4 in flight on each",
    connections: 16,
    recordsPerFrame: 128,
    inFlight: 4,
    framesPerConnection: 3000,
    transport: "websocket",
  },
  {
    name: "http",
    text: "one record a POST, 64 connections, by autocannon, which is the limit here",
    connections: 64,
    recordsPerFrame: 1,
    inFlight: 1,
    framesPerConnection: 2000,
    transport: "http",
  },
];

const CARD_COUNT = 100_000;
const SEED = 20_200_101;
const BUSINESS_DAY = { utcOffsetMinutes: 480, cutoverMinutes: 0 };

/** Runs a case against a fresh server. `scale` (0 to 1) shortens it. */
export async function runWire(wire: WireCase, scale: number): Promise<WireResult> {
  const frameCount = Math.max(1, Math.round(wire.framesPerConnection * scale));
  const uses = frameCount * wire.connections * wire.recordsPerFrame;
  const host = await HostProcess.start({
    terminalCount: wire.connections,
    cardCount: CARD_COUNT,
    flags: { "tables.usesPerDateMax": Math.max(uses + 1000, 100_000), "tables.cardsMax": 200_000 },
  });
  const terminals = terminalsOf(wire, frameCount, host.terminalsUrl);
  try {
    for (const terminal of terminals) await terminal.prepare();
    const before = await host.usage();
    const start = performance.now();
    if (wire.transport === "http") await postAll(host.terminalsUrl, terminals);
    else await Promise.all(terminals.map((terminal) => terminal.run()));
    const seconds = (performance.now() - start) / 1000;
    const after = await host.usage();
    if (after.approved !== uses) throw new Error(`${after.approved} of ${uses} were approved`);
    return {
      name: wire.name,
      uses,
      seconds,
      usesPerSecond: uses / seconds,
      serverCpuMicrosecondsPerUse: (after.cpuMicroseconds - before.cpuMicroseconds) / uses,
    };
  } finally {
    for (const terminal of terminals) terminal.close();
    await host.stop();
  }
}

function terminalsOf(wire: WireCase, frameCount: number, url: string): LoadTerminal[] {
  const random = randomFrom(SEED);
  const businessDate = businessDateAt(Date.now(), BUSINESS_DAY);
  const { recordsPerFrame, inFlight } = wire;
  const plan = { url, frameCount, recordsPerFrame, inFlight, businessDate, random };
  return Array.from({ length: wire.connections }, (_, i) => {
    return new LoadTerminal({ ...plan, terminalId: terminalIdOf(i), cardCount: CARD_COUNT });
  });
}

/** mulberry32: the same uses in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
