// A server: a node with its listener for terminals and its control plane. Starts in an order in
// which it is never half there, and stops in one in which nothing that was taken is lost.

import { statfs } from "node:fs/promises";
import { encryptsInPlace } from "../protocol/block-cipher.js";
import { loadAdminToken } from "./admin-token.js";
import { buildInfo } from "./build-info.js";
import { CheckpointWatch } from "./checkpoint-watch.js";
import type { Config } from "./config.js";
import { type Control, startControl } from "./control/control.js";
import { failStop } from "./fail-stop.js";
import { startHeartbeat } from "./heartbeat.js";
import { Listener } from "./listener.js";
import type { Logger } from "./log.js";
import { READY_DRAINING, READY_JOURNAL, READY_LISTENING, READY_REPLAYED } from "./metrics.js";
import { type Node, type NodeOptions, openNode } from "./node.js";
import { Queries } from "./queries.js";
import { lowerHelpers, threadsBeside } from "./thread-priority.js";

const GAUGES_MS = 250;
const DISK_MS = 2000;
/** Below this the server stops taking cards rather than find out in the middle of a commit. */
const DISK_FREE_MIN = 64 * 1024 * 1024;

export interface RunningServer {
  readonly node: Node;
  readonly terminalsPort: number;
  readonly controlPort: number;
  /** WebSocket URL for terminals and base URL of the control plane. */
  readonly terminalsUrl: string;
  readonly controlUrl: string;
  /** No new connections, drain, flush, checkpoint; then everything is closed. */
  stop(): Promise<void>;
}

/** Opens the data folder, recovers, and serves. Throws one-line errors. */
export async function startServer(
  config: Config,
  log: Logger,
  options: NodeOptions = {},
): Promise<RunningServer> {
  const helpers = threadsBeside();
  if (config.tables.memory === "at-start") log.info("tables take their memory first");
  const early = earlyControl(config, log);
  const node = await openNode(config, { ...options, opening: early.start }).catch(
    async (error: unknown) => {
      await early.stop();
      throw error;
    },
  );
  const { metrics, core } = node;
  const queries = new Queries(node);
  const listener = new Listener(config, core, metrics);
  const heartbeat = startHeartbeat(metrics);
  try {
    early.answer(queries);
    const control = await early.control();
    const terminalsPort = await listener.listen();
    const watch = startWatch(node, log);
    const { committedPosition: position } = core;
    const cipher = encryptsInPlace() ? "in place" : "node:crypto";
    log.info({ position, blocks: node.blocksReplayed, cipher }, "serving");
    if (node.bytesDropped > 0) {
      const bytes = node.bytesDropped;
      log.warn({ bytes }, "the journal ended in a block that was not finished; it is dropped");
    }
    lowerHelpers(helpers);
    const parts = { node, queries, listener, control, heartbeat, watch, log };
    return { ...addresses(parts, terminalsPort), stop: () => stop(parts) };
  } catch (error) {
    listener.close();
    heartbeat.stop();
    await early.stop();
    await node.close();
    throw error;
  }
}

/**
 * The control plane, started before the tables are loaded: its thread takes as long to start as a
 * million cards to load. It is not ready until the node is, and questions wait for that.
 */
function earlyControl(config: Config, log: Logger) {
  const adminToken = loadAdminToken(config.data, process.env);
  let answer!: (queries: Queries) => void;
  const queries = new Promise<Queries>((resolve) => {
    answer = resolve;
  });
  let starting: Promise<Control> | null = null;
  const start = ({ metrics, vaultKeys }: Pick<Node, "metrics" | "vaultKeys">) => {
    starting = startControl({
      config,
      metrics,
      vaultKeys,
      adminToken,
      build: buildInfo(),
      handle: async (request) => (await queries).handle(request),
      onFault: (error) => log.error({ err: error }, "control plane failed"),
    });
    // Whoever awaits it is told; meanwhile it is nobody's rejection.
    starting.catch(() => {});
  };
  return {
    start,
    answer,
    control: () => starting!,
    stop: async () => {
      const control = await starting?.catch(() => null);
      await control?.stop();
    },
  };
}

interface Parts {
  node: Node;
  queries: Queries;
  listener: Listener;
  control: Control;
  heartbeat: { stop(): void };
  watch: { stop(): void };
  log: Logger;
}

function addresses(parts: Parts, terminalsPort: number) {
  const { node, control } = parts;
  const { terminals, control: controlConfig } = node.config;
  const controlUrl = `http://${urlHost(controlConfig.host)}:${control.port}`;
  const scheme = terminals.tlsCertFile === "" ? "ws" : "wss";
  node.lock.serve(controlUrl);
  return {
    node,
    terminalsPort,
    controlPort: control.port,
    terminalsUrl: `${scheme}://${urlHost(terminals.host)}:${terminalsPort}/v1/terminal`,
    controlUrl,
  };
}

/** Nothing that was taken is lost: what is on its way is answered before anything is closed. */
async function stop(parts: Parts): Promise<void> {
  const { node, queries, listener, control, heartbeat, watch, log } = parts;
  queries.draining = true;
  node.metrics.setReady(READY_DRAINING, true);
  listener.refuseConnections();
  await node.core.drain();
  listener.close();
  await control.stop();
  watch.stop();
  heartbeat.stop();
  await node.close();
  log.info({ position: node.core.committedPosition }, "stopped");
}

/** Ready from here on: gauges, free disk and checkpoints are looked after. */
function startWatch(node: Node, log: Logger): { stop(): void } {
  const { metrics, checkpointer, config } = node;
  metrics.setReplayedBlocks(node.blocksReplayed);
  setGauges(node);
  for (const bit of [READY_REPLAYED, READY_JOURNAL, READY_LISTENING]) metrics.setReady(bit, true);
  const gauges = setInterval(() => setGauges(node), GAUGES_MS);
  const disk = setInterval(() => void watchDisk(node), DISK_MS);
  checkpointer.start(config.journal.checkpointSeconds, (error) => {
    log.error(
      { err: error },
      "a checkpoint failed, and no more are made: restart when the disk is well",
    );
  });
  const checkpoints = watchCheckpoints(node, log);
  return {
    stop: () => {
      clearInterval(gauges);
      clearInterval(disk);
      checkpoints.stop();
    },
  };
}

function watchCheckpoints(node: Node, log: Logger): CheckpointWatch {
  const { metrics, checkpointer, config, core, host } = node;
  const progress = () => {
    return { checkpoint: checkpointer.position, committed: core.committedPosition };
  };
  return new CheckpointWatch(host, config.journal.checkpointSeconds, progress, metrics, {
    late: (seconds) => {
      log.warn(
        { seconds, position: checkpointer.position },
        "no checkpoint has ended for long: look at the disk; nothing is lost, " +
          "but a restart replays what came since",
      );
    },
    ended: () => log.info({ position: checkpointer.position }, "a checkpoint has ended again"),
  });
}

function setGauges(node: Node): void {
  const { metrics, core, engine } = node;
  const { state } = engine;
  metrics.setInFlight(core.inFlight);
  metrics.setSessions(state.sessions.count);
  metrics.setCards(state.cards.count);
  metrics.setHolders(state.holders.count);
  metrics.setTerminals(state.parties.terminalCount);
  metrics.setBlacklist(state.blacklist.count);
  metrics.setUsesRemembered(state.duplicates.count);
  metrics.setCatalogueVersion(state.catalogue.version);
  metrics.setJournalPosition(state.registers.position);
  metrics.setCommittedPosition(core.committedPosition);
  metrics.setCheckpointPosition(node.checkpointer.position);
}

/** A full disk is met with a clean line before it is met in a commit. */
async function watchDisk(node: Node): Promise<void> {
  const { bavail, bsize } = await statfs(node.config.data);
  node.metrics.setDiskFreeBytes(bavail * bsize);
  if (bavail * bsize >= DISK_FREE_MIN) return;
  node.metrics.setReady(READY_JOURNAL, false);
  failStop("less than 64 MiB are free where the data folder is: make room, then start again");
}

function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
