// The allocation case: what a use leaves for the garbage collector of the server's main thread, and
// the pauses that come of it.

import type { BenchCase, Run } from "./case.js";
import type { Garbage } from "./garbage.js";
import { Server } from "./server.js";
import { loadServer, type Shape, usesOf } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";

const SHAPES: Record<string, Shape & { frames: number }> = {
  single: { connections: 64, recordsPerFrame: 1, inFlight: 16, frames: 12_000 },
  batch: { connections: 16, recordsPerFrame: 128, inFlight: 4, frames: 1600 },
};
const SECONDS = 3;

export const ALLOCATION: BenchCase = {
  name: "allocation",
  text: "bytes a use leaves in the heap of the server's main thread, and its pauses",
  run: async (run) => {
    for (const [name, shape] of Object.entries(SHAPES)) await allocation(run, name, shape);
  },
};

async function allocation(
  run: Run,
  name: string,
  shape: Shape & { frames: number },
): Promise<void> {
  const frameCount = run.amount(shape.frames, 10);
  run.say(`starting a server, ${name}`);
  const server = await Server.start({
    terminalCount: shape.connections,
    cardCount: run.amount(WIRE_CARDS, 1000),
    usesMax: usesOf(shape, frameCount),
  });
  try {
    let garbage: Garbage | null = null;
    const { uses } = await loadServer(run, server, shape, {
      frameCount,
      seconds: run.seconds(SECONDS),
      before: () => server.host.ask("garbageStart"),
      after: async () => {
        garbage = await server.host.ask<Garbage>("garbageStop");
      },
    });
    record(run, name, garbage! as Garbage, uses);
  } finally {
    await server.stop();
  }
}

function record(run: Run, name: string, garbage: Garbage, uses: number): void {
  run.record({
    name: `${name}/bytes`,
    text: `allocated in the heap for each use, ${uses} uses`,
    value: garbage.allocatedBytes / uses,
    unit: "bytes",
  });
  run.record({
    name: `${name}/pause`,
    text: `paused for each use; ${garbage.pauses} pauses, the longest ${garbage.pauseMsMax} ms`,
    value: (garbage.pauseMs * 1e6) / uses,
    unit: "ns",
  });
}
