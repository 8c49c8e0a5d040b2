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
const FRAMES = 1200;
const SECONDS = 3;
/** What goes on while a checkpoint is made: one gate that sends use after use. */
const LIGHT: Shape = { connections: 1, recordsPerFrame: 1, inFlight: 1 };
const LIGHT_FRAMES = 200_000;
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
    terminalCount: SHAPE.connections + LIGHT.connections,
    cardCount: count,
    usesMax: usesOf(SHAPE, frameCount) + usesOf(LIGHT, run.amount(LIGHT_FRAMES, 5)),
    flags: {
      "journal.checkpointSeconds": CHECKPOINT_SECONDS,
      // What cards take is to be seen, and how soon a server starts.
      "tables.memory": "as-needed",
    },
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
  const figures = await server.host.ask<CheckpointFigures>("checkpoint");
  checkpoint(run, `${count}/checkpoint`, "", figures);
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
    await checkpointUnderLoad(run, count, server! as Server);
  } finally {
    await host.stop();
  }
}

/** A checkpoint of what the load has changed, while one gate goes on; memory is told again. */
async function checkpointUnderLoad(run: Run, count: number, server: Server): Promise<void> {
  run.say("making a checkpoint under load");
  let making: Promise<CheckpointFigures> | null = null;
  await loadServer(run, server, LIGHT, {
    frameCount: run.amount(LIGHT_FRAMES, 5),
    seconds: run.seconds(SECONDS),
    firstTerminal: SHAPE.connections,
    before: async () => {
      making = server.host.ask<CheckpointFigures>("checkpoint");
    },
  });
  checkpoint(run, `${count}/checkpoint-in-use`, "; one gate in use", (await making!)!);
  const { ownBytes } = await server.host.ask<MemoryFigures>("memory");
  const text = "memory of the process after that checkpoint";
  const mebibytes = ownBytes / 2 ** 20;
  run.record({ name: `${count}/memory-after`, text, value: mebibytes, unit: "MiB" });
}

function checkpoint(run: Run, name: string, what: string, figures: CheckpointFigures): void {
  const slices = `${figures.slices} slices, ${figures.slow} of them over 1 ms`;
  const turn = `longest turn of the loop ${figures.longestTurnMs.toFixed(1)} ms`;
  run.record({ name, text: `${slices}; ${turn}${what}`, value: figures.seconds, unit: "s" });
}

function memory(run: Run, count: number, figures: MemoryFigures): void {
  const what = "memory of the process, mapped pages of the data file aside";
  const text = `${what}; ${figures.usesRemembered} uses remembered`;
  const mebibytes = figures.ownBytes / 2 ** 20;
  run.record({ name: `${count}/memory`, text, value: mebibytes, unit: "MiB" });
  const card = "rows of the card table and their index, for each card";
  run.record({ name: `${count}/card`, text: card, value: figures.cardTableBytes, unit: "bytes" });
}
