// Health and metrics, answered from shared memory alone: they work while the main thread is busy,
// starting or stuck, which is when they are needed.

import {
  GAUGE,
  type Metrics,
  READY_DRAINING,
  READY_JOURNAL,
  READY_LISTENING,
  READY_REPLAYED,
} from "../../metrics.js";
import { heartbeatAgeMs } from "../exposition.js";
import { type ControlContext, Reply, type Route, route } from "../route.js";

/** The main thread is taken for stuck when it has been silent for this long. */
export const HEARTBEAT_AGE_MS_MAX = 5000;

export function healthRoutes({ metrics, exposition }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/metrics",
      tag: "health",
      summary: "Metrics in the Prometheus text format",
      open: true,
      handle: async () => new Reply(200, exposition.contentType, await exposition.text()),
    }),
    route({
      method: "GET",
      url: "/livez",
      tag: "health",
      summary: "Whether the process is alive: 503 when the main thread is stuck",
      open: true,
      handle: () => {
        const stuck = stuckReasons(metrics);
        return health(stuck.length === 0, { alive: stuck.length === 0, reasons: stuck });
      },
    }),
    route({
      method: "GET",
      url: "/readyz",
      tag: "health",
      summary: "Whether uses are authorized: 503 with the reasons when not",
      open: true,
      handle: () => {
        const reasons = unreadyReasons(metrics);
        return health(reasons.length === 0, { ready: reasons.length === 0, reasons });
      },
    }),
  ];
}

/** Before the first heartbeat the process is starting, not stuck. */
function stuckReasons(metrics: Metrics): string[] {
  if (metrics.gauge(GAUGE.HEARTBEAT_MS) === 0) return [];
  const seconds = Math.floor(heartbeatAgeMs(metrics) / 1000);
  if (seconds * 1000 < HEARTBEAT_AGE_MS_MAX) return [];
  return [`the main thread has been silent for ${seconds} s`];
}

function unreadyReasons(metrics: Metrics): string[] {
  const bits = metrics.gauge(GAUGE.READY);
  const reasons = stuckReasons(metrics);
  if ((bits & READY_REPLAYED) === 0) reasons.push("the journal is not replayed yet");
  if ((bits & READY_JOURNAL) === 0) reasons.push("the journal is not writable");
  if ((bits & READY_LISTENING) === 0) reasons.push("terminals are not served");
  if ((bits & READY_DRAINING) !== 0) reasons.push("the server is stopping");
  return reasons;
}

function health(good: boolean, body: object): Reply {
  return new Reply(good ? 200 : 503, "application/json", JSON.stringify(body));
}
