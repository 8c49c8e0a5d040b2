// The block cipher in place is that of node:crypto, call for call; it writes nothing beyond what it
// is told, and takes nothing that is not there: OpenSSL would read and write on.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import {
  type BlockCipher,
  CipherBuffer,
  type CipherName,
  encryptsInPlace,
  openCipher,
  openPortable,
} from "../protocol/block-cipher.js";

const NAMES: readonly CipherName[] = ["aes-128-cbc", "aes-128-ecb", "sm4-cbc", "sm4-ecb"];
const SIZE_MAX = 1024;
const openers = [openCipher, openPortable];

/** A buffer that holds `bytes`. */
function holding(bytes: Uint8Array): CipherBuffer {
  const buffer = new CipherBuffer(bytes.length);
  buffer.bytes.set(bytes);
  return buffer;
}

t.test("OpenSSL's functions are found in this Node.js", async (t) => {
  t.ok(encryptsInPlace(), "else every figure of the bench is of another cipher");
});

for (const name of NAMES) {
  t.test(`${name}: in place as by node:crypto, over calls of many sizes`, async (t) => {
    const sizes = fc.array(fc.integer({ min: 1, max: SIZE_MAX / 16 }), { minLength: 1 });
    const key = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const property = fc.property(sizes, key, fc.nat(255), (blocks, key, fill) => {
      const [native, portable] = [openCipher(name, key), openPortable(name, key)];
      for (const [i, count] of blocks.entries()) {
        const given = new Uint8Array(SIZE_MAX).map((_, at) => at * 7 + i + fill);
        const [ours, theirs] = [holding(given), holding(given)];
        native.encrypt(ours, count * 16);
        portable.encrypt(theirs, count * 16);
        if (Buffer.compare(ours.bytes, theirs.bytes) !== 0) return false;
        const beyond = ours.bytes.subarray(count * 16);
        if (Buffer.compare(beyond, given.subarray(count * 16)) !== 0) return false;
      }
      native.close();
      portable.close();
      return true;
    });
    fc.assert(property, { numRuns: 100 });
    t.pass("100 sequences of calls");
  });
}

t.test("many ciphers at a time, opened and closed in any order", async (t) => {
  const expected = new Map<BlockCipher, BlockCipher>();
  for (let round = 0; round < 2000; round++) {
    const name = NAMES[round % NAMES.length]!;
    const key = randomBytes(16);
    expected.set(openCipher(name, key), openPortable(name, key));
    const pairs = [...expected];
    const [native, portable] = pairs[(round * 7919) % pairs.length]!;
    const [ours, theirs] = [new CipherBuffer(64), new CipherBuffer(64)];
    native.encrypt(ours, 64);
    portable.encrypt(theirs, 64);
    if (Buffer.compare(ours.bytes, theirs.bytes) !== 0) t.fail(`round ${round}`);
    if (pairs.length < 100) continue;
    native.close();
    portable.close();
    expected.delete(native);
  }
  for (const pair of expected) for (const cipher of pair) cipher.close();
});

t.test("a buffer stays where it is while the collector moves what it can", async (t) => {
  const cipher = openCipher("aes-128-ecb", new Uint8Array(16));
  const portable = openPortable("aes-128-ecb", new Uint8Array(16));
  const buffers = Array.from({ length: 200 }, (_, i) => new CipherBuffer(16 * (1 + (i % 8))));
  const expected = buffers.map(({ bytes }) => new CipherBuffer(bytes.length));
  for (let round = 0; round < 20; round++) {
    for (const [i, buffer] of buffers.entries()) {
      cipher.encrypt(buffer, buffer.bytes.length);
      portable.encrypt(expected[i]!, buffer.bytes.length);
    }
    const garbage = Array.from({ length: 50_000 }, (_, i) => [i, `${i}`]);
    if (garbage.length === 0) t.fail("kept until here");
  }
  const same = buffers.every(({ bytes }, i) => Buffer.compare(bytes, expected[i]!.bytes) === 0);
  t.ok(same, "20 rounds, between which the young generation was collected");
});

t.test("what is not there, not whole or closed is not encrypted", async (t) => {
  for (const open of openers) {
    const cipher = open("aes-128-cbc", new Uint8Array(16));
    const buffer = new CipherBuffer(32);
    for (const size of [0, -16, 1, 15, 17, 48, 2 ** 32, Number.NaN]) {
      t.throws(() => cipher.encrypt(buffer, size), /whole blocks, and there/, `${size}`);
    }
    t.same(buffer.bytes, new Uint8Array(32), "nothing was written");
    cipher.close();
    cipher.close();
    t.throws(() => cipher.encrypt(buffer, 16), /a closed cipher/);
    for (const size of [0, 15, 17, 32]) t.throws(() => open("sm4-ecb", new Uint8Array(size)));
  }
});
