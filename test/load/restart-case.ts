// Restart: terminals send from the first moment that a server serves, when V8 has compiled nothing
// of the way of a use yet. How many uses a second that takes is told, not asked; that it is over a
// second later is, and that nobody is left without an answer.

import { type PacedFigures, pacedFrameCount, runPaced } from "../../bench/paced.js";
import { Server } from "../../bench/server.js";
import { openTerminals } from "../../bench/terminal.js";
import { messagesOf } from "../../bench/wire.js";
import { terminalIdOf } from "../../bench/world.js";
import type { Amount, LoadCase, Report } from "./report.js";

/** Uses a second, each on a server of its own that was just started. */
const RATES = [5000, 20_000, 60_000];
const RATES_SHORT = [2000];
const FIRST_MS = 1000;
const TERMINALS = 32;
const CARDS = 1_000_000;
const ANSWER_MS_MAX = 20;
/** Each terminal sends whole runs of frames, some more than its part. */
const USES_SPARE = 10_000;

export const RESTART: LoadCase = {
  name: "restart",
  text: "a server that was just started takes uses from its first moment",
  seconds: 3,
  run: restart,
};

async function restart(report: Report, { seconds, short }: Amount): Promise<void> {
  const rates = short ? RATES_SHORT : RATES;
  const plan = {
    terminalCount: 2 * TERMINALS * (rates.length + 1),
    cardCount: short ? 1000 : CARDS,
    usesMax: (seconds + 1) * (rates.reduce((sum, rate) => sum + rate) + rates.at(-1)!) + USES_SPARE,
    flags: { "crypto.workers": 0 },
  };
  let server = await Server.start(plan);
  try {
    // The generator's own code is to be compiled by then.
    report.say("a server at work");
    await load(report, "at work", server, rates.at(-1)!, seconds, 0);
    for (const [i, rate] of rates.entries()) {
      await server.leaveFolder();
      const startMs = performance.now();
      server = await Server.startOn(server.folder, plan);
      const at = `${rate.toLocaleString("en-US")}/s`;
      report.figure(`${at}, restart`, (performance.now() - startMs) / 1000, "s");
      report.say(`${rate} uses a second on a server that was just started`);
      const [first, later] = await load(report, at, server, rate, seconds, i + 1);
      for (const p of [50, 90, 99]) {
        report.figure(`${at}, first second, p${p}`, first.latencies.at(p) / 1000, "ms");
      }
      report.figure(`${at}, refused with 91`, first.refused, "uses");
      report.figure(`${at}, a second later, p99`, later.latencies.at(99) / 1000, "ms");
      const soon = later.refused === 0 && later.latencies.at(99) < ANSWER_MS_MAX * 1000;
      report.timed(`${at}: a second later p99 is under ${ANSWER_MS_MAX} ms, none refused`, soon);
    }
  } finally {
    await server.stop();
  }
}

/** Sends for a second, by terminals of its own, and then by others for as long as asked. */
async function load(
  report: Report,
  what: string,
  server: Server,
  rate: number,
  seconds: number,
  turn: number,
): Promise<[PacedFigures, PacedFigures]> {
  const part = async (number: number, partSeconds: number, delayMs: number) => {
    const firstTerminal = (2 * turn + number) * TERMINALS;
    const idOf = (i: number) => terminalIdOf(firstTerminal + i);
    const terminals = await openTerminals(server.terminalsUrl, TERMINALS, idOf);
    const frameCount = pacedFrameCount(rate, partSeconds, TERMINALS);
    const messages = messagesOf(terminals, 1, frameCount, server.cardCount);
    return { terminals, messages, rate, delayMs, rests: true, overload: true };
  };
  const parts = [await part(0, FIRST_MS / 1000, 0), await part(1, seconds, FIRST_MS)];
  const run = () => Promise.all(parts.map(runPaced));
  const { result, approved } = await server.underLoad(run);
  const [first, later] = result as [PacedFigures, PacedFigures];
  const frames = parts.reduce((sum, { messages }) => sum + messages[0]!.count * TERMINALS, 0);
  const accepted = first.accepted + later.accepted;
  const answered = accepted + first.refused + later.refused;
  const terminals = parts.flatMap((each) => each.terminals);
  report.check(`${what}: every use has one answer, taken or 91`, answered === frames);
  report.check(`${what}: what was taken is approved, and counted once`, approved === accepted);
  report.check(
    `${what}: nothing was declined`,
    terminals.every(({ declined }) => declined === 0),
  );
  for (const terminal of terminals) terminal.close();
  return [first, later];
}
