// Calls of the C library that fail: the nth write or sync of a data file gives EIO, ENOSPC, half of
// what it should, nothing for seconds, or the end of the process in its middle.

import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configOf, until } from "../server-kit.js";
import type { Ended, ServerProcess } from "../tongka-process.js";
import { type Context, type CrashCase, expect, takeVerdict, unexpected } from "./case.js";
import { isEnded, Life, scratchFolder, seededCopy } from "./life.js";
import type { Fault, Preload } from "./preload.js";
import { putFiles, Recording } from "./recording.js";
import { judge } from "./verdict.js";

/** A server that a fault must end has ended by then. */
const END_MS = 6000;
/** A server that must go on after a fault is looked at for so long. */
const GO_ON_MS = 1500;

interface Row {
  fault: Omit<Fault, "nth">;
  /** The call that fails is one of these, by chance. */
  nth: readonly [number, number];
  line: RegExp | null;
  end: "SIGKILL" | "serves" | number;
}

const FAILED =
  /^tongka: stopped: (a commit of the journal failed|the data folder could not be written): [^|]*$/;
const SLOW = /^tongka: stopped: a commit of the journal took longer [^|]*: check the disk$/;
/** Beyond the calls of a start. */
const UNDER_LOAD = [10, 90] as const;
const IN_START = [1, 1] as const;
const IN_CHECKPOINTS = [1, 4] as const;

function row(
  [file, call, kind, how]: readonly [Fault["file"], Fault["call"], Fault["kind"], string],
  nth: Row["nth"],
  end: Row["end"],
  line: RegExp | null,
): Row {
  return { fault: { file, call, kind, always: how === "always" }, nth, end, line };
}

/** Most telling first: a short run takes the first rows. */
const ROWS: readonly Row[] = [
  row(["journal", "sync", "eio", "once"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["tables", "write", "kill", "once"], IN_CHECKPOINTS, "SIGKILL", null),
  row(["journal", "write", "short", "once"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "write", "enospc", "always"], IN_START, "SIGKILL", FAILED),
  row(["journal", "sync", "stall", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["tables", "write", "enospc", "always"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["journal", "sync", "eio", "once"], IN_START, "SIGKILL", FAILED),
  row(["journal", "write", "enospc", "always"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "write", "eio", "once"], UNDER_LOAD, "SIGKILL", FAILED),
  row(["journal", "sync", "enospc", "always"], UNDER_LOAD, "SIGKILL", FAILED),
  // lmdb then never answers at all.
  row(["journal", "meta", "eio", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "meta", "short", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "write", "stall", "once"], UNDER_LOAD, "SIGKILL", SLOW),
  row(["journal", "write", "kill", "once"], UNDER_LOAD, "SIGKILL", null),
  row(["journal", "meta", "kill", "once"], UNDER_LOAD, "SIGKILL", null),
  row(["tables", "sync", "eio", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "write", "eio", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "write", "short", "once"], IN_CHECKPOINTS, "SIGKILL", FAILED),
  row(["tables", "sync", "kill", "once"], IN_CHECKPOINTS, "SIGKILL", null),
  row(["tables", "sync", "stall", "once"], IN_CHECKPOINTS, "serves", null),
  row(["tables", "meta", "eio", "once"], IN_CHECKPOINTS, "serves", null),
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

async function faultOnce(context: Context, preload: Preload, row: Row): Promise<void> {
  const [least, most] = row.nth;
  const nth = least + context.random.below(most - least + 1);
  const fault = { ...row.fault, nth };
  const { file, call, kind, always } = fault;
  const what = `${file} ${call} ${nth} ${kind}${always ? " from then on" : ""}`;
  const folder = scratchFolder(context);
  const [recordFile, hitFile] = [join(folder, "recording"), join(folder, "hit")];
  const mark = () => (existsSync(recordFile) ? statSync(recordFile).size : 0);
  const life = new Life(context, what, { mark, flags: { "journal.commitSecondsMax": 1 } });
  const server = await life.tryStart(preload.environment({ recordFile, hitFile, fault }));
  const gone = isEnded(server) ? Promise.resolve() : life.load(server);
  await until(`the fault ${what}`, () => existsSync(hitFile) && statSync(hitFile).size > 0);
  context.totals.faults++;
  const ended = isEnded(server) ? server : await endOf(context, life, server, row);
  await gone;
  const { line, end } = row;
  expect(context, { what, line, end }, end === "serves" && goesOn(ended) ? "serves" : ended);
  await life.judge();
  await afterPowerCut(context, life, recordFile);
  await life.restart();
  life.count();
  rmSync(folder, { recursive: true });
}

/** The end that came by itself, or that of a server which went on and was killed. */
async function endOf(
  context: Context,
  life: Life,
  server: ServerProcess,
  { end }: Row,
): Promise<Ended> {
  if (end === "serves") {
    await sleep(GO_ON_MS);
    if (server.child.exitCode === null && server.child.signalCode === null) {
      await life.grow(1);
      await life.repeat(server);
      return { ...(await killed(server)), code: null, signal: null };
    }
    return server.ended;
  }
  const late = sleep(END_MS, null, { ref: false });
  const ended = await Promise.race([server.ended, late]);
  if (ended !== null) return ended;
  unexpected(context, `${life.name}: it did not end`);
  return killed(server);
}

async function killed(server: ServerProcess): Promise<Ended> {
  await server.end("SIGKILL");
  return server.ended;
}

function goesOn({ code, signal }: Ended): boolean {
  return code === null && signal === null;
}

/** The same moment, when the machine goes down with the process: what was not synced may be gone. */
async function afterPowerCut(context: Context, life: Life, recordFile: string): Promise<void> {
  const recording = new Recording(recordFile, context.template);
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
