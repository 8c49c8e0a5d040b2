// The blacklist: what millions of entries cost those who are not on it, and how soon a change
// binds. A tap sent after the change was answered must be declined: one that is not ends the case.
// What was listed for that is taken off again, for the next load may use the card.

import { performance } from "node:perf_hooks";
import { FRAME_HEADER_SIZE } from "../protocol/frame.js";
import { OUTCOME_RESPONSE_CODE_OFFSET } from "../protocol/outcome-record.js";
import { ControlClient } from "../src/control/client.js";
import type { BenchCase, Run } from "./case.js";
import { makeFrames } from "./frames.js";
import { Latencies } from "./latencies.js";
import { businessDateNow, Server, type ServerPlan } from "./server.js";
import { LoadTerminal } from "./terminal.js";
import { loadServer, type Shape, usesOf, type WireFigures } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";
import { panOf, terminalIdOf } from "./world.js";

const ENTRIES = [1_000_000, 10_000_000];
const SHAPE: Shape = { connections: 16, recordsPerFrame: 128, inFlight: 4 };
const FRAMES = 270;
const SECONDS = 0.5;
/** Loads of each server for a number of entries: many short ones, for the machine drifts. */
const ROUNDS = 6;
const NAMES = ["listed", "plain"] as const;
/** Each sends only once; one more makes the taps that a change is to bind. */
const TERMINALS_PER_COUNT = ROUNDS * SHAPE.connections + 1;
/** Checkpoints are made before a load, not beside it. */
const CHECKPOINT_SECONDS = 86_400;
const CHANGES = 100;
/** Taps on the way of a change; one takes a millisecond or so. */
const TAPS_MAX = 4000;
/** "00" as a little-endian u16. */
const APPROVED_WORD = 0x3030;

export const BLACKLIST: BenchCase = {
  name: "blacklist",
  text: "throughput beside millions of entries, and from a change to its effect",
  run: async (run) => {
    const counts = [0, ...ENTRIES.map((count, i) => run.amount(count, 1000 * (i + 1)))];
    const plan = planOf(run, counts);
    run.say("starting a server with a blacklist and one without");
    const listed = await Server.start(plan);
    const plain = await Server.start(plan);
    try {
      for (const [i, count] of counts.entries()) {
        await grow(run, listed, counts[i - 1] ?? 0, count);
        await throughput(run, { listed, plain }, count, i * TERMINALS_PER_COUNT);
        const tapper = i * TERMINALS_PER_COUNT + TERMINALS_PER_COUNT - 1;
        await effect(run, listed, count, tapper, run.amount(CHANGES, 3));
      }
    } finally {
      await Promise.all([listed.stop(), plain.stop()]);
    }
  },
};

function planOf(run: Run, counts: readonly number[]): ServerPlan {
  const changes = run.amount(CHANGES, 3);
  const usesPerCount = ROUNDS * usesOf(SHAPE, run.amount(FRAMES, 5)) + changes * TAPS_MAX;
  return {
    terminalCount: TERMINALS_PER_COUNT * counts.length,
    cardCount: run.amount(WIRE_CARDS, 1000),
    usesMax: usesPerCount * counts.length,
    flags: {
      "tables.blacklistMax": Math.max(counts.at(-1)!, 1000) + changes,
      "journal.checkpointSeconds": CHECKPOINT_SECONDS,
    },
  };
}

/**
 * Loads both servers in turn, with the same frames: the machine drifts by more than entries cost.
 */
async function throughput(
  run: Run,
  servers: { listed: Server; plain: Server },
  count: number,
  first: number,
): Promise<void> {
  const amount = { frameCount: run.amount(FRAMES, 5), seconds: run.seconds(SECONDS) };
  const figures = { listed: [] as WireFigures[], plain: [] as WireFigures[] };
  for (let round = 0; round < ROUNDS; round++) {
    const firstTerminal = first + round * SHAPE.connections;
    for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed()) {
      figures[name].push(await loadServer(run, servers[name], SHAPE, { ...amount, firstTerminal }));
    }
  }
  for (const name of NAMES) {
    const suffix = name === "plain" ? "-plain" : "";
    const entries = name === "plain" ? "the server beside, no entries" : `${count} entries`;
    const mean = (of: (each: WireFigures) => number) =>
      figures[name].reduce((sum, each) => sum + of(each), 0) / ROUNDS;
    run.record({
      name: `${count}/throughput${suffix}`,
      text: `frames of ${SHAPE.recordsPerFrame}, ${entries}`,
      value: mean(({ usesPerSecond }) => usesPerSecond),
      unit: "uses/s",
    });
    run.record({
      name: `${count}/server-cpu${suffix}`,
      text: "CPU of the server for each use, all its threads",
      value: mean(({ cpuMicrosecondsPerUse }) => cpuMicrosecondsPerUse),
      unit: "us",
    });
  }
  for (const figure of ["throughput", "server-cpu"]) {
    run.compare(`${count}/${figure}`, `${count}/${figure}-plain`);
  }
}

/** Adds entries until there are `to`. */
async function grow(run: Run, server: Server, from: number, to: number): Promise<void> {
  if (to === from) return;
  run.say(`adding entries until there are ${to}`);
  const count = to - from;
  const seconds = await server.host.ask<number>("blacklist", { first: from, count });
  await server.host.ask("checkpoint");
  const text = `${count} entries more, on disk`;
  run.record({ name: `${to}/add`, text, value: count / seconds, unit: "entries/s" });
}

/** From the change of an entry to the first tap that it declines. */
async function effect(
  run: Run,
  server: Server,
  entries: number,
  terminal: number,
  changes: number,
): Promise<void> {
  run.say(`${changes} changes with ${entries} entries`);
  const { terminalsUrl, controlUrl, adminToken } = server.host.ready;
  const tapper = await LoadTerminal.open(terminalsUrl, terminalIdOf(terminal));
  const client = new ControlClient({ url: controlUrl, adminToken });
  const latencies = new Latencies();
  let sequence = 1;
  try {
    for (let i = 0; i < changes; i++) {
      latencies.recordMs(await changeAndTap(tapper, client, i, sequence));
      sequence += TAPS_MAX;
    }
  } finally {
    tapper.close();
  }
  run.record({
    name: `${entries}/effect`,
    text: "from sending a change (HTTP) to the answer of the first tap it declines",
    value: latencies.at(50),
    unit: "us",
    percentiles: latencies.percentiles(),
  });
}

/** Taps with a card without a pause while it is listed; from change to effect, milliseconds. */
async function changeAndTap(
  tapper: LoadTerminal,
  client: ControlClient,
  card: number,
  firstSequence: number,
): Promise<number> {
  const plan = {
    terminalId: tapper.terminalId,
    businessDate: businessDateNow(),
    frameCount: TAPS_MAX,
    recordsPerFrame: 1,
    firstSequence,
    nextCard: () => card,
  };
  const { bytes, size } = makeFrames(plan, tapper.keys);
  let answeredMs = Number.POSITIVE_INFINITY;
  const startMs = performance.now();
  const change = client
    .addToBlacklist({ subjectKind: "card", subject: panOf(card), cause: "lost" })
    .then(({ entryId }) => {
      answeredMs = performance.now();
      return entryId;
    });
  for (let tap = 0; tap < TAPS_MAX; tap++) {
    const sentMs = performance.now();
    const answer = await tapper.exchange(bytes.subarray(tap * size, (tap + 1) * size));
    const code = answer.readUInt16LE(FRAME_HEADER_SIZE + OUTCOME_RESPONSE_CODE_OFFSET);
    if (code === APPROVED_WORD) {
      if (sentMs > answeredMs) throw new Error("a tap was approved after its card was listed");
      continue;
    }
    const effectMs = performance.now() - startMs;
    await client.removeFromBlacklist(await change);
    return effectMs;
  }
  throw new Error("a change of the blacklist did not bind");
}
