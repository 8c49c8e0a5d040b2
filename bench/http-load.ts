// The HTTP load: autocannon, one frame a POST, one connection for each terminal. The one home of
// autocannon, which counts whole milliseconds: throughput from it, never latency.

import autocannon from "autocannon";
import type { LoadTerminal } from "./load.js";

/** Posts all frames of the terminals; resolves when the last answer is there. */
export async function postAll(terminalsUrl: string, terminals: LoadTerminal[]): Promise<void> {
  const { hostname, port } = new URL(terminalsUrl);
  const bodies = terminals.map((terminal) => terminal.bodies());
  let next = 0;
  const result = await autocannon({
    url: `http://${hostname}:${port}/v1/messages`,
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    connections: terminals.length,
    amount: bodies.reduce((sum, frames) => sum + frames.length, 0),
    setupClient: (client) => {
      const frames = bodies[next++]!;
      client.setRequests(frames.map((body) => ({ body })));
    },
  });
  const failed = result.errors + result.timeouts + result.non2xx;
  if (failed > 0) throw new Error(`${failed} of the HTTP requests failed`);
}
