// Connections: thousands at once, each a terminal that signs on and is answered; then all of them
// go, and the server has let go of what they took.

import { runPaced } from "../../bench/paced.js";
import { Server } from "../../bench/server.js";
import { LoadTerminal } from "../../bench/terminal.js";
import { messagesOf } from "../../bench/wire.js";
import { terminalIdOf } from "../../bench/world.js";
import { until } from "../server-kit.js";
import { descriptors, descriptorsMax, ownBytes } from "./process-figures.js";
import type { Amount, LoadCase, Report } from "./report.js";

const CONNECTIONS = 10_000;
const CONNECTIONS_SHORT = 1000;
const AT_ONCE = 200;
const FRAMES_PER_SECOND = 10_000;
const FRAMES = 3;
/** Of a connection with its session and keys. */
const CONNECTION_BYTES_MAX = 40_000;
const OTHER_BYTES_MAX = 128 * 1024 * 1024;
/** Descriptors that come and go by themselves. */
const SPARE = 16;

export const CONNECTIONS_CASE: LoadCase = {
  name: "connections",
  text: "10,000 terminals connected at once, all of them answered",
  seconds: 3,
  run: connections,
};

async function connections(report: Report, { short }: Amount): Promise<void> {
  const count = short ? CONNECTIONS_SHORT : CONNECTIONS;
  if (descriptorsMax() < count + 200) {
    throw new Error(`a process may open ${descriptorsMax()} files here: raise it with ulimit -n`);
  }
  const plan = { terminalCount: count, cardCount: 1000, usesMax: count * FRAMES + 1000 };
  const server = await Server.start({ ...plan, flags: { "crypto.workers": 0 } });
  try {
    const { pid } = server.host.ready;
    const before = { bytes: ownBytes(pid), descriptors: descriptors(pid) };
    const terminals: LoadTerminal[] = [];
    const startMs = performance.now();
    while (terminals.length < count) {
      const group = Array.from({ length: Math.min(AT_ONCE, count - terminals.length) }, (_, i) =>
        LoadTerminal.open(server.terminalsUrl, terminalIdOf(terminals.length + i)),
      );
      terminals.push(...(await Promise.all(group)));
    }
    report.figure("connections", terminals.length, "");
    report.figure("signed on", count / ((performance.now() - startMs) / 1000), "terminals/s");
    const open = descriptors(pid) - before.descriptors;
    report.check("all of them are open at once", open >= count);
    const messages = messagesOf(terminals, 1, FRAMES, server.cardCount);
    const load = { terminals, messages, rate: FRAMES_PER_SECOND, runLength: 1 };
    const { result, approved } = await server.underLoad(() => runPaced(load));
    report.figure("answers, p99", result.latencies.at(99) / 1000, "ms");
    report.check("each of them is answered, each time", approved === count * FRAMES);
    const grown = ownBytes(pid) - before.bytes;
    report.figure("memory for each", grown / count / 1000, "kB");
    report.check("memory is bounded", grown < OTHER_BYTES_MAX + count * CONNECTION_BYTES_MAX);
    for (const terminal of terminals) terminal.close();
    await until("descriptors to be closed", () => {
      return descriptors(pid) <= before.descriptors + SPARE;
    });
    report.check("when they go, no descriptor stays", true);
  } finally {
    await server.stop();
  }
}
