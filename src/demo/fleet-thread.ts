// The two ends between the demo and the thread of the simulated terminals.

import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { FleetFigures, FleetOptions, LostCard, Retap } from "./fleet.js";

/** To the thread. */
export type FleetOrder = { type: "lose" } | { type: "retap"; lost: LostCard } | { type: "stop" };

/** From the thread. */
export type FleetNews =
  | { type: "signing-on"; signedOn: number; total: number }
  | { type: "figures"; figures: FleetFigures }
  | { type: "lost"; lost: LostCard | null }
  | { type: "retapped"; retap: Retap | null }
  | { type: "failed"; message: string }
  | { type: "stopped"; figures: FleetFigures };

/** Starts the thread; it signs on and begins to tap by itself. */
export function startFleetThread(
  options: FleetOptions,
  onNews: (news: FleetNews) => void,
): { order(order: FleetOrder): void; ended: Promise<void> } {
  const file = fileURLToPath(new URL("./fleet-worker.js", import.meta.url));
  const worker = new Worker(file, { workerData: options });
  worker.on("message", onNews);
  worker.on("error", (error) => onNews({ type: "failed", message: error.message }));
  const ended = new Promise<void>((resolve) => worker.on("exit", () => resolve()));
  return { order: (order) => worker.postMessage(order), ended };
}
