// The scale case: the way of a province's cards, from the file it begins with to a restart, at
// growing numbers of cards, and what a use costs then.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeCardFile } from "./card-file.js";
import type { BenchCase, Run } from "./case.js";
import { timed } from "./case.js";
import { makeFolder, removeFolder } from "./folder.js";
import type { CheckpointFigures, MemoryFigures } from "./host.js";
import { Server, type ServerPlan } from "./server.js";
import { loadServer, type Shape, usesOf } from "./wire.js";

const SIZES = [1_000_000, 10_000_000];
const LARGE_SIZES = [...SIZES, 100_000_000];
const SHAPE: Shape = { connections: 16, recordsPerFrame: 128, inFlight: 4 };
const FRAMES = 1600;
const SECONDS = 3;
const CHECKPOINT_SECONDS = 86_400;

export const SCALE: BenchCase = {
  name: "scale",
  text: "import, memory, checkpoint, restart and throughput at growing numbers of cards",
  run: async (run) => {
    const sizes = run.settings.large ? LARGE_SIZES : SIZES;
    const counts = sizes.map((size) => run.amount(size, 1000 * (1 + sizes.indexOf(size))));
    for (const count of counts) await atCount(run, count);
    for (const count of counts.slice(1)) {
      run.compare(`${count}/throughput`, `${counts[0]}/throughput`);
    }
  },
};

async function atCount(run: Run, count: number): Promise<void> {
  const folder = makeFolder();
  const frameCount = run.amount(FRAMES, 5);
  const plan: ServerPlan = {
    terminalCount: SHAPE.connections,
    cardCount: count,
    usesMax: usesOf(SHAPE, frameCount),
    flags: { "journal.checkpointSeconds": CHECKPOINT_SECONDS },
  };
  try {
    await fill(run, folder, plan);
    await restart(run, folder, plan, frameCount);
  } finally {
    removeFolder(folder);
  }
}

/** Imports the cards and makes a checkpoint. */
async function fill(run: Run, folder: string, plan: ServerPlan): Promise<void> {
  const { cardCount: count, terminalCount } = plan;
  const path = join(folder, "cards.csv");
  run.say(`writing a file of ${count} cards`);
  writeCardFile(path, count);
  const server = await Server.startOn(folder, plan);
  await server.host.ask("parties", terminalCount);
  run.say(`importing ${count} cards`);
  const { imported, seconds } = await server.host.ask<{ imported: number; seconds: number }>(
    "import",
    path,
  );
  rmSync(path);
  if (imported !== count) throw new Error(`${imported} of ${count} cards were imported`);
  const rate = imported / seconds;
  const what = `${count} cards from CSV, on disk`;
  run.record({ name: `${count}/import`, text: what, value: rate, unit: "cards/s" });
  run.say("making a checkpoint");
  const checkpoint = await server.host.ask<CheckpointFigures>("checkpoint");
  const slices = `${checkpoint.slices} slices, ${checkpoint.slow} of them over 1 ms`;
  const turn = `longest turn of the loop ${checkpoint.longestTurnMs.toFixed(1)} ms`;
  const text = `${slices}; ${turn}`;
  run.record({ name: `${count}/checkpoint`, text, value: checkpoint.seconds, unit: "s" });
  await server.host.stop();
}

/** Starts again on what is there, and loads it. */
async function restart(
  run: Run,
  folder: string,
  plan: ServerPlan,
  frameCount: number,
): Promise<void> {
  const { cardCount: count } = plan;
  run.say(`starting again with ${count} cards`);
  let server: Server | null = null;
  const seconds = await timed(async () => {
    server = await Server.startOn(folder, plan);
  });
  const { host } = server! as Server;
  try {
    const text = "from the start of the process until it serves";
    run.record({ name: `${count}/restart`, text, value: seconds, unit: "s" });
    const amount = { frameCount, seconds: run.seconds(SECONDS) };
    const figures = await loadServer(run, server!, SHAPE, amount);
    run.record({
      name: `${count}/throughput`,
      text: `frames of ${SHAPE.recordsPerFrame}, random cards of ${count}`,
      value: figures.usesPerSecond,
      unit: "uses/s",
    });
    const cpu = "CPU of the server for each use, all its threads";
    const cost = figures.cpuMicrosecondsPerUse;
    run.record({ name: `${count}/server-cpu`, text: cpu, value: cost, unit: "us" });
    memory(run, count, await host.ask<MemoryFigures>("memory"));
  } finally {
    await host.stop();
  }
}

function memory(run: Run, count: number, figures: MemoryFigures): void {
  const text = "memory of the process, mapped pages of the data file aside";
  const mebibytes = figures.ownBytes / 2 ** 20;
  run.record({ name: `${count}/memory`, text, value: mebibytes, unit: "MiB" });
  const what = "rows of the card table and their index, for each card";
  run.record({ name: `${count}/card`, text: what, value: figures.cardTableBytes, unit: "bytes" });
}
