// The server of a case, in a process of its own: makes a data folder in the system's temporary
// folder, seeds the world, serves, and tells its CPU time when asked.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { REASON } from "../protocol/reason.js";
import { createAdminToken } from "../src/admin-token.js";
import { loadConfig } from "../src/config.js";
import { createLogger } from "../src/log.js";
import { createRootKey } from "../src/root-key.js";
import { startServer } from "../src/server.js";
import { seedWorld } from "./world.js";

/** What a host is started with, as JSON in its first argument. */
export interface HostOptions {
  terminalCount: number;
  cardCount: number;
  /** Configuration by dotted key. */
  flags: Record<string, unknown>;
}

/** What it answers on its channel. */
export type HostMessage =
  | { ready: { terminalsUrl: string; controlUrl: string } }
  | { cpuMicroseconds: number; approved: number };

const options = JSON.parse(process.argv[2]!) as HostOptions;
const folder = mkdtempSync(join(tmpdir(), "tongka-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
createRootKey(folder);
createAdminToken(folder);
const config = loadConfig({
  environment: process.env,
  flags: { data: folder, "terminals.port": 0, "control.port": 0, ...options.flags },
});
const server = await startServer(config, createLogger("bench", "warn"));
const { core, vault, checkpointer } = server.node;
await seedWorld(core, vault, options.terminalCount, options.cardCount);
await checkpointer.run();

process.on("message", (question) => {
  if (question === "cpu") {
    const { user, system } = process.cpuUsage();
    const approved = server.node.metrics.decisions(REASON.APPROVED);
    tell({ cpuMicroseconds: user + system, approved });
  } else void server.stop().then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1));
tell({ ready: { terminalsUrl: server.terminalsUrl, controlUrl: server.controlUrl } });

function tell(message: HostMessage): void {
  process.send!(message);
}
