// The latency case: an open loop at parts of the capacity that was measured a moment before, alone
// and with everything else a server does meanwhile, beside a commit of the journal alone.

import { DURATION_EDGES_NS } from "../src/metrics.js";
import type { BenchCase, Run } from "./case.js";
import { Child } from "./child.js";
import { COMMIT_SIZE, commitLatencies, leastLatencies } from "./commit.js";
import type { Disturbance, DisturbOptions } from "./disturb.js";
import { quantileBetween } from "./latencies.js";
import { type PacedFigures, pacedFrameCount, runPaced } from "./paced.js";
import { Server } from "./server.js";
import { standStillBeside } from "./stand-still.js";
import { openTerminals } from "./terminal.js";
import { loadServer, messagesOf, type Shape, usesOf } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";
import { terminalIdOf } from "./world.js";

/**
 * The load whose capacity is measured, and which is then offered at parts of it: as many terminals,
 * which send as many frames one after the other.
 */
const SHAPE: Shape = { connections: 64, recordsPerFrame: 1, inFlight: 16 };
/** The same with each frame in a message of its own. */
const APART: Shape = { ...SHAPE, apart: true };
const CAPACITY_FRAMES = 16_000;
const CAPACITY_SECONDS = 4;
/**
 * Most uses of all open loops together, a bound for the memory of repeats. With a capacity of more
 * than 540,000 a second each loop takes so much less time.
 */
const PACED_USES_MAX = 14_500_000;
const PACED_SECONDS = 8;
/** Not measured: the generator's heap settles after making its frames, and it falls behind. */
const WARM_UP_SECONDS = 1;
const COMMITS = 1500;
const BLOCKS = 6000;
const PARTS = [0.25, 0.5, 0.75];
const HALF = 0.5;
const IMPORT_CARDS = 100_000;
const IMPORTS = 2;
/** Each has terminals of its own: two that measure a capacity, the parts, two disturbed, apart. */
const PHASES = 2 + PARTS.length + IMPORTS + 1;
/** Capacities that all open loops together take: the parts, two disturbed, apart. */
const PACED_CAPACITIES = PARTS.reduce((sum, part) => sum + part) + (IMPORTS + 1) * HALF;

export const LATENCY: BenchCase = {
  name: "latency",
  text: "open loop over WebSocket, one use a frame, at parts of the measured capacity",
  run: async (run) => {
    await limits(run);
    run.say("starting a server");
    const cardCount = run.amount(WIRE_CARDS, 1000);
    const imported = run.amount(IMPORT_CARDS, 1000);
    const room = cardCount + IMPORTS * imported;
    const server = await Server.start({
      terminalCount: SHAPE.connections * PHASES,
      cardCount,
      usesMax: 2 * usesOf(SHAPE, frameCountOf(run)) + pacedUsesMax(run),
      flags: { "tables.cardsMax": room, "tables.holdersMax": room },
    });
    try {
      await new Load(run, server, imported).run();
    } finally {
      await server.stop();
    }
  },
};

async function limits(run: Run): Promise<void> {
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
  const least = await leastLatencies(run.amount(BLOCKS, 30));
  run.record({
    name: "least",
    text: "the rest of a commit of the journal and the next, which any use waits for: nothing else",
    value: least.at(50),
    unit: "us",
    percentiles: least.percentiles(),
  });
}

interface LoopFigures extends PacedFigures {
  /** What the server's metrics say of it, warm-up included (HostUsage). */
  ofServer: number[];
}

/** One after the other: phases with terminals of their own, for each sends only once. */
class Load {
  private phases = 0;
  private imports = 0;
  /** Part of its seconds that an open loop takes. */
  private timePart = 1;

  constructor(
    private readonly bench: Run,
    private readonly server: Server,
    /** Cards of each import. */
    private readonly imported: number,
  ) {}

  async run(): Promise<void> {
    const { bench } = this;
    const capacity = await this.capacityOf(SHAPE);
    const pacedUses = capacity * PACED_CAPACITIES * bench.seconds(WARM_UP_SECONDS + PACED_SECONDS);
    this.timePart = Math.min(1, pacedUsesMax(bench) / pacedUses);
    const text = `closed loop, ${SHAPE.connections} connections, ${SHAPE.inFlight} in flight`;
    bench.record({ name: "capacity", text, value: capacity, unit: "uses/s" });
    // First of all: a server that has just started compiles what it does for the first time.
    await this.disturbed(HALF * capacity);
    for (const part of PARTS) {
      const percent = Math.round(part * 100);
      const figures = await this.paced(SHAPE, part * capacity);
      record(bench, `at-${percent}`, `at ${percent} % of capacity`, figures);
      if (part === HALF) recordServer(bench, `at-${percent}-server`, figures.ofServer);
    }
    await this.disturbed(HALF * capacity);
    const apart = await this.capacityOf(APART);
    const each = `${text}, each frame in a message of its own`;
    bench.record({ name: "apart-capacity", text: each, value: apart, unit: "uses/s" });
    const figures = await this.paced(APART, HALF * apart);
    record(bench, "apart-at-50", "at 50 % of that, each frame in a message of its own", figures);
    bench.compare("at-50", "commit");
    for (const name of ["at-50-disturbed-first", "at-50-disturbed"]) bench.compare(name, "at-50");
    bench.compare("apart-at-50", "commit");
  }

  /** Uses a second in the closed loop. */
  private async capacityOf(shape: Shape): Promise<number> {
    const { bench, server } = this;
    const frameCount = frameCountOf(bench);
    const seconds = bench.seconds(CAPACITY_SECONDS);
    const firstTerminal = this.phases++ * shape.connections;
    const figures = await loadServer(bench, server, shape, { frameCount, seconds, firstTerminal });
    return figures.usesPerSecond;
  }

  /** At `rate` while metrics are scraped, a checkpoint is made and cards are imported. */
  private async disturbed(rate: number): Promise<void> {
    const { bench, server, imported } = this;
    const { controlUrl, adminToken } = server.host.ready;
    const isFirst = this.imports === 0;
    const firstCard = server.cardCount + this.imports++ * imported;
    const options = { controlUrl, adminToken, firstCard, cardCount: imported };
    const child = await Child.start<null>("disturb", options satisfies DisturbOptions);
    let disturbance: Promise<Disturbance> | null = null;
    let figures: PacedFigures;
    let done: Disturbance;
    try {
      figures = await this.paced(SHAPE, rate, () => {
        disturbance = child.ask<Disturbance>("go");
        // When the load fails, that is what is told.
        disturbance.catch(() => {});
      });
      done = await disturbance!;
    } finally {
      await child.stop();
    }
    if (done.imported !== imported) throw new Error("the import meanwhile did not take all rows");
    const what = `${done.scrapes} scrapes, a checkpoint, ${imported} cards imported meanwhile`;
    if (isFirst)
      record(bench, "at-50-disturbed-first", `at 50 %; for the first time, ${what}`, figures);
    else record(bench, "at-50-disturbed", `at 50 %; ${what}`, figures);
  }

  /** Sends at `rate` with terminals of its own; `started` is called when it goes. */
  private async paced(
    { connections, inFlight: runLength, apart = false }: Shape,
    rate: number,
    started: () => void = () => {},
  ): Promise<LoopFigures> {
    const { bench, server } = this;
    const firstTerminal = this.phases++ * connections;
    const idOf = (i: number) => terminalIdOf(firstTerminal + i);
    const terminals = await openTerminals(server.terminalsUrl, connections, idOf, !apart);
    try {
      const warmUp = this.timePart * bench.seconds(WARM_UP_SECONDS);
      const seconds = warmUp + this.timePart * bench.seconds(PACED_SECONDS);
      const frameCount = pacedFrameCount(rate, seconds, connections, runLength);
      bench.say(`${Math.round(rate)} uses a second, open loop`);
      const messages = messagesOf(terminals, 1, frameCount, server.cardCount);
      const warmUpMs = warmUp * 1000;
      setTimeout(started, warmUpMs);
      const load = { terminals, messages, rate, runLength, warmUpMs, rests: true, overload: true };
      const { result, approved, latencies } = await server.underLoad(() => runPaced(load));
      const uses = frameCount * connections - result.refused;
      if (approved !== uses) throw new Error(`${approved} of ${uses} were approved`);
      return { ...result, ofServer: latencies };
    } finally {
      for (const terminal of terminals) terminal.close();
    }
  }
}

function pacedUsesMax(run: Run): number {
  return run.amount(PACED_USES_MAX, 200_000);
}

function frameCountOf(run: Run): number {
  return run.amount(CAPACITY_FRAMES, 40);
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

function recordServer(run: Run, name: string, latencies: number[]): void {
  const at = (percentile: number) =>
    Math.round(quantileBetween(DURATION_EDGES_NS, latencies, percentile / 100) / 1000);
  run.record({
    name,
    text: "of that, from reading a frame to sending its answer, by the server's own metrics",
    value: at(50),
    unit: "us",
    percentiles: Object.fromEntries([50, 90, 99, 99.9].map((each) => [String(each), at(each)])),
  });
}
