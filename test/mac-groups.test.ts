// MACs in groups give what MACs one by one give: for every algorithm, size and number of messages,
// inline and by the threads of the pool, and a forged frame in the middle of a group is refused
// alone.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { MacWork } from "../bench/mac-work.js";
import { BlockWriter } from "../engine/block.js";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { createMac, type Mac } from "../protocol/mac.js";
import { MAC_ALGORITHM, MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { REASON } from "../protocol/reason.js";
import { Batch, PendingBlock } from "../src/batch.js";
import { FrameSlot } from "../src/frame-slot.js";
import { MacGroup, signAll, signFrame, verifyAll } from "../src/mac-groups.js";
import {
  JOB_BAD,
  JOB_GOOD,
  JOB_SIZE_WORD,
  JOB_START_WORD,
  JOB_WORDS,
  MAC_OPERATION,
} from "../src/mac-jobs.js";
import { MacPool } from "../src/mac-pool.js";
import type { KeyPair } from "../src/session-keys.js";

const ALGORITHMS = Object.values(MAC_ALGORITHM);
const FRAMES_MAX = 300;
const GROUP_MAX = new MacGroup().starts.length;

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
      const batch = new Batch(0, 1 << 19, FRAMES_MAX, false);
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
      const block = new PendingBlock(0, new BlockWriter(1 << 12), 1 << 19, FRAMES_MAX, false);
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

for (const runLength of [1, 3, 16, GROUP_MAX + 9]) {
  t.test(`threads: sessions in runs of ${runLength}, checked and signed`, async (t) => {
    const count = 2 * GROUP_MAX + 50;
    const work = await MacWork.make(1, count);
    const pool = new MacPool(2, work.data);
    t.teardown(() => pool.close());
    work.fill(count, runLength);
    const { frames, jobs, arena, number } = work.batches[0]!;
    const size = frames[0]!.size * count;

    const forged = new Set([0, 7, 8, runLength, GROUP_MAX, count - 1].filter((n) => n < count));
    for (const n of forged) arena.bytes[frames[n]!.start + 40]! ^= 1;
    await pool.run(number, MAC_OPERATION.VERIFY, count, size);
    t.same(
      [...jobs.results.subarray(0, count)],
      frames.map((_, n) => (forged.has(n) ? JOB_BAD : JOB_GOOD)),
    );

    await pool.run(number, MAC_OPERATION.SIGN, count, size);
    const expected = new Uint8Array(FRAME_MAC_SIZE);
    const differing = frames.filter(({ keys }, n) => {
      const start = jobs.words[n * JOB_WORDS + JOB_START_WORD]!;
      const end = start + jobs.words[n * JOB_WORDS + JOB_SIZE_WORD]!;
      keys!.response.sign(arena.bytes, start, end, expected, 0);
      return Buffer.compare(expected, arena.bytes.slice(end, end + FRAME_MAC_SIZE)) !== 0;
    });
    t.equal(differing.length, 0);
    work.close();
  });
}

t.test(
  "messages of any size, empty ones as well, have the MACs of messages one by one",
  async (t) => {
    const words = new Int32Array(64 * 1024);
    const bytes = new Uint8Array(words.buffer);
    bytes.set(randomBytes(bytes.length));
    const starts = Int32Array.from([0, 1, 77, 300]);
    const one = new Uint8Array(16);
    for (const algorithm of ALGORITHMS) {
      const mac = createMac(algorithm, randomBytes(MAC_KEY_SIZES[algorithm]!));
      for (const size of [0, 1, 15, 16, 17, 31, 33, 512, 513, 528, 20_000]) {
        mac.warm();
        const tags = new Uint8Array(mac.signMany({ bytes, words }, starts, 4, size).slice().buffer);
        const same = [...starts].every((start, i) => {
          mac.sign(bytes, start * 4, start * 4 + size, one, 0);
          return Buffer.compare(one, tags.subarray(i * 16, (i + 1) * 16)) === 0;
        });
        t.ok(same, `algorithm ${algorithm}, ${size} bytes`);
      }
      mac.close();
      t.doesNotThrow(() => mac.warm(), "a key that is gone is nothing to read");
    }
  },
);

for (const algorithm of [MAC_ALGORITHM.AES_128_CMAC, MAC_ALGORITHM.SM4_CMAC]) {
  t.test(`more keys of algorithm ${algorithm} than ciphers stay open, in any order`, async (t) => {
    const words = new Int32Array(1024);
    const bytes = new Uint8Array(words.buffer);
    bytes.set(randomBytes(bytes.length));
    const size = 48;
    const starts = Int32Array.from([4, 100, 200, 300, 400]);
    const key = () => createMac(algorithm, randomBytes(MAC_KEY_SIZES[algorithm]!));
    const tagsOf = (mac: Mac, count: number) => {
      const tags = mac.signMany({ bytes, words }, starts, count, size);
      return Buffer.from(tags.slice(0, 4 * count).buffer).toString("hex");
    };
    // One message goes by itself, five go side by side; the first MACs are of ciphers just opened.
    const macs = Array.from({ length: 700 }, key);
    const expected = macs.map((mac) => tagsOf(mac, 5));
    for (let step = 0; step < 20_000; step++) {
      const i = Math.floor((step * 7919) / (1 + (step % 3))) % macs.length;
      const count = step % 2 === 0 ? 1 : 5;
      const tags = tagsOf(macs[i]!, count);
      if (tags !== expected[i]!.slice(0, 32 * count)) t.fail(`step ${step}: key ${i}`);
      if (step % 50 !== 0) continue;
      macs[i]!.close();
      t.throws(() => tagsOf(macs[i]!, count), /a closed MAC/);
      macs[i] = key();
      expected[i] = tagsOf(macs[i]!, 5);
    }
    t.equal(new Set(expected).size, macs.length, "no two keys make the same MACs");
    for (const mac of macs) mac.close();
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
