// Chance that can be had again: everything in a generated province is a function of the seed and
// an index, so that any card can be made without making those before it. Not for keys.

import { assert } from "../../protocol/assert.js";

/** What a draw decides; draws of different purposes do not hang together. Append only. */
export const PURPOSE = {
  CARD_NUMBER: 1,
  ISSUER: 2,
  RESIDENCE: 3,
  BIRTH: 4,
  SEQUENCE: 5,
  CHIP: 6,
  REPLACED: 7,
  ELECTRONIC: 8,
  EXPIRY: 9,
  HOLDER_LISTED: 10,
  CARD_LISTED: 11,
  LIST_CONTENT: 12,
  ORGANISATION: 13,
  TERMINAL: 14,
  TERMINAL_LISTED: 15,
  USES: 16,
} as const;

/** 32 bits that look random, of three numbers of 32 bits (the finalizer of MurmurHash3). */
export function hash32(seed: number, purpose: number, index: number): number {
  let h = mix(Math.imul(purpose, 0x9e3779b9) ^ seed);
  h = mix(h ^ Math.imul(index, 0x85ebca77) ^ 0x165667b1);
  return mix(h + index) >>> 0;
}

/** A draw in [0, 1). */
export function draw(seed: number, purpose: number, index: number): number {
  return hash32(seed, purpose, index) / 2 ** 32;
}

function mix(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A stream of draws (xoshiro128**, Blackman and Vigna, public domain), seeded through hash32. */
export class RandomStream {
  private readonly s: Uint32Array;

  constructor(seed: number) {
    this.s = new Uint32Array(4);
    for (let i = 0; i < 4; i++) this.s[i] = hash32(seed, 0, i + 1);
    assert((this.s[0]! | this.s[1]! | this.s[2]! | this.s[3]!) !== 0, "a stream's state is not 0");
  }

  /** 0..2^32-1. */
  next32(): number {
    const s = this.s;
    const result = Math.imul(rotateLeft(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2] = s[2]! ^ s[0]!;
    s[3] = s[3]! ^ s[1]!;
    s[1] = s[1]! ^ s[2]!;
    s[0] = s[0]! ^ s[3]!;
    s[2] = s[2]! ^ t;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  /** [0, 1). */
  next(): number {
    return this.next32() / 2 ** 32;
  }

  /** A whole number in [0, count). */
  below(count: number): number {
    assert(count >= 1, "a draw is out of at least one");
    return Math.floor(this.next() * count);
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/**
 * A keyed one-to-one mapping of [0, half * half) onto itself: a Feistel network over two halves
 * in base `half`, added modulo `half`. `half` up to 2^26.
 */
export function permute(seed: number, purpose: number, half: number, index: number): number {
  assert(index >= 0 && index < half * half, "the index lies in the domain of the permutation");
  let left = Math.floor(index / half);
  let right = index % half;
  for (let round = 0; round < 4; round++) {
    const mixed = (left + hash32(seed, purpose * 16 + round, right)) % half;
    left = right;
    right = mixed;
  }
  return left * half + right;
}

/** The same for a domain of any size: leaves the square around it until it falls inside. */
export function permuteBelow(seed: number, purpose: number, count: number, index: number): number {
  assert(index >= 0 && index < count, "the index lies in the domain of the permutation");
  const half = Math.ceil(Math.sqrt(count));
  let at = permute(seed, purpose, half, index);
  while (at >= count) at = permute(seed, purpose, half, at);
  return at;
}

/** Shares `total` by weight in whole numbers that sum to it (method of the largest remainder). */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const shares = exact.map(Math.floor);
  const missing = total - shares.reduce((a, b) => a + b, 0);
  const byRemainder = exact.map((share, i) => ({ i, remainder: share - shares[i]! }));
  byRemainder.sort((a, b) => b.remainder - a.remainder || a.i - b.i);
  for (let k = 0; k < missing; k++) shares[byRemainder[k]!.i]!++;
  return shares;
}

/** Positions at which shares begin, and their sum as the last. */
export function startsOf(shares: readonly number[]): number[] {
  const starts = [0];
  for (const share of shares) starts.push(starts.at(-1)! + share);
  return starts;
}

/** Which share `position` falls in: the last start not behind it. */
export function shareAt(starts: readonly number[], position: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= position) low = middle;
    else high = middle;
  }
  return low;
}
