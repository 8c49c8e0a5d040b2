// The latency case: an open loop at parts of the capacity that was measured a moment before, alone
// and with everything else a server does meanwhile, beside a commit of the journal alone.

import type { BenchCase, Run } from "./case.js";
import { Child } from "./child.js";
import { COMMIT_SIZE, commitLatencies } from "./commit.js";
import type { Disturbance, DisturbOptions } from "./disturb.js";
import { type PacedFigures, pacedFrameCount, runPaced } from "./paced.js";
import { Server } from "./server.js";
import { standStillBeside } from "./stand-still.js";
import { openTerminals } from "./terminal.js";
import { loadServer, messagesOf, type Shape, usesOf } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";
import { terminalIdOf } from "./world.js";

const CAPACITY: Shape = { connections: 64, recordsPerFrame: 1, inFlight: 16 };
const CAPACITY_FRAMES = 16_000;
const CAPACITY_SECONDS = 4;
/** Most frames that a paced run can have, over all runs: a bound for the memory of repeats. */
const PACED_USES_MAX = 12_000_000;
const PACED_TERMINALS = 32;
const PACED_SECONDS = 8;
/** Not measured: the generator's heap settles after making its frames, and it falls behind. */
const WARM_UP_SECONDS = 1;
const COMMITS = 1500;
const PARTS = [0.25, 0.5, 0.75];
const DISTURBED_PART = 0.5;
const IMPORT_CARDS = 100_000;

export const LATENCY: BenchCase = {
  name: "latency",
  text: "open loop over WebSocket, one use a frame, at parts of the measured capacity",
  run: async (run) => {
    await commit(run);
    const frameCount = run.amount(CAPACITY_FRAMES, 40);
    run.say("starting a server");
    const cardCount = run.amount(WIRE_CARDS, 1000);
    const imported = run.amount(IMPORT_CARDS, 1000);
    const room = {
      "tables.cardsMax": cardCount + imported,
      "tables.holdersMax": cardCount + imported,
    };
    const server = await Server.start({
      terminalCount: CAPACITY.connections + PACED_TERMINALS * (PARTS.length + 1),
      cardCount,
      usesMax: usesOf(CAPACITY, frameCount) + run.amount(PACED_USES_MAX, 200_000),
      flags: room,
    });
    try {
      const seconds = run.seconds(CAPACITY_SECONDS);
      const figures = await loadServer(run, server, CAPACITY, { frameCount, seconds });
      const capacity = figures.usesPerSecond;
      const text = "closed loop, 64 connections, 16 in flight on each";
      run.record({ name: "capacity", text, value: capacity, unit: "uses/s" });
      await paced(run, server, capacity, imported);
    } finally {
      await server.stop();
    }
  },
};

async function commit(run: Run): Promise<void> {
  run.say("commits of the journal alone");
  const count = run.amount(COMMITS, 30);
  const latencies = await commitLatencies(count);
  run.record({
    name: "commit",
    text: `a durable commit of ${COMMIT_SIZE} bytes alone: the limit of the disk`,
    value: latencies.at(50),
    unit: "us",
    percentiles: latencies.percentiles(),
  });
  const { part, longestMs } = await standStillBeside(() => commitLatencies(count));
  const longest = `the longest ${longestMs.toFixed(1)} ms`;
  run.record({
    name: "stood-still",
    text: `of its time a thread that only looks at the clock beside such commits; ${longest}`,
    value: part * 100,
    unit: "%",
  });
}

async function paced(run: Run, server: Server, capacity: number, imported: number): Promise<void> {
  let phase = 0;
  for (const part of PARTS) {
    const figures = await pacedPhase(run, server, part * capacity, phase++, () => {});
    const percent = Math.round(part * 100);
    record(run, `at-${percent}`, `at ${percent} % of capacity`, figures);
  }
  const { controlUrl, adminToken, cardCount } = server.host.ready;
  const options = { controlUrl, adminToken, firstCard: cardCount, cardCount: imported };
  const child = await Child.start<null>("disturb", options satisfies DisturbOptions);
  let disturbance: Promise<Disturbance> | null = null;
  const rate = DISTURBED_PART * capacity;
  const figures = await pacedPhase(run, server, rate, phase, () => {
    disturbance = child.ask<Disturbance>("go");
  });
  const done = (await disturbance!) as Disturbance;
  await child.stop();
  if (done.imported !== imported) throw new Error("the import meanwhile did not take all rows");
  const percent = Math.round(DISTURBED_PART * 100);
  const what = `${done.scrapes} scrapes, a checkpoint, ${imported} cards imported meanwhile`;
  record(run, `at-${percent}-disturbed`, `at ${percent} %; ${what}`, figures);
  run.compare(`at-${percent}`, "commit");
  run.compare(`at-${percent}-disturbed`, `at-${percent}`);
}

/** Sends at `rate` with terminals of its own; `started` is called when it goes. */
async function pacedPhase(
  run: Run,
  server: Server,
  rate: number,
  phase: number,
  started: () => void,
): Promise<PacedFigures> {
  const { terminalsUrl, cardCount } = server.host.ready;
  const firstTerminal = CAPACITY.connections + phase * PACED_TERMINALS;
  const idOf = (i: number) => terminalIdOf(firstTerminal + i);
  const terminals = await openTerminals(terminalsUrl, PACED_TERMINALS, idOf);
  try {
    const warmUp = run.seconds(WARM_UP_SECONDS);
    const seconds = warmUp + run.seconds(PACED_SECONDS);
    const frameCount = pacedFrameCount(rate, seconds, PACED_TERMINALS);
    run.say(`${Math.round(rate)} uses a second, open loop`);
    const messages = messagesOf(terminals, 1, frameCount, cardCount);
    const warmUpMs = warmUp * 1000;
    setTimeout(started, warmUpMs);
    const load = { terminals, messages, rate, warmUpMs, rests: true, overload: true };
    const paced = await server.underLoad(() => runPaced(load));
    const uses = frameCount * PACED_TERMINALS - paced.result.refused;
    if (paced.approved !== uses) throw new Error(`${paced.approved} of ${uses} were approved`);
    return paced.result;
  } finally {
    for (const terminal of terminals) terminal.close();
  }
}

function record(run: Run, name: string, where: string, figures: PacedFigures): void {
  const { latencies, lags, refused } = figures;
  const lag = `frames left ${lags.at(50)} us late, p99 ${lags.at(99)} us; ${refused} refused`;
  run.record({
    name,
    text: `${where}; ${lag}`,
    value: latencies.at(50),
    unit: "us",
    percentiles: latencies.percentiles(),
  });
}
