// What passes between the main thread and the control worker besides questions and answers.

import type { MessagePort } from "node:worker_threads";
import type { VaultKeys } from "../vault.js";
import type { BuildInfo } from "./exposition.js";

/** What the worker starts with. */
export interface ControlWorkerData {
  host: string;
  port: number;
  adminToken: string;
  vaultKeys: VaultKeys;
  keyExchangeKey: Uint8Array | null;
  importSizeMax: number;
  metricsBuffer: SharedArrayBuffer;
  build: BuildInfo;
  logLevel: string;
  /** File path or descriptor. */
  logTarget: string | number;
  questions: MessagePort;
}

/** What the worker tells once: the port it listens on, or why it does not. */
export type ControlStarted = { listening: number } | { failed: string };

/** The one thing the main thread tells it. */
export const CONTROL_STOP = "stop";
