// Overload: a multiple of what the server can do is offered in an open loop, then a quarter of it.
//
// What must hold anywhere: every frame has one answer, what was not refused is approved and counted
// once, memory is bounded, and a refusal does not wait for others' work. What hangs on the machine:
// how soon.

import { Run } from "../../bench/case.js";
import { type PacedFigures, type PacedLoad, pacedFrameCount, runPaced } from "../../bench/paced.js";
import { Server } from "../../bench/server.js";
import { openTerminals } from "../../bench/terminal.js";
import { loadServer, messagesOf } from "../../bench/wire.js";
import { terminalIdOf } from "../../bench/world.js";
import { usesIndexSize } from "../../engine/duplicates.js";
import { USE_WORD } from "../../engine/use.js";
import { WORD } from "../../protocol/endian.js";
import { onOwnCore } from "./own-core.js";
import { ownBytes, watchMemory } from "./process-figures.js";
import type { Amount, LoadCase, Report } from "./report.js";

const FACTOR = 3;
/** Part of the capacity that is offered before and afterwards. */
const NORMAL_PART = 0.25;
/** As long before, by the same terminals, not measured: an overload comes to a server at work. */
const BEFORE_MS = 2000;
const CAPACITY = { connections: 32, inFlight: 16 };
const CAPACITY_FRAMES = 12_000;
/** How often it is measured for a short run, whose half second another test's disk can take. */
const CAPACITY_TIMES_SHORT = 3;
/** Enough for a minute of three times a million uses a second: STANs of a date are 999,999. */
const TERMINALS = 192;
const AFTER_TERMINALS = 8;
/** Those before it measure the capacity. */
const FIRST_TERMINAL = CAPACITY_TIMES_SHORT * CAPACITY.connections;
const RUN_LENGTH = 16;
const CARDS = 100_000;
const ANSWER_MS_MAX = 20;
/** What buffers, arenas and garbage may take besides remembered uses and their index. */
const OTHER_BYTES_MAX = 256 * 1024 * 1024;
const USES_PER_SECOND_MAX = 1_000_000;

/** What terminals send. */
interface Shape {
  records: number;
  /** Each frame is a message of its own, in place of one for all that leave at once. */
  apart: boolean;
}

export const OVERLOAD: LoadCase = {
  name: "overload",
  text: "three times the capacity in frames of eight uses, then a quarter of it",
  seconds: 60,
  run: (report, amount) => overload(report, amount, { records: 8, apart: false }),
};

export const OVERLOAD_SINGLE: LoadCase = {
  name: "overload-single",
  text: "three times the capacity in frames of one use, then a quarter of it",
  seconds: 60,
  run: (report, amount) => overload(report, amount, { records: 1, apart: false }),
};

export const OVERLOAD_APART: LoadCase = {
  name: "overload-apart",
  text: "the same with each frame in a message of its own; how soon meanwhile is told, not asked",
  seconds: 20,
  run: (report, amount) => overload(report, amount, { records: 1, apart: true }),
};

/** How a part of the load is offered, and for how long at `rate`. */
type Pace = Pick<PacedLoad, "rate" | "delayMs" | "warmUpMs" | "warmUpRate"> & { seconds: number };

/** A part of the load: its terminals and what they send. */
interface Part {
  load: PacedLoad;
  uses: number;
}

async function overload(report: Report, amount: Amount, shape: Shape): Promise<void> {
  const { seconds, short } = amount;
  const usesMax = Math.ceil((seconds + 10) * USES_PER_SECOND_MAX);
  const server = await Server.start({
    terminalCount: FIRST_TERMINAL + TERMINALS + 2 * AFTER_TERMINALS,
    cardCount: short ? 1000 : CARDS,
    usesMax,
    // The generator takes a core, and what uses take of memory is to be seen.
    flags: {
      "crypto.workers": 0,
      "tables.memory": "as-needed",
      ...(short ? littleRoom(shape) : {}),
    },
  });
  try {
    const { pid } = server.host.ready;
    const capacityOf = () => measured(report, server, shape, short);
    // In half a second, on the cores of the overload, it can come out so low that three times as
    // much is no overload.
    const capacity = short ? await capacityOf() : null;
    await onOwnCore(pid, report.say, async () => {
      await offer(report, server, capacity ?? (await capacityOf()), shape, amount, usesMax);
    });
  } finally {
    await server.stop();
  }
}

/**
 * For a short run, as much room as measuring the capacity takes: it must be overloaded, even when
 * three times a capacity that came out low is offered.
 */
function littleRoom({ records }: Shape): Record<string, number> {
  return {
    "limits.recordsInFlightMax": CAPACITY.connections * CAPACITY.inFlight * records,
    "limits.recordsPerFrameMax": records,
  };
}

async function offer(
  report: Report,
  server: Server,
  capacity: number,
  shape: Shape,
  amount: Amount,
  usesMax: number,
): Promise<void> {
  const { pid } = server.host.ready;
  const parts = await makeParts(report, server, capacity, shape, amount);
  const before = ownBytes(pid);
  const most = watchMemory(pid);
  report.say(`${Math.round(parts[0]!.load.rate)} frames a second for ${amount.seconds} s`);
  const run = () => Promise.all(parts.map(({ load }) => runPaced(load)));
  const { result, approved } = await server.underLoad(run);
  const [over, next, later] = result as [PacedFigures, PacedFigures, PacedFigures];
  judge(report, parts, [over, next, later], approved, shape.records);
  if (!shape.apart) judgeTimes(report, over);
  judgeAfter(report, later);
  judgeMemory(report, most() - before, approved, usesMax);
  for (const { load } of parts) for (const terminal of load.terminals) terminal.close();
}

/** Uses a second in a closed loop, at best. */
async function measured(report: Report, server: Server, shape: Shape, short: boolean) {
  const settings = { scale: 1, large: false, alone: true, configuration: {} };
  const run = new Run(report.caseName, settings, report.say);
  const amount = short
    ? { frameCount: 500, seconds: 0.5 }
    : { frameCount: CAPACITY_FRAMES, seconds: 4 };
  const load = { ...CAPACITY, recordsPerFrame: shape.records, apart: shape.apart };
  let capacity = 0;
  for (let time = 0; time < (short ? CAPACITY_TIMES_SHORT : 1); time++) {
    const firstTerminal = time * CAPACITY.connections;
    const { usesPerSecond } = await loadServer(run, server, load, { ...amount, firstTerminal });
    capacity = Math.max(capacity, usesPerSecond);
  }
  report.figure("capacity", capacity, "uses/s");
  return capacity;
}

/** The overload with what comes before it, the second after it, and what follows. */
async function makeParts(
  report: Report,
  server: Server,
  capacity: number,
  { records, apart }: Shape,
  { seconds, short }: Amount,
): Promise<Part[]> {
  let first = FIRST_TERMINAL;
  const part = async (count: number, paced: Pace) => {
    const idOf = (
      (from: number) => (i: number) =>
        terminalIdOf(from + i)
    )(first);
    first += count;
    const terminals = await openTerminals(server.terminalsUrl, count, idOf, !apart);
    const frameCount = pacedFrameCount(paced.rate, paced.seconds, count, RUN_LENGTH);
    report.say(`making ${frameCount * count} frames`);
    const messages = messagesOf(terminals, records, frameCount, server.cardCount);
    const uses = frameCount * count * records;
    const load = { ...paced, terminals, messages, runLength: RUN_LENGTH, overload: true };
    return { load, uses };
  };
  const normal = (NORMAL_PART * capacity) / records;
  const endMs = BEFORE_MS + seconds * 1000;
  return [
    await part(TERMINALS, {
      rate: (FACTOR * capacity) / records,
      seconds: seconds + ((NORMAL_PART / FACTOR) * BEFORE_MS) / 1000,
      warmUpMs: BEFORE_MS,
      warmUpRate: normal,
    }),
    await part(AFTER_TERMINALS, { rate: normal, seconds: 1, delayMs: endMs }),
    await part(AFTER_TERMINALS, { rate: normal, seconds: short ? 1 : 5, delayMs: endMs + 1000 }),
  ];
}

function judge(
  report: Report,
  parts: readonly Part[],
  [over, next, later]: [PacedFigures, PacedFigures, PacedFigures],
  approved: number,
  records: number,
): void {
  const all = [over, next, later];
  const frames = parts.reduce((sum, { uses }) => sum + uses / records, 0);
  const accepted = all.reduce((sum, each) => sum + each.accepted, 0);
  const refused = all.reduce((sum, each) => sum + each.refused, 0);
  const declined = parts
    .flatMap(({ load }) => load.terminals)
    .reduce((sum, terminal) => sum + terminal.declined, 0);
  const { rate } = parts[0]!.load;
  report.figure("offered", rate * records, "uses/s");
  const overFrames = over.latencies.count + over.refusals.count;
  report.figure("accepted", (over.latencies.count / overFrames) * rate * records, "uses/s");
  report.figure("frames offered", frames, "frames");
  report.figure("refused with 91", refused, "frames");
  for (const [name, each] of Object.entries({
    "accepted answers": over.latencies,
    refusals: over.refusals,
    "frames left late by": over.lags,
    "a second later": later.latencies,
  })) {
    for (const p of [50, 90, 99]) report.figure(`${name}, p${p}`, each.at(p) / 1000, "ms");
  }
  report.check("every frame has one answer: taken or 91", accepted + refused === frames);
  report.check("what was taken is approved, and counted once", approved === accepted * records);
  report.check("nothing was declined", declined === 0);
  report.check("what is too much is refused", over.refusals.count > 0);
  report.check("and some is taken all the while", over.latencies.count > 0);
}

/** How soon it is meanwhile: of the machine, too. */
function judgeTimes(report: Report, over: PacedFigures): void {
  // Unless both wait in the kernel: then more is offered than can be refused.
  const sooner = over.refusals.at(50) <= over.latencies.at(50);
  report.timed("a refusal does not wait for what was taken", sooner);
  report.timed(
    `accepted answers keep p99 under ${ANSWER_MS_MAX} ms`,
    over.latencies.at(99) < ANSWER_MS_MAX * 1000,
  );
  report.timed(
    `refused at once: p99 under ${ANSWER_MS_MAX} ms`,
    over.refusals.at(99) < ANSWER_MS_MAX * 1000,
  );
}

/** Whether it is back to normal. */
function judgeAfter(report: Report, later: PacedFigures): void {
  report.timed("a second after it, nothing is refused", later.refused === 0);
  report.timed(
    `a second after it, p99 is under ${ANSWER_MS_MAX} ms`,
    later.latencies.at(99) < ANSWER_MS_MAX * 1000,
  );
}

/** Terminals are many and their STANs few: soon nearly every page of the index has been written. */
function judgeMemory(report: Report, grownBytes: number, uses: number, usesMax: number): void {
  const remembered = uses * USE_WORD.COUNT * WORD.SIZE + usesIndexSize(usesMax);
  report.figure("memory grew by", grownBytes / 1e6, "MB");
  report.figure("remembered uses may take", remembered / 1e6, "MB");
  report.check("memory is bounded", grownBytes < OTHER_BYTES_MAX + remembered);
}
