// The core case: decide and apply through Engine.use, over random cards of as many as a province
// has; no socket, no MAC, no disk. And what it leaves for the garbage collector.

import { performance } from "node:perf_hooks";
import type { BenchCase } from "./case.js";
import { EngineWorld } from "./engine-world.js";
import { GarbageWatch } from "./garbage.js";
import { randomFrom, SEED } from "./random.js";

const CARDS = 10_000_000;
const ROUNDS = 7;
const USES_PER_ROUND = 500_000;

export const CORE: BenchCase = {
  name: "core",
  text: "decide, apply and record through the engine, random cards of 10 million",
  run: async (run) => {
    const cardCount = run.amount(CARDS, 1000);
    const usesPerRound = run.amount(USES_PER_ROUND, 2000);
    run.say(`making ${cardCount} cards`);
    const world = await EngineWorld.make(cardCount, usesPerRound * ROUNDS);
    const random = randomFrom(SEED);
    const garbage = new GarbageWatch();
    const rates: number[] = [];
    const allocated: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const uses = world.makeUses(usesPerRound, () => Math.floor(random() * cardCount));
      world.open();
      garbage.start();
      const start = performance.now();
      world.decideAll(uses);
      rates.push(usesPerRound / ((performance.now() - start) / 1000));
      allocated.push(garbage.stop().allocatedBytes / usesPerRound);
      world.seal();
    }
    const text = `median of ${ROUNDS} rounds of ${usesPerRound}, ${cardCount} cards`;
    run.record({ name: "", text, value: median(rates), unit: "uses/s" });
    const what = "allocated in the heap for each use";
    run.record({ name: "allocated", text: what, value: median(allocated), unit: "bytes" });
  },
};

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
