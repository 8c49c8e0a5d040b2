// The thread of the simulated terminals: one fleet, orders in, news out.

import { parentPort, workerData } from "node:worker_threads";
import { Fleet, type FleetOptions } from "./fleet.js";
import type { FleetNews, FleetOrder } from "./fleet-thread.js";

const FIGURES_INTERVAL_MS = 250;

const port = parentPort!;
const fleet = new Fleet(workerData as FleetOptions);
let stopping = false;
const tell = (news: FleetNews) => port.postMessage(news);

async function obey(order: FleetOrder): Promise<void> {
  switch (order.type) {
    case "lose":
      return tell({ type: "lost", lost: fleet.takeLostCard() });
    case "retap":
      return tell({ type: "retapped", retap: await fleet.retap(order.lost) });
    case "stop":
      if (stopping) return;
      stopping = true;
      clearInterval(figures);
      await fleet.stop();
      tell({ type: "stopped", figures: fleet.figures() });
      return port.close();
  }
}

const figures = setInterval(() => {
  tell({ type: "figures", figures: fleet.figures() });
}, FIGURES_INTERVAL_MS);

port.on("message", (order: FleetOrder) => {
  obey(order).catch((error: Error) => tell({ type: "failed", message: error.message }));
});

fleet
  .signOn((signedOn, total) => tell({ type: "signing-on", signedOn, total }))
  .then(() => fleet.start())
  .catch((error: Error) => {
    // What was being signed on when the fleet was stopped fails, and that is no failure.
    if (!stopping) tell({ type: "failed", message: error.message });
  });
