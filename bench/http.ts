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

/** Which load generator is used. */
export function httpLoader(): "wrk" | "autocannon" {
  return wrkInstalled() ? "wrk" : "autocannon";
}

/** Loads for up to `seconds`. The bodies must last: those that are left over are not sent. */
export function loadHttp(
  requests: HttpRequests,
  connections: number,
  seconds: number,
): Promise<HttpLoad> {
  const load = wrkInstalled() ? loadByWrk : loadByAutocannon;
  return load(requests, connections, seconds);
}
