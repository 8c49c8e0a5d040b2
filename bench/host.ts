// The server of a case, in a process of its own: Tongka as it is, on a data folder that is there
// or made and seeded here; it tells of itself what a load generator cannot see.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { REASON } from "../protocol/reason.js";
import { ADMIN_TOKEN_FILE, createAdminToken } from "../src/admin-token.js";
import { loadConfig } from "../src/config.js";
import { importFile } from "../src/import/import.js";
import { createLogger } from "../src/log.js";
import { HISTOGRAM } from "../src/metrics.js";
import { createRootKey, ROOT_KEY_FILE } from "../src/root-key.js";
import { startServer } from "../src/server.js";
import { timed } from "./case.js";
import { childOptions, serveParent } from "./child.js";
import { GarbageWatch } from "./garbage.js";
import { startProfile, stopProfile } from "./profiler.js";
import { seedBlacklist, seedCards, seedParties } from "./world.js";

/** What a host is started with. */
export interface HostOptions {
  folder: string;
  /** Puts the world into a folder that has none. */
  seed: { terminalCount: number; cardCount: number } | null;
  /** Configuration by dotted key. */
  flags: Record<string, unknown>;
}

/** What it says when it serves. */
export interface HostReady {
  terminalsUrl: string;
  controlUrl: string;
  adminToken: string;
  cardCount: number;
  pid: number;
}

/** Where it stands: CPU time of all its threads, uses approved, and how long it took. */
export interface HostUsage {
  cpuMicroseconds: number;
  approved: number;
  /** Uses by the time from reading their frame to sending its answer (DURATION_EDGES_NS). */
  latencies: number[];
}

const options = childOptions<HostOptions>();
const { folder } = options;
if (!existsSync(join(folder, ROOT_KEY_FILE))) {
  createRootKey(folder);
  createAdminToken(folder);
}
const config = loadConfig({
  flags: { data: folder, "terminals.port": 0, "control.port": 0, ...options.flags },
  environment: process.env,
});
const server = await startServer(config, createLogger("bench", "warn"));
const { core, vault, checkpointer, engine, metrics } = server.node;
if (options.seed !== null) {
  await seedParties(core, vault, options.seed.terminalCount);
  await seedCards(core, vault, options.seed.cardCount);
  await checkpointer.run();
}
const garbage = new GarbageWatch();

const ready: HostReady = {
  terminalsUrl: server.terminalsUrl,
  controlUrl: server.controlUrl,
  adminToken: readFileSync(join(folder, ADMIN_TOKEN_FILE), "utf8").trim(),
  cardCount: engine.state.cards.count,
  pid: process.pid,
};

serveParent(
  ready,
  {
    usage: (): HostUsage => {
      const { user, system } = process.cpuUsage();
      return {
        cpuMicroseconds: user + system,
        approved: metrics.decisions(REASON.APPROVED),
        latencies: Array.from(metrics.histogram(HISTOGRAM.LATENCY).buckets),
      };
    },
    memory,
    resources,
    parties: (terminalCount: number) => seedParties(core, vault, terminalCount),
    blacklist: ({ first, count }: { first: number; count: number }) => {
      return timed(() => seedBlacklist(core, vault, first, count));
    },
    import: async (path: string) => {
      const parts = { sort: "cards" as const, path, sink: core, vault, stateFolder: folder };
      const { imported, rejected, seconds } = await importFile(parts);
      return { imported, rejected, seconds };
    },
    checkpoint,
    profileStart: () => startProfile(),
    profileStop: () => stopProfile(),
    garbageStart: () => garbage.start(),
    garbageStop: () => garbage.stop(),
  },
  () => server.stop(),
);

/** What a checkpoint did to the event loop. */
export interface CheckpointFigures {
  seconds: number;
  slices: number;
  /** Slices of over a millisecond. */
  slow: number;
  /** Longest turn of the event loop meanwhile. */
  longestTurnMs: number;
}

export interface Resources {
  /** What keeps the event loop: timers, sockets, ..., by sort. */
  active: Record<string, number>;
  /** Warnings of the runtime, such as too many listeners of one event. */
  warnings: number;
}

let warnings = 0;
process.on("warning", () => {
  warnings++;
});

function resources(): Resources {
  const active: Record<string, number> = {};
  for (const sort of process.getActiveResourcesInfo()) active[sort] = (active[sort] ?? 0) + 1;
  return { active, warnings };
}

export interface MemoryFigures {
  /** Memory of the process that is no page of a file. */
  ownBytes: number;
  /** Bytes of table and index for each card. */
  cardTableBytes: number;
  usesRemembered: number;
}

/** Memory of the process that is no mapped page of a file, and of the card table alone. */
function memory(): MemoryFigures {
  const status = readFileSync("/proc/self/status", "utf8");
  const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  const { cards, duplicates } = engine.state;
  const tableBytes = cards.table.used().byteLength + cards.index.size;
  return {
    ownBytes: (kilobytes("RssAnon") + kilobytes("RssShmem")) * 1024,
    cardTableBytes: tableBytes / Math.max(cards.count, 1),
    usesRemembered: duplicates.count,
  };
}

/** Makes a checkpoint; tells how long it took, its slices and how many were over a millisecond. */
async function checkpoint(): Promise<CheckpointFigures> {
  const before = metrics.histogram(HISTOGRAM.CHECKPOINT_SLICE);
  const turns = watchTurns();
  const seconds = await timed(() => checkpointer.run());
  const after = metrics.histogram(HISTOGRAM.CHECKPOINT_SLICE);
  const counts = after.buckets.map((count, i) => count - before.buckets[i]!);
  const slices = counts.reduce((sum, count) => sum + count, 0);
  const slow = counts.filter((_, i) => i > after.edges.indexOf(1e6)).reduce((a, b) => a + b, 0);
  return { seconds, slices, slow, longestTurnMs: turns() };
}

/** Watches the event loop until the result is called: the longest turn, milliseconds. */
function watchTurns(): () => number {
  let longest = 0;
  let last = performance.now();
  let watching = true;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    watching = false;
    return longest;
  };
}
