// The wire cases: uses over WebSocket, one in a frame and 128 in a frame, beside the echo of the
// same frames and beside what does the same checks elsewhere.

import type { BenchCase, Run } from "./case.js";
import { loadEcho } from "./echo.js";
import { Server } from "./server.js";
import { loadServer, type Shape, terminalsOf, usesOf, type WireFigures } from "./wire.js";
import { type PeerShape, postgresPeer, redisPeer } from "./wire-peers.js";

const SINGLE: Shape = { connections: 64, recordsPerFrame: 1, inFlight: 16 };
/** A message costs a frame of so many records nothing to speak of. */
const BATCH: Shape = { connections: 16, recordsPerFrame: 128, inFlight: 4, apart: true };
const SINGLE_FRAMES = 24_000;
/** Terminals behind each connection: with 64 of them, as many as a province has. */
const SENDERS = 1562;
const BATCH_FRAMES = 3200;
/** Redis has no frames: pipelined as far as is usual, and as far as a frame of ours goes. */
const BATCH_PEERS: readonly PeerShape[] = [
  { connections: 64, inFlight: 16 },
  { connections: BATCH.connections, inFlight: BATCH.recordsPerFrame * BATCH.inFlight },
];
const PEER_SECONDS = 4;
export const WIRE_CARDS = 1_000_000;
export const WIRE_SECONDS = 5;

export const WIRE_SINGLE: BenchCase = {
  name: "wire-single",
  text: "one use a frame, 64 connections, 16 frames in flight on each",
  run: async (run) => {
    const frameCount = run.amount(SINGLE_FRAMES, 40);
    await wire(run, SINGLE, frameCount);
    const apart = await loaded(run, { ...SINGLE, apart: true }, frameCount);
    record(run, "apart", "the same with each frame in a message of its own", apart);
    const many: Shape = { ...SINGLE, senders: run.amount(SENDERS, 2) };
    const what = `of ${terminalsOf(many)} terminals, no two frames of one next to each other`;
    record(run, "many", what, await loaded(run, many, frameCount));
    if (run.settings.alone) return;
    const shapes = [1, SINGLE.inFlight].map((inFlight) => ({ ...SINGLE, inFlight }));
    const seconds = run.seconds(PEER_SECONDS);
    await redisPeer(run, shapes, seconds);
    await postgresPeer(run, shapes, seconds);
    run.compare("", `redis-${SINGLE.inFlight}`);
  },
};

export const WIRE_BATCH: BenchCase = {
  name: "wire-batch",
  text: "128 uses a frame, 16 connections, 4 frames in flight on each",
  run: async (run) => {
    await wire(run, BATCH, run.amount(BATCH_FRAMES, 5));
    if (run.settings.alone) return;
    await redisPeer(run, BATCH_PEERS, run.seconds(PEER_SECONDS));
    run.compare("", fasterOf(run, BATCH_PEERS));
  },
};

function fasterOf(run: Run, shapes: readonly PeerShape[]): string {
  const names = shapes.map(({ inFlight }) => `redis-${inFlight}`);
  return names.sort((a, b) => run.valueOf(b) - run.valueOf(a))[0]!;
}

/** Loads a server of its own with `shape`. */
async function loaded(run: Run, shape: Shape, frameCount: number): Promise<WireFigures> {
  const cardCount = run.amount(WIRE_CARDS, 1000);
  run.say(`starting a server with ${cardCount} cards`);
  const server = await Server.start({
    terminalCount: terminalsOf(shape),
    cardCount,
    usesMax: usesOf(shape, frameCount),
  });
  try {
    return await loadServer(run, server, shape, { frameCount, seconds: run.seconds(WIRE_SECONDS) });
  } finally {
    await server.stop();
  }
}

function record(run: Run, name: string, text: string, figures: WireFigures): void {
  run.record({ name, text, value: figures.usesPerSecond, unit: "uses/s" });
  run.record({
    name: name === "" ? "server-cpu" : `${name}-server-cpu`,
    text: "CPU of the server for each use, all its threads",
    value: figures.cpuMicrosecondsPerUse,
    unit: "us",
  });
}

async function wire(run: Run, shape: Shape, frameCount: number): Promise<void> {
  const text = "durable, every request and answer under its own MAC";
  record(run, "", text, await loaded(run, shape, frameCount));
  if (run.settings.alone) return;
  run.say("loading the echo");
  const echo = await loadEcho(shape, frameCount, run.seconds(WIRE_SECONDS));
  run.record({
    name: "echo",
    text: "uWebSockets.js giving the same messages back: the limit of the wire",
    value: echo.framesPerSecond * shape.recordsPerFrame,
    unit: "uses/s",
  });
  run.compare("echo", "");
}
