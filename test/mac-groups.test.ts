// MACs in groups give what MACs one by one give: for every algorithm, size and number of messages,
// and a forged frame in the middle of a group is refused alone.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { createMac } from "../protocol/mac.js";
import { MAC_ALGORITHM, MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { REASON } from "../protocol/reason.js";
import { Batch, PendingBlock } from "../src/batch.js";
import { FrameSlot } from "../src/frame-slot.js";
import { signAll, signFrame, verifyAll } from "../src/mac-groups.js";
import type { KeyPair } from "../src/session-keys.js";

const ALGORITHMS = Object.values(MAC_ALGORITHM);
const FRAMES_MAX = 300;

/** Runs of frames: which of three keys, how many, and how many blocks each. */
const RUNS = fc.array(
  fc.record({
    key: fc.nat(2),
    count: fc.integer({ min: 1, max: 40 }),
    size: fc.constantFrom(32, 96, 64, 100, 1056),
  }),
  { minLength: 1, maxLength: 6 },
);

function keyPair(algorithm: number): KeyPair {
  const key = () => createMac(algorithm, randomBytes(MAC_KEY_SIZES[algorithm]!));
  const place = { slot: 0, version: 1, sessionBase: 1, keyGeneration: 1, recent: true };
  return { ...place, request: key(), response: key() };
}

for (const algorithm of ALGORITHMS) {
  t.test(`requests of algorithm ${algorithm}: the forged are refused, and only they`, async (t) => {
    const pairs = [0, 1, 2].map(() => keyPair(algorithm));
    const property = fc.property(RUNS, fc.array(fc.nat(FRAMES_MAX)), (runs, forged) => {
      const batch = new Batch(0, 1 << 19, FRAMES_MAX);
      for (const { key, count, size } of runs) {
        for (let i = 0; i < count; i++) batch.frames.push(request(batch, pairs[key]!, size));
      }
      const bad = new Set(forged.map((n) => n % batch.frames.length));
      for (const n of bad) batch.arena.bytes[batch.frames[n]!.start + (n % 32)]! ^= 1 << (n % 8);
      verifyAll(batch);
      return batch.frames.every((frame, n) => {
        return frame.refusal === (bad.has(n) ? REASON.MAC_INVALID : 0);
      });
    });
    fc.assert(property, { numRuns: 60 });
    t.pass("60 batches");
  });

  t.test(`answers of algorithm ${algorithm}: as one by one`, async (t) => {
    const pairs = [0, 1, 2].map(() => keyPair(algorithm));
    const property = fc.property(RUNS, (runs) => {
      const block = new PendingBlock(0, 1 << 12, 1 << 19, FRAMES_MAX);
      for (const { key, count, size } of runs) {
        for (let i = 0; i < count; i++) block.frames.push(response(block, pairs[key]!, size));
      }
      signAll(block);
      const together = block.arena.bytes.slice();
      for (const frame of block.frames) signFrame(block, frame);
      return Buffer.compare(together, block.arena.bytes) === 0;
    });
    fc.assert(property, { numRuns: 60 });
    t.pass("60 blocks");
  });
}

function request(batch: Batch, keys: KeyPair, size: number): FrameSlot {
  const frame = new FrameSlot();
  frame.size = size + FRAME_MAC_SIZE;
  frame.start = batch.arena.take(frame.size);
  frame.keys = keys;
  const end = frame.start + size;
  batch.arena.bytes.set(randomBytes(size), frame.start);
  keys.request.sign(batch.arena.bytes, frame.start, end, batch.arena.bytes, end);
  return frame;
}

function response(block: PendingBlock, keys: KeyPair, size: number): FrameSlot {
  const frame = new FrameSlot();
  frame.responseSize = size;
  frame.responseStart = block.arena.take(size + FRAME_MAC_SIZE);
  frame.signer = keys.response;
  block.arena.bytes.set(randomBytes(size), frame.responseStart);
  return frame;
}
