// Calls of the C library that fail: the nth write or sync of a data file, or the nth file that is
// made, gives EIO, ENOSPC, half of what it should, nothing for seconds or for ever, or the end of
// the process in its middle.

import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configOf, until } from "../server-kit.js";
import type { Ended, ServerProcess } from "../tongka-process.js";
import {
  type Context,
  type CrashCase,
  type Expectation,
  expect,
  takeVerdict,
  unexpected,
} from "./case.js";
import { isEnded, Life, SMALL_FILES, scratchFolder, seededCopy } from "./life.js";
import type { Fault, Preload } from "./preload.js";
import { putFiles, Recording, readFiles } from "./recording.js";
import { judge } from "./verdict.js";

/** A server that a fault must end has ended by then. */
const END_MS = 6000;
/** A server that must go on after a stall is looked at for so long, then stopped in order. */
const GO_ON_MS = 12_000;
/** A hang needs no such look: nothing comes after it. */
const HANG_MS = 2000;
const STOP_MS = 15_000;

interface Row {
  fault: Omit<Fault, "nth">;
  /** The call that fails is one of these, by chance. */
  nth: readonly [number, number];
  end: Expectation["end"];
  line: RegExp | null;
  /** How one that serves on ends when it is asked to stop. */
  stop: Omit<Expectation, "what"> | null;
}

const FAILED =
  /^tongka: stopped: (a commit of the journal failed|the data folder could not be written): [^|]*$/;
const SLOW = /^tongka: stopped: a commit of the journal took longer [^|]*: check the disk$/;
const HUNG = /^tongka: stopped: the checkpoint of the stop got no further [^|]*: check the disk$/;
/** Beyond the calls of a start. */
const UNDER_LOAD = [10, 90] as const;
const IN_START = [1, 1] as const;
const IN_CHECKPOINTS = [1, 4] as const;
const IN_ROOM = [1, 6] as const;
/** Files of the journal that are made under load, when they are small. */
const IN_FILES = [1, 4] as const;
/** Beyond that of a start. */
const IN_FOLDERS = [2, 5] as const;

function row(
  [file, call, kind, how]: readonly [Fault["file"], Fault["call"], Fault["kind"], string],
  nth: Row["nth"],
  end: Row["end"],
  line: RegExp | null,
  stop: Row["stop"] = null,
): Row {
  return { fault: { file, call, kind, always: how === "always" }, nth, end, line, stop };
}

const STOPS = { end: 0, line: null };

/** A stop must not wait for ever for its checkpoint. */
const HANG = row(["tables", "sync", "hang", "once"], IN_CHECKPOINTS, "serves", null, {
  end: "SIGKILL",
  line: HUNG,
});

/** Most telling first: a short run takes the first rows. */
const ROWS: readonly Row[] = [
  row(["journal", "sync", "eio", "once"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["tables", "write", "kill", "once"], IN_CHECKPOINTS, "SIGKILL", null),
  row(["journal", "write", "enospc", "always"], IN_START, "SIGKILL", FAILED),
  row(["journal", "create", "eio", "once"], IN_FILES, "SIGKILL", FAILED),
  row(["journal", "write", "short", "always"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "sync", "stall", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["tables", "write", "enospc", "always"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["journal", "sync", "eio", "once"], IN_START, "SIGKILL", FAILED),
  row(["journal", "write", "enospc", "always"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "write", "eio", "once"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "sync", "enospc", "always"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "create", "enospc", "always"], IN_FILES, "SIGKILL", FAILED),
  row(["journal", "create", "kill", "once"], IN_FILES, "SIGKILL", null),
  row(["journal", "folder", "eio", "once"], IN_FOLDERS, "SIGKILL", FAILED),
  row(["journal", "folder", "kill", "once"], IN_FOLDERS, "SIGKILL", null),
  row(["journal", "write", "stall", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "write", "kill", "once"], UNDER_LOAD, "SIGKILL", null),
  row(["journal", "sync", "kill", "once"], UNDER_LOAD, "SIGKILL", null),
  row(["journal", "sync", "hang", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "write", "hang", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "create", "stall", "once"], IN_FILES, "SIGKILL", SLOW),
  row(["journal", "create", "hang", "once"], IN_FILES, "SIGKILL", SLOW),
  row(["journal", "folder", "eio", "once"], IN_START, "SIGKILL", FAILED),
  row(["journal", "folder", "stall", "once"], IN_FOLDERS, "SIGKILL", SLOW),
  row(["tables", "sync", "eio", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "write", "eio", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "write", "short", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "sync", "kill", "once"], IN_CHECKPOINTS, "SIGKILL", null),
  row(["tables", "meta", "eio", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "meta", "short", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "meta", "kill", "once"], IN_CHECKPOINTS, "SIGKILL", null),
  row(["tables", "sync", "stall", "once"], IN_CHECKPOINTS, "serves", null, STOPS),
  // Node writes the rest of a write that was short, and is told of no error.
  row(["journal", "write", "short", "once"], UNDER_LOAD, "serves", null, STOPS),
  row(["journal", "room", "enospc", "always"], IN_ROOM, "serves", null, STOPS),
  row(["journal", "room", "short", "always"], IN_ROOM, "serves", null, STOPS),
  row(["journal", "room", "kill", "once"], IN_ROOM, "SIGKILL", null),
  row(["journal", "room", "stall", "once"], IN_ROOM, "SIGKILL", SLOW),
  HANG,
];

export const FAULT_CASE: CrashCase = {
  name: "faults",
  text: "failing, short and stalled writes and syncs at the nth call",
  run: async (context) => {
    const { preload, settings } = context;
    if (typeof preload === "string") return context.skip(`faults need a library: ${preload}`);
    for (let i = 0; i < settings.faults; i++) {
      await faultOnce(context, preload, ROWS[i % ROWS.length]!);
      context.progress(i + 1, settings.faults);
    }
  },
};

export const FAULT_ROWS = ROWS.length;

export const HANG_CASE: CrashCase = {
  name: "faults",
  text: "the last row alone",
  run: async (context) => {
    if (typeof context.preload === "string") context.skip(context.preload);
    else await faultOnce(context, context.preload, HANG);
  },
};

async function faultOnce(context: Context, preload: Preload, row: Row): Promise<void> {
  const [least, most] = row.nth;
  const nth = least + context.random.below(most - least + 1);
  const fault = { ...row.fault, nth };
  const { file, call, kind, always } = fault;
  const small = areSmall(context, row.fault);
  const more = `${always ? " from then on" : ""}${small ? ", small files" : ""}`;
  const what = `${file} ${call} ${nth} ${kind}${more}`;
  const folder = scratchFolder(context);
  const [recordFile, hitFile] = [join(folder, "recording"), join(folder, "hit")];
  const mark = () => (existsSync(recordFile) ? statSync(recordFile).size : 0);
  const short = row.line === SLOW || kind === "hang";
  const flags = { "journal.commitSecondsMax": short ? 1 : 30, ...(small && SMALL_FILES) };
  const life = new Life(context, what, { mark, flags });
  const server = await life.tryStart(preload.environment({ recordFile, hitFile, fault }));
  const gone = isEnded(server) ? Promise.resolve() : life.load(server);
  await until(`the fault ${what}`, () => existsSync(hitFile) && statSync(hitFile).size > 0);
  context.totals.faults++;
  const { line, end, stop } = row;
  if (isEnded(server)) expect(context, { what, line, end }, server);
  else if (stop === null)
    expect(context, { what, line, end }, await endOf(context, what, server, END_MS));
  else await goOn(context, life, server, row);
  await gone;
  await life.judge();
  await afterPowerCut(context, life, recordFile);
  await life.restart();
  life.count();
  rmSync(folder, { recursive: true });
}

/** Whether files of the journal are small: so that some are made, and else by chance. */
function areSmall({ random }: Context, { call }: Row["fault"]): boolean {
  if (call === "create" || call === "folder") return true;
  return call !== "room" && random.below(2) === 0;
}

/** The end that must come by itself. */
async function endOf(
  context: Context,
  what: string,
  server: ServerProcess,
  withinMs: number,
): Promise<Ended> {
  const late = sleep(withinMs, null, { ref: false });
  const ended = await Promise.race([server.ended, late]);
  if (ended !== null) return ended;
  unexpected(context, `${what}: it did not end`);
  await server.end("SIGKILL");
  return server.ended;
}

/** A server that serves on, and is then asked to stop. */
async function goOn(context: Context, life: Life, server: ServerProcess, row: Row): Promise<void> {
  const { line, end, stop } = row;
  const what = life.name;
  const goOnMs = row.fault.kind === "hang" ? HANG_MS : GO_ON_MS;
  const ended = await Promise.race([server.ended, sleep(goOnMs, null)]);
  expect(context, { what, line, end }, ended ?? "serves");
  if (ended !== null) return;
  await life.grow(1);
  await life.repeat(server);
  server.child.kill("SIGTERM");
  const stopped = await endOf(context, `${what}, and a stop`, server, STOP_MS);
  expect(context, { what: `${what}, and a stop`, ...stop! }, stopped);
}

/** The same moment, when the machine goes down, too: what was not synced may be gone. */
async function afterPowerCut(context: Context, life: Life, recordFile: string): Promise<void> {
  const recording = new Recording(recordFile, readFiles(context.template));
  const count = recording.steps.length;
  if (count === 0) return;
  const folder = seededCopy(context);
  putFiles(folder, recording.cut(count, context.random));
  context.totals.cuts++;
  const where = `${life.name}, and a power cut`;
  try {
    takeVerdict(context, where, await judge(configOf(folder, life.flags), life.ledger));
  } catch (error) {
    unexpected(context, `${where}: ${(error as Error).message}`);
  }
  rmSync(folder, { recursive: true });
}
