// All chance of a run: one stream of draws from one seed, so that the same seed is the same run.

import { RandomStream } from "../../src/province/random.js";

export class Chance {
  private readonly stream: RandomStream;

  /** `seed` is 0..2^32-1. */
  constructor(seed: number) {
    this.stream = new RandomStream(seed);
  }

  /** 0..count-1. */
  below(count: number): number {
    return Math.floor((this.stream.next32() / 2 ** 32) * count);
  }

  /** low..high. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True once in `1 / probability` times. */
  hit(probability: number): boolean {
    return this.stream.next32() < probability * 2 ** 32;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = this.below(256);
    return bytes;
  }
}
