// The allocation case: what a use leaves for the garbage collector of the server's main thread, and
// the pauses that come of it.

import type { BenchCase, Run } from "./case.js";
import type { Garbage } from "./garbage.js";
import { Server } from "./server.js";
import { loadServer, type Shape, usesOf } from "./wire.js";
import { WIRE_CARDS } from "./wire-cases.js";

type Sized = Shape & { frames: number };

const SHAPES: Record<string, Sized> = {
  single: { connections: 64, recordsPerFrame: 1, inFlight: 16, frames: 12_000 },
  batch: { connections: 16, recordsPerFrame: 128, inFlight: 4, frames: 1600 },
};
const FRAMES_MIN = 10;
const SECONDS = 3;

export const ALLOCATION: BenchCase = {
  name: "allocation",
  text: "bytes a use leaves in the heap of the server's main thread, and its pauses",
  run: async (run) => {
    const shapes = Object.entries(SHAPES);
    const sum = (of: (shape: Sized) => number) => {
      return shapes.reduce((total, [, shape]) => total + of(shape), 0);
    };
    run.say("starting a server");
    const server = await Server.start({
      terminalCount: sum((shape) => shape.connections),
      cardCount: run.amount(WIRE_CARDS, 1000),
      usesMax: sum((shape) => usesOf(shape, run.amount(shape.frames, FRAMES_MIN))),
    });
    try {
      let firstTerminal = 0;
      for (const [name, shape] of shapes) {
        await allocation(run, server, name, shape, firstTerminal);
        firstTerminal += shape.connections;
      }
    } finally {
      await server.stop();
    }
  },
};

async function allocation(
  run: Run,
  server: Server,
  name: string,
  shape: Sized,
  firstTerminal: number,
): Promise<void> {
  let garbage: Garbage | null = null;
  const { uses } = await loadServer(run, server, shape, {
    frameCount: run.amount(shape.frames, FRAMES_MIN),
    seconds: run.seconds(SECONDS),
    firstTerminal,
    before: () => server.host.ask("garbageStart"),
    after: async () => {
      garbage = await server.host.ask<Garbage>("garbageStop");
    },
  });
  record(run, name, garbage! as Garbage, uses);
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
