// MACs and keys against plain versions of the same standards, written here anew, and what the
// protocol's code refuses. The first test is the canary: it must see a wrong MAC. What decoders
// make of any bytes is in fuzz/protocol-fuzzers.ts.

import { createCipheriv, createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import {
  createMac,
  deriveSessionKeys,
  deriveSignOnKey,
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_PROBLEM_TEXTS,
  FRAME_SIZE_MAX,
  frameProblem,
  frameVerified,
  MAC_KEY_SIZES,
  readFrameHeader,
  readParameters,
  sealFrame,
  statusText,
  statusWord,
  writeParameters,
  writeRefusal,
  writeUseRecord,
} from "../protocol/index.js";
import { parameters, soundFrame, use } from "./fuzz/protocol-fuzzers.js";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ALGORITHMS = [1, 2, 3, 4];

function keyOf(algorithm: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: MAC_KEY_SIZES[algorithm]! }, (_, i) => seed * 31 + i * 7);
}

function macOf(algorithm: number, key: Uint8Array, message: Uint8Array): Uint8Array {
  const out = new Uint8Array(16);
  createMac(algorithm, key).sign(message, 0, message.length, out, 0);
  return out;
}

/** CMAC as NIST SP 800-38B tells it, block by block with ECB. */
function plainCmac(ecb: string, key: Uint8Array, message: Uint8Array): Uint8Array {
  const encrypt = (block: Buffer) =>
    createCipheriv(ecb, key, null).setAutoPadding(false).update(block);
  const double = (block: Buffer) => {
    const shifted = (BigInt(`0x${block.toString("hex")}`) << 1n) ^ (block[0]! > 127 ? 0x87n : 0n);
    return Buffer.from((shifted & (2n ** 128n - 1n)).toString(16).padStart(32, "0"), "hex");
  };
  const xor = (a: Buffer, b: Buffer) => Buffer.from(a.map((byte, i) => byte ^ b[i]!));
  const k1 = double(encrypt(Buffer.alloc(16)));
  const blocks = Math.max(1, Math.ceil(message.length / 16));
  let chain = Buffer.alloc(16);
  for (let i = 0; i < blocks; i++) {
    let block = Buffer.from(message.subarray(16 * i, 16 * i + 16));
    if (i === blocks - 1) {
      const whole = block.length === 16;
      block = Buffer.concat([block, Buffer.from([0x80]), Buffer.alloc(16)]).subarray(0, 16);
      block = xor(block, whole ? k1 : double(k1));
    }
    chain = encrypt(xor(chain, block));
  }
  return chain;
}

/** HMAC as RFC 2104 tells it, on a hash; keys of at most a block. */
function plainHmac(hash: string, key: Uint8Array, message: Uint8Array): Uint8Array {
  const padded = Buffer.concat([key, Buffer.alloc(64 - key.length)]);
  const inner = createHash(hash)
    .update(padded.map((byte) => byte ^ 0x36))
    .update(message);
  const outer = createHash(hash).update(padded.map((byte) => byte ^ 0x5c));
  return outer.update(inner.digest()).digest();
}

/** The pseudorandom function of each algorithm, whole. */
function plain(algorithm: number, key: Uint8Array, message: Uint8Array): Uint8Array {
  if (algorithm === 1) return plainCmac("aes-128-ecb", key, message);
  if (algorithm === 2) return plainCmac("sm4-ecb", key, message);
  return plainHmac(algorithm === 3 ? "sha256" : "sm3", key, message);
}

t.test("canary: a spoilt MAC is seen by the check these tests rest on", async (t) => {
  const message = new Uint8Array(20);
  const right = plain(1, keyOf(1, 1), message);
  right[3]! ^= 1;
  t.notSame(macOf(1, keyOf(1, 1), message), right);
});

t.test("MACs are those of plain versions, for any message, under one object", async (t) => {
  for (const algorithm of ALGORITHMS) {
    const key = keyOf(algorithm, 5);
    const mac = createMac(algorithm, key);
    const property = fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
      const before = message.slice();
      const out = new Uint8Array(20).fill(0xee);
      t.equal(mac.sign(message, 0, message.length, out, 2), 16);
      t.same(out.slice(2, 18), Uint8Array.from(plain(algorithm, key, message).subarray(0, 16)));
      t.same([out[0], out[1], out[18], out[19]], [0xee, 0xee, 0xee, 0xee]);
      t.same(message, before, "the message stays as it is");
    });
    fc.assert(property, { numRuns: 100 });
  }
});

t.test("objects of several keys used in turn do not disturb each other", async (t) => {
  const macs = ALGORITHMS.flatMap((a) => [1, 2].map((seed) => createMac(a, keyOf(a, seed))));
  const expected = ALGORITHMS.flatMap((a) => [1, 2].map((seed) => ({ a, key: keyOf(a, seed) })));
  for (const size of [0, 1, 16, 40_000, 17, 70_001, 96]) {
    const message = new Uint8Array(new SharedArrayBuffer(size)).fill(size);
    for (const [i, mac] of macs.entries()) {
      const out = new Uint8Array(16);
      mac.sign(message, 0, size, out, 0);
      const { a, key } = expected[i]!;
      t.same(out, macOf(a, key, message));
      if (size < 1000) t.same(out, Uint8Array.from(plain(a, key, message).subarray(0, 16)));
    }
  }
});

t.test("HMAC-SM3 is also that of the platform, over many sizes", async (t) => {
  for (let size = 0; size < 200; size++) {
    const message = new Uint8Array(size).fill(size);
    const expected = createHmac("sm3", keyOf(4, 9)).update(message).digest().subarray(0, 16);
    t.same(macOf(4, keyOf(4, 9), message), Uint8Array.from(expected));
  }
});

t.test("verify holds for the MAC and for none with a bit turned", async (t) => {
  for (const algorithm of ALGORITHMS) {
    const mac = createMac(algorithm, keyOf(algorithm, 3));
    const bytes = new Uint8Array(96 + 16).fill(7);
    mac.sign(bytes, 0, 96, bytes, 96);
    t.ok(mac.verify(bytes, 0, 96, 96));
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      t.notOk(mac.verify(bytes, 0, 96, 96));
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    t.ok(mac.verify(bytes, 0, 96, 96));
  }
});

t.test("a wrong use of MACs throws, without the key in the message", async (t) => {
  t.throws(() => createMac(0, new Uint8Array(16)), /unknown MAC algorithm/);
  t.throws(() => createMac(5, new Uint8Array(16)), /unknown MAC algorithm/);
  t.throws(() => createMac(1, new Uint8Array(32)), /not of its algorithm's size/);
  for (const algorithm of ALGORITHMS) {
    const mac = createMac(algorithm, keyOf(algorithm, 1));
    const bytes = new Uint8Array(32);
    t.throws(() => mac.sign(bytes, 0, 33, bytes, 0), /bytes that are there/);
    t.throws(() => mac.sign(bytes, 0, 16, bytes, 17), /has room/);
    t.throws(() => mac.verify(bytes, 0, 16, 17), /to check is there/);
    mac.close();
    t.throws(() => mac.sign(bytes, 0, 16, bytes, 16), /closed MAC/);
  }
});

function plainDerived(algorithm: number, key: Uint8Array, label: string, context: Buffer): string {
  const bits = Buffer.alloc(4);
  bits.writeUInt32BE(key.length * 8);
  const counter = Buffer.from([0, 0, 0, 1]);
  const parts = [counter, Buffer.from(label, "ascii"), Buffer.from([0]), context, bits];
  return Buffer.from(plain(algorithm, key, Buffer.concat(parts))).toString("hex");
}

t.test("keys are those of a plain SP 800-108 in counter mode", async (t) => {
  const property = fc.property(u32, u32, nonce, nonce, (id, number, ours, theirs) => {
    for (const algorithm of ALGORITHMS) {
      const master = keyOf(algorithm, number & 0xff);
      const numbers = Buffer.alloc(8);
      numbers.writeUInt32LE(id, 0);
      numbers.writeUInt32LE(number, 4);
      const session = Buffer.concat([numbers, ours, theirs]);
      const derived = deriveSessionKeys(algorithm, master, id, number, ours, theirs);
      const signOn = deriveSignOnKey(algorithm, master, id, number);
      t.same(
        [signOn, derived.requestKey, derived.responseKey].map((k) =>
          Buffer.from(k).toString("hex"),
        ),
        [
          plainDerived(algorithm, master, "TK sign-on", numbers),
          plainDerived(algorithm, master, "TK request", session),
          plainDerived(algorithm, master, "TK response", session),
        ],
      );
    }
  });
  fc.assert(property, { numRuns: 25 });
});

t.test("session parameters out of range or too long throw", async (t) => {
  const bytes = new Uint8Array(500);
  const p = fc.sample(parameters, 1)[0]!;
  t.throws(() => writeParameters(bytes, 0, { ...p, recordsPerFrameMax: 0 }), /recordsPerFrameMax/);
  t.throws(() => readParameters(new Uint8Array(5000), 0, 5000), /too long/);
});

t.test("numbers that a field cannot hold throw", async (t) => {
  const sample = fc.sample(use, 1)[0]!;
  const bytes = new Uint8Array(64);
  for (const value of [-1, 2 ** 32, 0.5, Number.NaN]) {
    t.throws(() => writeUseRecord(bytes, 0, { ...sample, stan: value }), RangeError);
  }
  for (const amountMinor of [0.5, 2 ** 53, Number.NaN]) {
    t.throws(() => writeUseRecord(bytes, 0, { ...sample, amountMinor }), /whole fen/);
  }
  t.throws(() => writeUseRecord(bytes, 0, { ...sample, pan: "1".repeat(20) }), /19 digits/);
  t.equal(statusText(statusWord("A0")), "A0");
  t.equal(statusText(statusWord("")), "");
});

function problemOf(bytes: Uint8Array): number {
  return frameProblem(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
}

t.test("frames of one record and of 4,096 are sound, of 4,097 not", async (t) => {
  t.equal(problemOf(soundFrame(1)), FRAME_PROBLEM.NONE);
  t.equal(problemOf(soundFrame(4096)), FRAME_PROBLEM.NONE);
  t.equal(soundFrame(4096).length, FRAME_SIZE_MAX);
  t.equal(problemOf(soundFrame(4097)), FRAME_PROBLEM.TOO_LARGE);
  t.equal(FRAME_PROBLEM_TEXTS.length, FRAME_PROBLEM_NAMES.length);
});

t.test("a sealed frame verifies; a refusal without a key is marked as not", async (t) => {
  const mac = createMac(1, keyOf(1, 1));
  const bytes = new Uint8Array(300);
  bytes.set(soundFrame(1), 7);
  const size = sealFrame(mac, bytes, 7, 96);
  t.equal(size, 112);
  t.ok(frameVerified(mac, bytes, 7, size));
  const request = readFrameHeader(new DataView(bytes.buffer), 7);
  const refused = new Uint8Array(60).fill(0xee);
  t.equal(writeRefusal(refused, 5, request, "A0", 99, null), 48);
  t.ok([...refused.subarray(0, 5), ...refused.subarray(53)].every((byte) => byte === 0xee));
  const answer = readFrameHeader(new DataView(refused.buffer), 5);
  t.equal(frameProblem(new DataView(refused.buffer), 5, 48), FRAME_PROBLEM.NONE);
  t.equal(answer.flags, FRAME_FLAG_UNAUTHENTICATED);
  t.equal(answer.status, "A0");
  t.equal(answer.sequence, request.sequence);
  t.ok(refused.subarray(37, 53).every((byte) => byte === 0));
});
