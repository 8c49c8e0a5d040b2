// kill -9 at random instants: under load, in a checkpoint, in a start. Each life goes on from what
// the last one left, and is asked again what the last one was asked.
//
// The control: a server that counts twice. The verdict must say so, or the case shows nothing.

import { setTimeout as sleep } from "node:timers/promises";
import { type Context, type CrashCase, unexpected } from "./case.js";
import { isEnded, Life, SMALL_FILES } from "./life.js";
import { twiceControl } from "./twice-control.js";

/** Kills of one data folder: each verdict reads its whole journal. */
const ROUNDS_PER_FOLDER = 20;
const START_KILLED_EVERY = 10;
const START_MS_MAX = 500;
const LOAD_MS_MAX = 300;
/** A checkpoint begins a second after the start. */
const CHECKPOINT_KILLED_EVERY = 4;
const CHECKPOINT_MS_MIN = 600;
const CHECKPOINT_MS_MAX = 500;

export const KILL_CASE: CrashCase = {
  name: "kill",
  text: "kill -9 at random instants under load; a control that counts twice",
  run: async (context) => {
    const { rounds } = context.settings;
    let life: Life | null = null;
    let replayed = 0;
    for (let round = 0; round < rounds; round++) {
      if (round % ROUNDS_PER_FOLDER === 0) {
        life?.count();
        const small = (round / ROUNDS_PER_FOLDER) % 2 === 0;
        life = new Life(context, `kill ${round + 1}`, { flags: small ? SMALL_FILES : {} });
      }
      replayed += await killOnce(context, life!, round);
      context.progress(round + 1, rounds);
    }
    life?.count();
    await life?.restart();
    if (rounds > 0 && replayed === 0) unexpected(context, "kill: no block was replayed");
    context.row(`${rounds} kills: ${replayed} blocks replayed`);
    if (rounds > 0) await twiceControl(context);
  },
};

/** Returns the blocks that recovery replayed. */
async function killOnce(context: Context, life: Life, round: number): Promise<number> {
  const { random, totals } = context;
  if (round % START_KILLED_EVERY === START_KILLED_EVERY - 1) {
    const delayMs = random.below(START_MS_MAX);
    const server = await life.tryStart({}, (kill) => setTimeout(kill, delayMs));
    const ended = isEnded(server) ? server : await server.ended;
    if (ended.signal !== "SIGKILL") unexpected(context, `kill: a start ended by ${ended.code}`);
  } else {
    const server = await life.start();
    if (life.ledger.answers > 0) await life.repeat(server);
    const gone = life.load(server);
    await life.grow(1);
    const late = random.below(CHECKPOINT_KILLED_EVERY) === 0;
    await sleep(
      late ? CHECKPOINT_MS_MIN + random.below(CHECKPOINT_MS_MAX) : random.below(LOAD_MS_MAX),
    );
    await server.end("SIGKILL");
    const { signal, stderr } = await server.ended;
    if (signal !== "SIGKILL" || stderr !== "") unexpected(context, `kill: it said ${stderr}`);
    await gone;
  }
  totals.kills++;
  return (await life.judge()).blocksReplayed;
}
