// What the control worker does: administration, metrics and health on their own thread and port,
// so that neither a scrape nor a report ever stalls a tap. Ends when told to, or with its process.

import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../protocol/assert.js";
import { createLogger } from "../log.js";
import { Metrics } from "../metrics.js";
import { KeyVault } from "../vault.js";
import { Exposition } from "./exposition.js";
import { MainThread } from "./main-thread.js";
import type { ControlContext } from "./route.js";
import { allRoutes } from "./routes/index.js";
import { createServer } from "./server.js";
import { CONTROL_STOP, type ControlStarted, type ControlWorkerData } from "./worker-data.js";

const data = workerData as ControlWorkerData;
const parent = parentPort;
assert(parent !== null, "the control plane runs in a worker");

const metrics = new Metrics(data.metricsBuffer);
const context: ControlContext = {
  main: new MainThread(data.questions),
  vault: new KeyVault(data.vaultKeys),
  metrics,
  exposition: new Exposition(metrics, data.build),
  keyExchangeKey: data.keyExchangeKey,
  importSizeMax: data.importSizeMax,
};
const server = await createServer({
  routes: allRoutes(context),
  adminToken: data.adminToken,
  version: data.build.version,
  log: createLogger("control", data.logLevel, data.logTarget),
});

parent.on("message", (message) => {
  if (message === CONTROL_STOP) void stop();
});
parent.postMessage(await listen());

async function listen(): Promise<ControlStarted> {
  try {
    await server.listen({ host: data.host, port: data.port });
    return { listening: (server.server.address() as AddressInfo).port };
  } catch (error) {
    return { failed: (error as NodeJS.ErrnoException).code ?? "unknown error" };
  }
}

/** Lets running requests end, then lets go of what keeps the thread alive, and of the keys. */
async function stop(): Promise<void> {
  await server.close();
  context.vault.close();
  context.keyExchangeKey?.fill(0);
  data.questions.close();
  parent!.close();
}
