// A storage stall: the real command, with a library before the C library that makes every write and
// sync of its data wait (stall.c). Shorter than journal.commitSecondsMax: nobody is answered
// meanwhile, and then everybody, rightly. Longer: a fail stop that says why, and after a restart
// every terminal that asks again gets its answer, the first one if it had one.

import { execFileSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, removeFolder } from "../../bench/folder.js";
import { pacedFrameCount, runPaced } from "../../bench/paced.js";
import { Server } from "../../bench/server.js";
import { type LoadTerminal, openTerminals } from "../../bench/terminal.js";
import type { Messages } from "../../bench/window.js";
import { messagesOf } from "../../bench/wire.js";
import { terminalIdOf } from "../../bench/world.js";
import { FRAME_SEQUENCE_OFFSET } from "../../protocol/frame.js";
import { loadAdminToken } from "../../src/admin-token.js";
import { ControlClient } from "../../src/control/client.js";
import { until } from "../server-kit.js";
import { ROOT } from "../source-text.js";
import { type ServerProcess, serve, tongkaHere } from "../tongka-process.js";
import type { Amount, LoadCase, Report } from "./report.js";

const TERMINALS = 8;
const FRAMES_PER_SECOND = 400;
const CARDS = 1000;
const USES_MAX = 100_000;
/** Seconds of load before and after the stall. */
const AROUND_SECONDS = 1;
/** What was on its way to its terminal when the stall began may still come. */
const ON_ITS_WAY_MS = 100;
const COMMIT_SECONDS_MAX = 1;
const LOCAL_TIME = Math.floor(Date.now() / 1000);
const STOP_MS_MAX = 15_000;

export const STALL: LoadCase = {
  name: "stall",
  text: "storage that stalls for seconds: no answer meanwhile, then the right ones or a fail stop",
  seconds: 5,
  run: stall,
};

async function stall(report: Report, { seconds }: Amount): Promise<void> {
  const folder = makeFolder();
  const library = join(folder, "stall.so");
  execFileSync("cc", ["-shared", "-fPIC", "-o", library, join(ROOT, "test/load/stall.c"), "-ldl"]);
  const plan = { terminalCount: 3 * TERMINALS, cardCount: CARDS, usesMax: USES_MAX };
  const seeded = await Server.start(plan);
  const stalled = new StalledServer(seeded.folder, library, join(folder, "stalled"));
  try {
    await seeded.leaveFolder();
    const before = await shortStall(report, stalled, seconds);
    await longStall(report, stalled, before);
    const { code } = await tongkaHere(["journal", "verify", "--data", seeded.folder]);
    report.check("the journal is whole", code === 0);
  } finally {
    stalled.release();
    removeFolder(seeded.folder);
    removeFolder(folder);
  }
}

/** A data folder with a server whose storage can be made to stall. */
class StalledServer {
  constructor(
    readonly folder: string,
    private readonly library: string,
    private readonly control: string,
  ) {}

  start(commitSecondsMax: number): Promise<ServerProcess> {
    const limits = { "uses-per-date": USES_MAX, cards: CARDS, holders: CARDS };
    const tables = Object.entries(limits).flatMap(([name, most]) => {
      return [`--tables-${name}-max`, String(most)];
    });
    const commit = ["--journal-commit-seconds-max", String(commitSecondsMax)];
    const args = ["--data", this.folder, "--crypto-workers", "0", ...commit, ...tables];
    return serve(args, [], { LD_PRELOAD: this.library, LOAD_STALL: this.control });
  }

  begin(): void {
    writeFileSync(this.control, "");
  }

  release(): void {
    if (existsSync(this.control)) rmSync(this.control);
  }
}

interface Senders {
  terminals: LoadTerminal[];
  messages: Messages[];
}

/** Terminals `first` to first + TERMINALS - 1; the same frames each time. */
async function senders(url: string, first: number, frameCount: number): Promise<Senders> {
  const terminals = await openTerminals(url, TERMINALS, (i) => terminalIdOf(first + i));
  const messages = messagesOf(terminals, 1, frameCount, CARDS, { localTime: LOCAL_TIME });
  return { terminals, messages };
}

/** Resolves with how many uses were sent. */
async function shortStall(
  report: Report,
  stalled: StalledServer,
  seconds: number,
): Promise<number> {
  const server = await stalled.start(Math.ceil(seconds) + 20);
  report.say(`storage stalls for ${seconds} s`);
  const total = seconds + 2 * AROUND_SECONDS;
  const frameCount = pacedFrameCount(FRAMES_PER_SECOND, total, TERMINALS);
  const { terminals, messages } = await senders(server.terminalsUrl, 0, frameCount);
  const span = { from: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  let meanwhile = 0;
  for (const terminal of terminals) {
    terminal.onRead = () => {
      const nowMs = performance.now();
      if (nowMs > span.from + ON_ITS_WAY_MS && nowMs < span.to) meanwhile++;
    };
  }
  setTimeout(() => {
    stalled.begin();
    span.from = performance.now();
  }, AROUND_SECONDS * 1000);
  setTimeout(
    () => {
      span.to = performance.now();
      stalled.release();
    },
    (AROUND_SECONDS + seconds) * 1000,
  );
  const { latencies } = await runPaced({ terminals, messages, rate: FRAMES_PER_SECOND });
  const approved = terminals.reduce((sum, terminal) => sum + terminal.approved, 0);
  report.figure("stall", (span.to - span.from) / 1000, "s");
  report.figure("answers", latencies.count, "");
  report.figure("longest wait", latencies.at(100) / 1e6, "s");
  report.check("no answer while storage stalls", meanwhile === 0);
  report.check("some waited through it", latencies.at(100) / 1000 > seconds * 1000 - ON_ITS_WAY_MS);
  report.check("then everyone is answered, and approved", approved === frameCount * TERMINALS);
  for (const terminal of terminals) terminal.close();
  report.check("and the server goes on", (await server.end("SIGTERM")) === 0);
  return frameCount * TERMINALS;
}

/** `before` uses are in the journal already. */
async function longStall(report: Report, stalled: StalledServer, before: number): Promise<void> {
  const first = await stalled.start(COMMIT_SECONDS_MAX);
  report.say("storage stalls for good");
  const frameCount = pacedFrameCount(FRAMES_PER_SECOND, 2, TERMINALS);
  const asking = await senders(first.terminalsUrl, TERMINALS, frameCount);
  const answers = collect(asking.terminals);
  const sending = sendSlowly(asking, frameCount);
  await new Promise((resolve) => setTimeout(resolve, AROUND_SECONDS * 1000));
  stalled.begin();
  const startMs = performance.now();
  const code = await ended(first);
  const took = performance.now() - startMs;
  await sending;
  const answered = new Map(answers);
  stalled.release();
  const line = /tongka: stopped: .*journal\.commitSecondsMax.*\n/.test(first.messages());
  report.figure("stopped after", took / 1000, "s");
  report.figure("answered before", answered.size, "");
  report.check("a stall over the limit is a fail stop", code === null);
  report.check("which says why in one line", line);
  report.check("by the configured limit", took > COMMIT_SECONDS_MAX * 1000 - ON_ITS_WAY_MS);
  report.check("some had been answered, some had not", within(answered.size, frameCount));
  const remembered = await askAgain(report, stalled, answered, frameCount);
  const asked = before + frameCount * TERMINALS;
  report.check("each use is remembered once, and no other", remembered === asked);
}

function within(count: number, frameCount: number): boolean {
  return count > 0 && count < frameCount * TERMINALS;
}

/** The exit code; a server that does not stop by itself is killed, and that is told by -1. */
async function ended(server: ServerProcess): Promise<number | null> {
  const exited = new Promise<number | null>((resolve) => server.child.once("exit", resolve));
  const late = new Promise<number>((resolve) => setTimeout(() => resolve(-1), STOP_MS_MAX).unref());
  const code = await Promise.race([exited, late]);
  server.child.kill("SIGKILL");
  return code;
}

/**
 * Every terminal asks again what it asked, answered or not, in a new session. Resolves with how
 * many uses the server remembers then.
 */
async function askAgain(
  report: Report,
  stalled: StalledServer,
  answered: ReadonlyMap<string, string>,
  frameCount: number,
): Promise<number> {
  const server = await stalled.start(60);
  const { terminals, messages } = await senders(server.terminalsUrl, TERMINALS, frameCount);
  const again = collect(terminals);
  const take = terminals.map((terminal) => terminal.onAnswer);
  const sent = runPaced({ terminals, messages, rate: 10 * FRAMES_PER_SECOND });
  terminals.forEach((terminal, i) => {
    const paced = terminal.onAnswer;
    terminal.onAnswer = (bytes, start, size) => {
      take[i]!(bytes, start, size);
      paced(bytes, start, size);
    };
  });
  await sent;
  const approved = terminals.reduce((sum, terminal) => sum + terminal.approved, 0);
  const same = [...answered].filter(([key, outcome]) => again.get(key) === outcome);
  report.figure("asked again", frameCount * TERMINALS, "");
  report.check("after a restart, everyone is answered", again.size === frameCount * TERMINALS);
  report.check("and approved", approved === frameCount * TERMINALS);
  report.check("who had an answer gets the same one", same.length === answered.size);
  const remembered = await remembers(server, stalled.folder);
  report.figure("uses remembered", remembered, "");
  for (const terminal of terminals) terminal.close();
  await server.end("SIGTERM");
  return remembered;
}

/** Uses that the server remembers now: gauges are told of the state four times a second. */
async function remembers(server: ServerProcess, folder: string): Promise<number> {
  const { controlUrl: url } = server;
  const adminToken = loadAdminToken(folder, {});
  const { position } = await new ControlClient({ url, adminToken }).status();
  const gauge = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1]);
  };
  await until("the gauges", async () => (await gauge("tongka_journal_position")) >= position);
  return gauge("tongka_uses_remembered");
}

/** Outcomes (hex) by terminal and sequence, as they come. */
function collect(terminals: readonly LoadTerminal[]): Map<string, string> {
  const outcomes = new Map<string, string>();
  for (const terminal of terminals) {
    terminal.onAnswer = (bytes, start) => {
      const sequence = bytes.readUInt32LE(start + FRAME_SEQUENCE_OFFSET);
      const outcome = bytes.subarray(start + 32, start + 64).toString("hex");
      outcomes.set(`${terminal.terminalId}/${sequence}`, outcome);
    };
  }
  return outcomes;
}

/** Frame after frame, whether or not anybody listens any more. */
async function sendSlowly({ terminals, messages }: Senders, frameCount: number): Promise<void> {
  for (let frame = 0; frame < frameCount; frame++) {
    terminals.forEach((terminal, i) => {
      const { bytes, size } = messages[i]!;
      terminal.send(bytes.subarray(frame * size, (frame + 1) * size));
    });
    await new Promise((resolve) => setTimeout(resolve, (1000 * TERMINALS) / FRAMES_PER_SECOND));
  }
}
