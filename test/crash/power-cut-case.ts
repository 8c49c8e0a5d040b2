// Power cuts: what a server writes and syncs is recorded, and its data files are made again as a
// cut at a random moment could have left them, journal and tables at the same one. Every answer
// that was there before the cut must be found.
//
// The control: a disk that ignores syncs. It must lose answered uses, or the case shows nothing.

import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configOf } from "../server-kit.js";
import { type Context, type CrashCase, takeVerdict, unexpected } from "./case.js";
import { isEnded, Life, scratchFolder, seededCopy } from "./life.js";
import type { Preload } from "./preload.js";
import { DATA_FILES, putFiles, Recording } from "./recording.js";
import { judge, repeats } from "./verdict.js";

const CUTS_PER_RECORDING = 50;
/** Long enough for two checkpoints; one, when there are few cuts. */
const RECORDED_MS = 2500;
const RECORDED_SHORT_MS = 1300;
/** One cut in so many is also served, and asked for its first answers. */
const SERVED_EVERY = 10;
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
    for (let done = 0; done < settings.cuts; ) {
      const recorded = await record(context, preload);
      const end = Math.min(settings.cuts, done + CUTS_PER_RECORDING);
      for (; done < end; done++) {
        await cut(context, recorded, done % SERVED_EVERY === 0);
        if (done % CONTROL_EVERY === 0) await control(context, recorded);
        context.progress(done + 1, settings.cuts);
      }
    }
    const { cuts, controls, controlsLost } = context.totals;
    context.row(`${cuts} cuts; ${controlsLost} of ${controls} without syncs lost answered uses`);
  },
};

interface Recorded {
  life: Life;
  recording: Recording;
  /** Marks of the answers, upwards. */
  marks: number[];
}

/** A server under load, from its start to an orderly stop. */
async function record(context: Context, preload: Preload): Promise<Recorded> {
  const recordFile = join(scratchFolder(context), "recording");
  const mark = () => statSync(recordFile).size;
  const life = new Life(context, "power cut", { mark });
  const server = await life.start(preload.environment({ recordFile }));
  const gone = life.load(server);
  await life.grow(1);
  await sleep(context.settings.cuts < CUTS_PER_RECORDING ? RECORDED_SHORT_MS : RECORDED_MS);
  await server.end("SIGTERM");
  await gone;
  life.count();
  const recording = new Recording(recordFile, context.template);
  rmSync(recordFile);
  const real = DATA_FILES.map((name) => readFileSync(join(life.folder, name)));
  const same = recording.all().every((bytes, i) => bytes.equals(real[i]!));
  if (!recording.whole || !same) {
    unexpected(context, "power cut: the recording is not all that was written");
  }
  const marks = life.ledger.answered.map((use) => use.mark).sort((a, b) => a - b);
  return { life, recording, marks };
}

async function cut(context: Context, recorded: Recorded, served: boolean): Promise<void> {
  const { recording, marks, life } = recorded;
  const { steps } = recording;
  const first = stepsUntil(recording, marks[0]!);
  const count = first + context.random.below(steps.length - first);
  const mark = steps[count - 1]!.end;
  const where = `power cut after ${count} of ${steps.length} steps`;
  context.totals.cuts++;
  const folder = putTogether(context, recording.cut(count, context.random));
  try {
    takeVerdict(context, where, await judge(configOf(folder, life.flags), life.ledger, mark));
    if (served) await serve(context, recorded, folder, mark);
  } catch (error) {
    unexpected(context, `${where}: ${(error as Error).message}`);
  }
  rmSync(folder, { recursive: true });
}

/** A server over what the cut left gives first answers. */
async function serve(
  context: Context,
  { life }: Recorded,
  folder: string,
  mark: number,
): Promise<void> {
  const after = new Life(context, "after a power cut", { folder, flags: life.flags });
  const server = await after.tryStart();
  if (isEnded(server)) throw new Error(server.stderr.trim());
  const { asked, changed } = await repeats(server.terminalsUrl, life.ledger, REPEATS, mark);
  context.totals.repeats += asked;
  context.totals.changed += changed.length;
  await server.end("SIGKILL");
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

function putTogether(context: Context, files: readonly Buffer[]): string {
  const folder = seededCopy(context);
  putFiles(folder, files);
  return folder;
}
