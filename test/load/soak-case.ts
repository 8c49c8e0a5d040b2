// Soak: hours in small. Terminals come, sign on, send and go; cards are lost, the blacklist
// changes, metrics are scraped and checkpoints made, all the time. What a server takes must not
// grow, but by what it has to remember.

import { makeFrames } from "../../bench/frames.js";
import type { MemoryFigures, Resources } from "../../bench/host.js";
import { pacedFrameCount, runPaced } from "../../bench/paced.js";
import { Server } from "../../bench/server.js";
import { openTerminals } from "../../bench/terminal.js";
import { framePlans } from "../../bench/wire.js";
import { panOf, terminalIdOf } from "../../bench/world.js";
import { ControlClient } from "../../src/control/client.js";
import { descriptors } from "./process-figures.js";
import type { Amount, LoadCase, Report } from "./report.js";

const ROUND_SECONDS = 5;
const TERMINALS = 16;
const FRAMES_PER_SECOND = 2000;
const CARDS = 100_000;
/** A remembered use with its index; a session with its keys; one round's own traces. */
const USE_BYTES = 110;
const SESSION_BYTES = 8192;
const NOISE_BYTES = 24 * 1024 * 1024;
const NOISE_BYTES_SHORT = 96 * 1024 * 1024;
const SPARE = 16;

export const SOAK: LoadCase = {
  name: "soak",
  text: "terminals, cards, blacklist, scrapes and checkpoints for ten minutes",
  seconds: 600,
  run: soak,
};

interface Sample {
  bytes: number;
  descriptors: number;
  active: number;
  warnings: number;
  uses: number;
}

async function soak(report: Report, { seconds, short }: Amount): Promise<void> {
  const roundSeconds = short ? seconds / 4 : ROUND_SECONDS;
  const rounds = Math.max(4, Math.round(seconds / roundSeconds));
  const server = await Server.start({
    terminalCount: rounds * TERMINALS,
    cardCount: short ? 1000 : CARDS,
    usesMax: rounds * roundSeconds * FRAMES_PER_SECOND + 10_000,
    // Memory is to grow by what uses take, and by nothing else.
    flags: { "crypto.workers": 0, "tables.memory": "as-needed" },
  });
  try {
    const samples: Sample[] = [];
    let uses = 0;
    for (let round = 0; round < rounds; round++) {
      uses += await soakRound(server, round, roundSeconds);
      samples.push(await sample(server, uses));
      const { bytes, descriptors } = samples.at(-1)!;
      const text = `${Math.round(bytes / 1e6)} MB, ${descriptors} descriptors`;
      report.say(`round ${round + 1} of ${rounds}: ${text}`);
    }
    judge(report, samples, rounds, short ? NOISE_BYTES_SHORT : NOISE_BYTES);
  } finally {
    await server.stop();
  }
}

/** One round; resolves with the uses that were approved, which must be all. */
async function soakRound(server: Server, round: number, seconds: number): Promise<number> {
  const idOf = (i: number) => terminalIdOf(round * TERMINALS + i);
  const terminals = await openTerminals(server.terminalsUrl, TERMINALS, idOf);
  const frameCount = pacedFrameCount(FRAMES_PER_SECOND, seconds, TERMINALS);
  // The upper half of the cards: those of the lower half are lost and found meanwhile.
  const half = Math.floor(server.cardCount / 2);
  const plans = framePlans(TERMINALS, 1, frameCount, half);
  const messages = terminals.map((terminal, i) => {
    const nextCard = () => half + plans[i]!.nextCard();
    const { terminalId } = terminal;
    return makeFrames({ ...plans[i]!, terminalId, nextCard }, terminal.keys);
  });
  const load = { terminals, messages, rate: FRAMES_PER_SECOND };
  const beside = administer(server, round % half);
  const { approved } = await server.underLoad(() => runPaced(load));
  await beside;
  for (const terminal of terminals) terminal.close();
  if (approved !== frameCount * TERMINALS)
    throw new Error(`round ${round}: some were not approved`);
  return approved;
}

/** What offices do meanwhile. */
async function administer(server: Server, card: number): Promise<void> {
  const { controlUrl, adminToken } = server.host.ready;
  const client = new ControlClient({ url: controlUrl, adminToken });
  const cardNumber = panOf(card);
  await client.cardEvent({ event: "lose-temporary", cardNumber });
  const { entryId } = await client.addToBlacklist({
    subjectKind: "card",
    subject: cardNumber,
    cause: "lost",
  });
  await (await fetch(`${controlUrl}/metrics`)).text();
  await client.removeFromBlacklist(entryId);
  await client.cardEvent({ event: "release", cardNumber });
  await client.checkpoint();
}

async function sample(server: Server, uses: number): Promise<Sample> {
  const { pid } = server.host.ready;
  // Sockets of the round are closed a moment after their terminals.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { ownBytes } = await server.host.ask<MemoryFigures>("memory");
  const { active, warnings } = await server.host.ask<Resources>("resources");
  const count = Object.values(active).reduce((sum, each) => sum + each, 0);
  return { bytes: ownBytes, descriptors: descriptors(pid), active: count, warnings, uses };
}

/** Compares the end with the middle: by then everything has been done once. */
function judge(report: Report, samples: readonly Sample[], rounds: number, noise: number): void {
  const middle = samples[Math.floor(rounds / 2)]!;
  const last = samples.at(-1)!;
  const sessions = (rounds - Math.floor(rounds / 2) - 1) * TERMINALS;
  const remembered = (last.uses - middle.uses) * USE_BYTES + sessions * SESSION_BYTES;
  report.figure("uses", last.uses, "");
  report.figure("rounds", rounds, "");
  report.figure("memory at the middle", middle.bytes / 1e6, "MB");
  report.figure("memory at the end", last.bytes / 1e6, "MB");
  report.figure("of which remembered since may be", remembered / 1e6, "MB");
  report.figure("descriptors at the middle", middle.descriptors, "");
  report.figure("descriptors at the end", last.descriptors, "");
  report.check(
    "memory is flat but for what is remembered",
    last.bytes - middle.bytes < remembered + noise,
  );
  report.check("no descriptor leaks", last.descriptors <= middle.descriptors + SPARE);
  report.check("no timer or socket leaks", last.active <= middle.active + SPARE);
  report.check("no listener leaks: the runtime warns of none", last.warnings === 0);
}
