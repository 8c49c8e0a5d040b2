// HTTP load by whatever is there: wrk where it is installed (Debian package wrk), which costs
// little, else autocannon.

import { loadByAutocannon } from "./http-load.js";
import { loadByWrk, wrkInstalled } from "./wrk.js";

/** POSTs to be sent, each once, in an order in which the frames of each terminal go upwards. */
export interface HttpRequests {
  url: string;
  headersOf(body: Buffer): Record<string, string>;
  bodies: Buffer[];
}

/** What was answered. */
export interface HttpLoad {
  requests: number;
  seconds: number;
}

/** wrk counts whole seconds: what is shorter than this is not for it. */
const WRK_SECONDS_MIN = 1;

/** Which load generator is used for a load of `seconds`. */
export function httpLoader(seconds: number): "wrk" | "autocannon" {
  return wrkInstalled() && seconds >= WRK_SECONDS_MIN ? "wrk" : "autocannon";
}

/** Loads for up to `seconds`. The bodies must last: those that are left over are not sent. */
export function loadHttp(
  requests: HttpRequests,
  connections: number,
  seconds: number,
): Promise<HttpLoad> {
  const load = httpLoader(seconds) === "wrk" ? loadByWrk : loadByAutocannon;
  return load(requests, connections, seconds);
}

/** A second, or as long as a shorter load. */
export function warmUpSeconds(seconds: number): number {
  return Math.min(seconds, 1);
}
