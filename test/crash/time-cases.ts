// Time that does not pass as it should: a server that is stopped (SIGSTOP) and goes on, as a
// machine that sleeps or a virtual one that is moved does, and a clock of the day that jumps.

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, type CrashCase, expect, unexpected } from "./case.js";
import { Life, scratchFolder } from "./life.js";
import type { Preload } from "./preload.js";

const HOUR_SECONDS = 3600;
const HOUR_MS = 3_600_000;
/** What the clocks of a test and its server may differ by, beside the jump. */
const TOLERANCE_MS = 60_000;
const WARM_MS = 100;

export const STOP_CASE: CrashCase = {
  name: "stop",
  text: "SIGSTOP for seconds under load, and on",
  run: async (context) => {
    const { stopSeconds } = context.settings;
    const life = new Life(context, "stop", { flags: { "journal.commitSecondsMax": 2 } });
    const server = await life.start();
    const gone = life.load(server);
    for (const [i, seconds] of stopSeconds.entries()) {
      await life.grow(50);
      await sleep(context.random.below(WARM_MS));
      server.child.kill("SIGSTOP");
      await sleep(seconds * 1000);
      server.child.kill("SIGCONT");
      context.totals.stops++;
      const { answers } = life.ledger;
      const on = await Promise.race([life.grow(100).then(() => null), server.ended]);
      expect(
        context,
        { what: `stopped for ${seconds} s`, line: null, end: "serves" },
        on ?? "serves",
      );
      if (on !== null) break;
      await life.repeat(server);
      context.row(`    ${life.ledger.answers - answers} answers after it`);
      context.progress(i + 1, stopSeconds.length);
    }
    await server.end("SIGKILL");
    await gone;
    await life.judge();
    await life.restart();
    life.count();
  },
};

export const CLOCK_CASE: CrashCase = {
  name: "clock",
  text: "the clock of the day jumps forward and back by hours under load",
  run: async (context) => {
    const { preload } = context;
    if (typeof preload === "string") return context.skip(`clock jumps need a library: ${preload}`);
    await jump(context, preload);
  },
};

async function jump(context: Context, preload: Preload): Promise<void> {
  const { jumpHours } = context.settings;
  const clockFile = join(scratchFolder(context), "clock");
  const life = new Life(context, "clock");
  let hoursMost = 0;
  setClock(clockFile, 0);
  let server = await life.start(preload.environment({ clockFile }));
  let gone = life.load(server);
  for (const [i, hours] of jumpHours.entries()) {
    await life.grow(50);
    setClock(clockFile, hours);
    hoursMost = Math.max(hoursMost, hours);
    context.totals.jumps++;
    await life.grow(100).catch(() => unexpected(context, `a jump to ${hours} h: silent after it`));
    await life.repeat(server);
    await server.end("SIGKILL");
    await gone;
    expect(
      context,
      { what: `clock at ${hours} h`, line: null, end: "SIGKILL" },
      await server.ended,
    );
    const { timeMs } = await life.judge();
    // Forward the journal follows; back it waits, for time in it does not go back.
    const aheadMs = timeMs - Date.now() - hoursMost * HOUR_MS;
    if (Math.abs(aheadMs) > TOLERANCE_MS) {
      unexpected(context, `clock at ${hours} h: the journal's time is ${aheadMs} ms off`);
    }
    server = await life.start(preload.environment({ clockFile }));
    gone = life.load(server);
    context.progress(i + 1, jumpHours.length);
  }
  await life.grow(50);
  await server.end("SIGKILL");
  await gone;
  await life.judge();
  await life.restart();
  life.count();
}

/** The server has the file mapped (so it is never cut) and sees it at its next look. */
function setClock(path: string, hours: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(hours * HOUR_SECONDS);
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  writeSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
}
