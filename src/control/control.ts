// The main thread's handle of the control plane: starts the worker, answers its questions with the
// handler it is given, and stops it.

import { MessageChannel, Worker } from "node:worker_threads";
import type { Config } from "../config.js";
import type { Metrics } from "../metrics.js";
import { loadKeyExchangeKey } from "../root-key.js";
import type { VaultKeys } from "../vault.js";
import type { BuildInfo } from "./exposition.js";
import type { ControlAnswer, ControlHandler, ControlQuestion } from "./messages.js";
import { CONTROL_STOP, type ControlStarted, type ControlWorkerData } from "./worker-data.js";

const STOP_DEADLINE_MS = 5000;
const STDERR = 2;

export interface ControlOptions {
  config: Pick<Config, "control" | "log">;
  metrics: Metrics;
  vaultKeys: VaultKeys;
  adminToken: string;
  build: BuildInfo;
  /** Does what an administrator asks; see messages.ts. */
  handle: ControlHandler;
  /** Told when the worker dies or `handle` throws. Without it the fault is thrown: fail loudly. */
  onFault?: (error: Error) => void;
  /** Where the worker logs: a file path or descriptor; standard error without it. */
  logTarget?: string | number;
}

export interface Control {
  /** The port it listens on. */
  port: number;
  /** Ends running requests and the worker; kills it after 5 s. */
  stop(): Promise<void>;
}

/**
 * Starts the control plane and resolves when it listens. Rejects with a sentence for the operator
 * when the address cannot be had, and with SecretError when the key-exchange key cannot be read.
 */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { port1: questions, port2 } = new MessageChannel();
  const data = workerDataOf(options, port2);
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    workerData: data,
    transferList: [port2],
  });
  // The worker has its own copy.
  data.keyExchangeKey?.fill(0);
  const onFault = options.onFault ?? throwLater;
  questions.on("message", (question: ControlQuestion) => {
    void answer(question, options.handle, onFault).then((reply) => questions.postMessage(reply));
  });
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  try {
    const port = await started(worker, options.config.control);
    let stopping = false;
    worker.on("error", (error) => {
      stopping = true;
      onFault(error);
    });
    worker.once("exit", (code) => {
      questions.close();
      if (!stopping) onFault(new Error(`the control worker ended by itself (exit code ${code})`));
    });
    return {
      port,
      stop: () => {
        stopping = true;
        return stop(worker, exited);
      },
    };
  } catch (error) {
    await worker.terminate();
    questions.close();
    throw error;
  }
}

function workerDataOf(
  options: ControlOptions,
  questions: ControlWorkerData["questions"],
): ControlWorkerData {
  const { control, log } = options.config;
  return {
    host: control.host,
    port: control.port,
    adminToken: options.adminToken,
    vaultKeys: options.vaultKeys,
    keyExchangeKey:
      control.keyExchangeKeyFile === "" ? null : loadKeyExchangeKey(control.keyExchangeKeyFile),
    importSizeMax: control.importSizeMax,
    metricsBuffer: options.metrics.buffer,
    build: options.build,
    logLevel: log.level,
    logTarget: options.logTarget ?? STDERR,
    questions,
  };
}

/** Resolves with the port once the worker listens. */
function started(worker: Worker, address: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the control worker ended before it listened")));
    worker.once("message", (message: ControlStarted) => {
      worker.removeAllListeners("error");
      if ("listening" in message) resolve(message.listening);
      else reject(new Error(listenFault(message.failed, address)));
    });
  });
}

function listenFault(code: string, { host, port }: { host: string; port: number }): string {
  const at = `control plane: ${host}:${port}`;
  if (code === "EADDRINUSE") {
    return `${at} is in use by another process: stop it or set another control.port`;
  }
  if (code === "EADDRNOTAVAIL") return `${at} is no address of this machine: set control.host`;
  if (code === "EACCES") return `${at} may not be used by this user: set another control.port`;
  return `${at} cannot be listened on (${code})`;
}

async function answer(
  question: ControlQuestion,
  handle: ControlHandler,
  onFault: (error: Error) => void,
): Promise<ControlAnswer> {
  const { id, ...request } = question;
  try {
    return { ...(await handle(request)), id };
  } catch (error) {
    onFault(error instanceof Error ? error : new Error("the control handler threw no error"));
    return { ok: false, cause: "a fault of the server: its log says more", fault: true, id };
  }
}

async function stop(worker: Worker, exited: Promise<void>): Promise<void> {
  worker.postMessage(CONTROL_STOP);
  const timer = setTimeout(() => void worker.terminate(), STOP_DEADLINE_MS);
  await exited;
  clearTimeout(timer);
}

function throwLater(error: Error): void {
  setImmediate(() => {
    throw error;
  });
}
