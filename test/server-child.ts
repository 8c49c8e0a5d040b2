// A server in a process of its own, to be killed: prints one JSON line when it serves, ends at
// SIGTERM as it should, and on request dies in the middle of a checkpoint.

import { createLogger } from "../src/log.js";
import { startServer } from "../src/server.js";
import { TableStore } from "../src/table-store.js";
import { configOf, type Flags } from "./server-kit.js";

/** What the parent hands over as its one argument, in JSON. */
export interface ChildOptions {
  folder: string;
  flags: Flags;
  /** Die when all pages of the first checkpoint are on disk and its head is not. */
  dieInCheckpoint?: boolean;
}

/** What it prints when it serves. */
export interface ChildReady {
  terminalsUrl: string;
  controlUrl: string;
  terminalsPort: number;
  blocksReplayed: number;
  position: number;
}

const FLUSHED_MS = 100;

const options = JSON.parse(process.argv[2]!) as ChildOptions;
if (options.dieInCheckpoint) {
  TableStore.prototype.putHead = async () => {
    await new Promise((resolve) => setTimeout(resolve, FLUSHED_MS));
    process.kill(process.pid, "SIGKILL");
  };
}
try {
  const server = await startServer(
    configOf(options.folder, options.flags),
    createLogger("child", "trace"),
  );
  process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
  const { terminalsUrl, controlUrl, terminalsPort, node } = server;
  const { position } = node.engine.state.registers;
  const { blocksReplayed } = node;
  const ready = { terminalsUrl, controlUrl, terminalsPort, blocksReplayed, position };
  process.stdout.write(`${JSON.stringify(ready satisfies ChildReady)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}
