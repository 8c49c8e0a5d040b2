// HTTP load by autocannon, one frame a POST. The one home of autocannon, which counts whole
// milliseconds and costs more than the server: throughput from it, never latency.

import { performance } from "node:perf_hooks";
import autocannon from "autocannon";
import type { HttpLoad, HttpRequests } from "./http.js";

/** Posts for `seconds`, each connection its own requests in order. */
export async function loadByAutocannon(
  requests: HttpRequests,
  connections: number,
  seconds: number,
): Promise<HttpLoad> {
  const { url, headersOf, bodies } = requests;
  const perConnection = Math.floor(bodies.length / connections);
  let next = 0;
  const start = performance.now();
  const result = await autocannon({
    url,
    method: "POST",
    connections,
    amount: perConnection * connections,
    maxOverallRequests: perConnection * connections,
    duration: seconds,
    setupClient: (client) => {
      const first = next++;
      // The frames of a terminal stay in order when each connection takes every n-th one.
      client.setRequests(
        Array.from({ length: perConnection }, (_, i) => {
          const body = bodies[first + i * connections]!;
          return { body, headers: headersOf(body) };
        }),
      );
    },
  });
  const elapsed = (performance.now() - start) / 1000;
  const failed = result.errors + result.timeouts + result.non2xx;
  if (failed > 0) throw new Error(`${failed} of the HTTP requests failed`);
  return { requests: result["2xx"], seconds: elapsed };
}
