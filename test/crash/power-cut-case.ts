// Power cuts: what a server writes and syncs is recorded, and its data files are made again as a
// cut at a random moment could have left them, journal and tables at the same one. Every answer
// that was there before the cut must be found. Some starts after a cut are recorded and cut, too,
// for they write over what a torn block has left.
//
// The control: a disk that ignores syncs. It must lose answered uses, or the case shows nothing.

import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { verifyJournal } from "../../src/journal-files.js";
import { configOf, until } from "../server-kit.js";
import { type Context, type CrashCase, takeVerdict, unexpected } from "./case.js";
import { isEnded, Life, SMALL_FILES, scratchFolder, seededCopy } from "./life.js";
import type { Preload } from "./preload.js";
import { type DataFiles, putFiles, Recording, readFiles } from "./recording.js";
import { judge, repeats } from "./verdict.js";

const CUTS_PER_RECORDING = 50;
/** Long enough for two checkpoints; one, when there are few cuts. */
const RECORDED_MS = 2500;
const RECORDED_SHORT_MS = 1300;
/** One cut in so many is also served, asked for its first answers, and cut once more. */
const SERVED_EVERY = 10;
/** One cut in so many falls while a file of the journal is made, if one is. */
const AT_FILE_EVERY = 4;
/** Steps from before a file is made to the end of its first block. */
const FILE_STEPS = 7;
/** Files that are made in a recording with small ones, at least. */
const FILES_MIN = 3;
/** Steps in which a start writes over what a torn block has left, at most. */
const START_STEPS = 8;
/** One control for so many cuts. */
const CONTROL_EVERY = 10;
/** Answers between what the control's disk has and its cut: more than any block holds. */
const CONTROL_ANSWERS = 200;
const REPEATS = 60;

export const POWER_CUT_CASE: CrashCase = {
  name: "power-cut",
  text: "writes not synced are dropped or torn at random cuts; a control without syncs",
  run: async (context) => {
    const { preload, settings } = context;
    if (typeof preload === "string") return context.skip(`power cuts need a recording: ${preload}`);
    const seen: Seen = { torn: 0, atFile: 0, files: 0, starts: 0 };
    for (let done = 0; done < settings.cuts; ) {
      const small = (done / CUTS_PER_RECORDING) % 2 === 0;
      const recorded = await record(context, preload, small);
      seen.files += recorded.recording.creations.length;
      const end = Math.min(settings.cuts, done + CUTS_PER_RECORDING);
      for (; done < end; done++) {
        const served = done % SERVED_EVERY === 0 ? preload : null;
        await cut(context, recorded, seen, { served, atFile: done % AT_FILE_EVERY === 1 });
        if (done % CONTROL_EVERY === 0) await control(context, recorded);
        context.progress(done + 1, settings.cuts);
      }
    }
    const { cuts, controls, controlsLost } = context.totals;
    context.row(`${cuts} cuts; ${controlsLost} of ${controls} without syncs lost answered uses`);
    const { torn, atFile, files, starts } = seen;
    context.row(
      `    ${files} files made, ${atFile} cuts at one, ${torn} torn, ${starts} of starts`,
    );
  },
};

/** What the cuts were, for the person. */
interface Seen {
  /** Left something behind the last whole block. */
  torn: number;
  /** Fell while a file was made. */
  atFile: number;
  /** Files that were made in recordings. */
  files: number;
  /** Cuts of a start after a cut. */
  starts: number;
}

interface Recorded {
  life: Life;
  recording: Recording;
  /** Marks of the answers, upwards. */
  marks: number[];
}

/** A server under load, from its start to an orderly stop. */
async function record(context: Context, preload: Preload, small: boolean): Promise<Recorded> {
  const recordFile = join(scratchFolder(context), "recording");
  const mark = () => statSync(recordFile).size;
  const life = new Life(context, "power cut", { mark, flags: small ? SMALL_FILES : {} });
  const server = await life.start(preload.environment({ recordFile }));
  const gone = life.load(server);
  await life.grow(1);
  await sleep(context.settings.cuts < CUTS_PER_RECORDING ? RECORDED_SHORT_MS : RECORDED_MS);
  if (small) {
    const files = (folder: string) => readdirSync(join(folder, "journal")).length;
    const least = files(context.template) + FILES_MIN;
    await until("files of the journal", () => files(life.folder) >= least);
  }
  await server.end("SIGTERM");
  await gone;
  life.count();
  const recording = new Recording(recordFile, readFiles(context.template));
  rmSync(recordFile);
  if (!recording.whole || !areSame(recording.all(), readFiles(life.folder))) {
    unexpected(context, "power cut: the recording is not all that was written");
  }
  const marks = life.ledger.answered.map((use) => use.mark).sort((a, b) => a - b);
  return { life, recording, marks };
}

function areSame(files: DataFiles, others: DataFiles): boolean {
  const equal = ([path, bytes]: [string, Buffer]) => others.get(path)?.equals(bytes) === true;
  return files.size === others.size && [...files].every(equal);
}

interface CutOptions {
  /** The library, when a server is to start on what the cut leaves; else null. */
  served: Preload | null;
  /** Whether it is to fall while a file is made. */
  atFile: boolean;
}

async function cut(
  context: Context,
  recorded: Recorded,
  seen: Seen,
  { served, atFile }: CutOptions,
): Promise<void> {
  const { recording, marks, life } = recorded;
  const { steps } = recording;
  const first = stepsUntil(recording, marks[0]!);
  const files = recording.creations.filter((index) => index > first);
  const near = atFile && files.length > 0;
  if (near) seen.atFile++;
  const count = near
    ? Math.min(steps.length, context.random.pick(files) + context.random.below(FILE_STEPS))
    : first + context.random.below(steps.length - first);
  const mark = steps[count - 1]!.end;
  const where = `power cut after ${count} of ${steps.length} steps`;
  context.totals.cuts++;
  const folder = putTogether(context, recording.cut(count, context.random));
  try {
    if ((await verifyJournal(folder, () => {})).unfinishedSize > 0) seen.torn++;
    const again = served === null ? null : putTogether(context, readFiles(folder));
    takeVerdict(context, where, await judge(configOf(folder, life.flags), life.ledger, mark));
    if (again !== null) {
      await serve(context, recorded, { preload: served!, folder: again, mark, where });
      seen.starts++;
    }
  } catch (error) {
    unexpected(context, `${where}: ${(error as Error).message}`);
  }
  rmSync(folder, { recursive: true });
}

interface ServeOptions {
  preload: Preload;
  folder: string;
  mark: number;
  where: string;
}

/** A server over what the cut left gives first answers; a power cut in its life loses none. */
async function serve(
  context: Context,
  { life }: Recorded,
  { preload, folder, mark, where }: ServeOptions,
): Promise<void> {
  const recordFile = join(scratchFolder(context), "recording");
  const before = readFiles(folder);
  const after = new Life(context, "after a power cut", { folder, flags: life.flags });
  const server = await after.tryStart(preload.environment({ recordFile }));
  if (isEnded(server)) throw new Error(server.stderr.trim());
  const { asked, changed } = await repeats(server.terminalsUrl, life.ledger, REPEATS, mark);
  context.totals.repeats += asked;
  context.totals.changed += changed.length;
  await server.end("SIGKILL");
  const recording = new Recording(recordFile, before);
  rmSync(recordFile);
  const { length } = recording.steps;
  const early = context.random.below(2) === 0;
  const count = context.random.below(early ? Math.min(START_STEPS, length) : length);
  putFiles(folder, recording.cut(count, context.random));
  const what = `${where}, and one after ${count} of ${length} steps of a start`;
  takeVerdict(context, what, await judge(configOf(folder, life.flags), life.ledger, mark));
  rmSync(folder, { recursive: true });
}

async function control(context: Context, { recording, marks, life }: Recorded): Promise<void> {
  if (marks.length <= CONTROL_ANSWERS) {
    unexpected(context, "power cut: too few answers for a control");
    return;
  }
  const first = context.random.below(marks.length - CONTROL_ANSWERS);
  const kept = stepsUntil(recording, marks[first]!);
  const mark = marks[first + CONTROL_ANSWERS]!;
  const folder = putTogether(context, recording.unsynced(kept));
  const { lost } = await judge(configOf(folder, life.flags), life.ledger, mark);
  rmSync(folder, { recursive: true });
  context.totals.controls++;
  if (lost.length > 0) context.totals.controlsLost++;
  else unexpected(context, "power cut: a disk that ignores syncs lost nothing");
}

/** Steps that were on the recording when it was `mark` bytes long. */
function stepsUntil({ steps }: Recording, mark: number): number {
  const index = steps.findIndex(({ end }) => end > mark);
  return index === -1 ? steps.length : index;
}

function putTogether(context: Context, files: DataFiles): string {
  const folder = seededCopy(context);
  putFiles(folder, files);
  return folder;
}
