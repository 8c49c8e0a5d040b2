// Message authentication codes, 16 bytes, of the four algorithms a terminal's profile can name.
//
// The twist of CMAC: Node has none, and a new cipher object for each message costs more than the
// MAC. A CBC cipher that stays open holds the last ciphertext block as its state, so that block,
// XORed into the first block of the next message, cancels it: one `encrypt` is one CMAC. Ciphers
// stay open for the keys that were used last; one of another key takes the place of the one that
// has been open longest, which costs less than memory for a hundred thousand open ciphers would.
// The invariant: `last` of an OpenCipher equals its CBC state between calls.
//
// Messages are copied to one scratch buffer of the module first: the caller's bytes stay as they
// are, and another thread that writes to them meanwhile cannot part what was checked from itself.

import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { assert } from "./assert.js";
import {
  type BlockCipher,
  CIPHER_BLOCK_SIZE,
  CipherBuffer,
  type CipherName,
  openCipherAt,
  ZERO_BLOCK,
} from "./block-cipher.js";
import { WORD } from "./endian.js";
import { MAC_ALGORITHM, MAC_KEY_SIZES } from "./mac-algorithms.js";

/** Bytes of every MAC on the wire. */
export const MAC_SIZE = 16;

/** Where messages stand, as bytes and as words. */
export interface Place {
  bytes: Uint8Array;
  words: Int32Array;
}

/** A key with its algorithm, ready to make and check MACs. One thread at a time. */
export interface Mac {
  /** MAC_ALGORITHM number. */
  readonly algorithm: number;
  /** Writes the MAC of bytes[start..end) to out[outOffset..) and returns 16. */
  sign(bytes: Uint8Array, start: number, end: number, out: Uint8Array, outOffset: number): number;
  /** Whether the 16 bytes at macOffset are the MAC of bytes[start..end). Constant time. */
  verify(bytes: Uint8Array, start: number, end: number, macOffset: number): boolean;
  /**
   * The MACs of `count` messages of `size` bytes, four words each; they stand until the next call.
   * Message i begins at word starts[i], and 4 bytes or more stand behind it.
   */
  signMany(place: Place, starts: Int32Array, count: number, size: number): Int32Array;
  /**
   * Brings the key into the cache: with many keys their MACs wait for memory, each for its own, but
   * loads of one key after the other do not wait for each other. What it returns means nothing.
   */
  warm(): number;
  /** Forgets the key and zeroes what can be zeroed; the object is of no use afterwards. */
  close(): void;
}

/** A Mac under `key`. Throws when the algorithm is unknown or the key is not of its size. */
export function createMac(algorithm: number, key: Uint8Array): Mac {
  checkKey(algorithm, key);
  const isCmac = algorithm === MAC_ALGORITHM.AES_128_CMAC || algorithm === MAC_ALGORITHM.SM4_CMAC;
  return isCmac ? new CmacMac(algorithm, key) : new HmacMac(algorithm, key);
}

function checkKey(algorithm: number, key: Uint8Array): void {
  const keySize = MAC_KEY_SIZES[algorithm] ?? 0;
  if (keySize === 0) throw new RangeError("unknown MAC algorithm");
  if (key.length !== keySize) throw new RangeError("MAC key is not of its algorithm's size");
}

/**
 * The whole output of the pseudorandom function behind an algorithm, of as many bytes as its
 * keys have: CMAC 16, HMAC 32. For key derivation: builds its state anew at each call, and leaves
 * no copy of what it returns.
 */
export function pseudorandom(algorithm: number, key: Uint8Array, message: Uint8Array): Uint8Array {
  const out = new Uint8Array(MAC_KEY_SIZES[algorithm] ?? 0);
  checkKey(algorithm, key);
  if (out.length > MAC_SIZE) {
    const digest = createHmac(digestName(algorithm), key).update(message).digest();
    out.set(digest);
    digest.fill(0);
    return out;
  }
  const mac = new CmacMac(algorithm, key);
  mac.derive(message, out);
  mac.close();
  return out;
}

const SCRATCH_SIZE_START = 16_384;
/** Messages up to it are copied word by word: sooner than by a view of them. */
const WORDWISE_SIZE_MAX = 512;

let scratch = new CipherBuffer(SCRATCH_SIZE_START);

/** Zeroes what the last messages left in this thread's scratch: they hold card numbers. */
export function wipeScratch(): void {
  scratch.bytes.fill(0);
}

/** Makes room in scratch for a message of `size` bytes and a whole last block. */
function roomInScratch(size: number): void {
  let grown = scratch.bytes.length;
  while (grown < size + CIPHER_BLOCK_SIZE) grown *= 2;
  if (grown === scratch.bytes.length) return;
  wipeScratch();
  scratch = new CipherBuffer(grown);
}

/** Copies bytes[start..end) to scratch and returns its size. */
function toScratch(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  assert(start >= 0 && size >= 0 && end <= bytes.length, "a MAC covers bytes that are there");
  roomInScratch(size);
  scratch.bytes.set(bytes.subarray(start, end));
  return size;
}

/** As `toScratch`, the message of `size` bytes at word `start`. */
function wordsToScratch({ bytes, words }: Place, start: number, size: number): number {
  if (size > WORDWISE_SIZE_MAX) {
    const from = start * WORD.SIZE;
    return toScratch(bytes, from, from + size);
  }
  const end = start + Math.ceil(size / WORD.SIZE);
  assert(start >= 0 && end <= words.length, "a MAC covers bytes that are there");
  const to = scratch.words;
  for (let from = start, i = 0; from < end; from++, i++) to[i] = words[from]!;
  return size;
}

/** Whether tag[tagOffset..+16) equals bytes[macOffset..+16), looking at all of both. */
export function tagEquals(
  tag: Uint8Array,
  tagOffset: number,
  bytes: Uint8Array,
  macOffset: number,
): boolean {
  assert(macOffset >= 0 && macOffset + MAC_SIZE <= bytes.length, "a MAC to check is there");
  let difference = 0;
  for (let i = 0; i < MAC_SIZE; i++) difference |= tag[tagOffset + i]! ^ bytes[macOffset + i]!;
  return difference === 0;
}

/** As `tagEquals`, of words: tag[tagWord..+4) and words[macWord..+4). */
export function tagWordsEqual(
  tag: Int32Array,
  tagWord: number,
  words: Int32Array,
  macWord: number,
): boolean {
  assert(macWord >= 0 && macWord + BLOCK_WORDS <= words.length, "a MAC to check is there");
  let difference = 0;
  for (let i = 0; i < BLOCK_WORDS; i++) difference |= tag[tagWord + i]! ^ words[macWord + i]!;
  return difference === 0;
}

const BLOCK_WORDS = 4;

/** Ciphers of one name that are open at a time in a thread, some hundreds of bytes each. */
const OPEN_MAX = 256;

/** A cipher that stays open under the key of the MAC that used it last. */
class OpenCipher {
  /** Of CBC: the last block it has made. */
  readonly last = new Int32Array(BLOCK_WORDS);
  user: CmacMac | null = null;

  constructor(readonly cipher: BlockCipher) {}

  /** Zeroes the key, and has no user until it is taken again. */
  forget(): void {
    this.cipher.setKey(ZERO_BLOCK, 0);
    this.user = null;
  }
}

/** The open ciphers of one name. */
class OpenCiphers {
  private readonly open: OpenCipher[] = [];
  /** Which of them has been open longest, once there are OPEN_MAX. */
  private hand = 0;

  constructor(private readonly name: CipherName) {}

  /** One for `user`, under the 16 bytes at byte `at` of `keys`. */
  take(user: CmacMac, keys: CipherBuffer, at: number): OpenCipher {
    const { open, hand, name } = this;
    let taken = open[hand];
    if (taken === undefined) {
      taken = new OpenCipher(openCipherAt(name, keys, at));
      open.push(taken);
    } else {
      taken.cipher.setKey(keys, at);
      taken.last.fill(0);
    }
    taken.user = user;
    this.hand = (hand + 1) % OPEN_MAX;
    return taken;
  }
}

const AES_CBC = new OpenCiphers("aes-128-cbc");
const AES_ECB = new OpenCiphers("aes-128-ecb");
const SM4_CBC = new OpenCiphers("sm4-cbc");
const SM4_ECB = new OpenCiphers("sm4-ecb");

// A row of keys: key, K1 and K2, in the machine's own byte order, and one block that is not used.
const ROW_WORDS = 16;
const K1_WORD = 4;
const K2_WORD = 8;
const ROWS_OF_A_BUFFER = 1024;

/** Rows that no key is in: their buffers, and the words at which they begin. */
const freeRows: { buffer: CipherBuffer; word: number }[] = [];

function takeRow(): { buffer: CipherBuffer; word: number } {
  if (freeRows.length === 0) {
    const buffer = new CipherBuffer(ROWS_OF_A_BUFFER * ROW_WORDS * WORD.SIZE);
    for (let row = 0; row < ROWS_OF_A_BUFFER; row++) {
      freeRows.push({ buffer, word: row * ROW_WORDS });
    }
  }
  return freeRows.pop()!;
}

/** The MACs of many messages, and before that their blocks, encrypted side by side. */
let group = new CipherBuffer(4096);

/** Makes room in the group for `count` messages. */
function roomInGroup(count: number): void {
  const size = count * MAC_SIZE;
  if (size > group.bytes.length) group = new CipherBuffer(2 * size);
}

/** NIST SP 800-38B. Little is kept for each, for there may be hundreds of thousands. */
class CmacMac implements Mac {
  readonly algorithm: number;
  /** Where its row is; null when it is closed. */
  private rows: CipherBuffer | null;
  private readonly row: number;
  /** The ciphers that it used last: they are its own for as long as it is their user. */
  private cbc: OpenCipher | null = null;
  private ecb: OpenCipher | null = null;

  constructor(algorithm: number, key: Uint8Array) {
    const { buffer, word } = takeRow();
    this.algorithm = algorithm;
    this.rows = buffer;
    this.row = word;
    buffer.bytes.set(key, word * WORD.SIZE);
    const { bytes } = scratch;
    bytes.fill(0, 0, CIPHER_BLOCK_SIZE);
    const { cipher, last } = this.chain();
    cipher.encrypt(scratch, CIPHER_BLOCK_SIZE);
    for (let i = 0; i < BLOCK_WORDS; i++) last[i] = scratch.words[i]!;
    doubleInField(bytes);
    this.store(K1_WORD);
    doubleInField(bytes);
    this.store(K2_WORD);
    bytes.fill(0, 0, CIPHER_BLOCK_SIZE);
  }

  sign(bytes: Uint8Array, start: number, end: number, out: Uint8Array, outOffset: number): number {
    assert(outOffset >= 0 && outOffset + MAC_SIZE <= out.length, "a MAC has room");
    const tagOffset = this.run(toScratch(bytes, start, end));
    const made = scratch.bytes;
    for (let i = 0; i < MAC_SIZE; i++) out[outOffset + i] = made[tagOffset + i]!;
    return MAC_SIZE;
  }

  verify(bytes: Uint8Array, start: number, end: number, macOffset: number): boolean {
    const tagOffset = this.run(toScratch(bytes, start, end));
    return tagEquals(scratch.bytes, tagOffset, bytes, macOffset);
  }

  /** The MAC of a whole message that is a key itself: no copy of it stays but in `out`. */
  derive(message: Uint8Array, out: Uint8Array): void {
    const tagOffset = this.run(toScratch(message, 0, message.length));
    out.set(scratch.bytes.subarray(tagOffset, tagOffset + MAC_SIZE));
    scratch.bytes.fill(0, 0, tagOffset + MAC_SIZE);
  }

  signMany(place: Place, starts: Int32Array, count: number, size: number): Int32Array {
    roomInGroup(count);
    const wholeBlocks = size > 0 && size % CIPHER_BLOCK_SIZE === 0;
    if (wholeBlocks && count > size / CIPHER_BLOCK_SIZE) this.inStep(place, starts, count, size);
    else this.oneByOne(place, starts, count, size);
    return group.words;
  }

  warm(): number {
    if (this.rows === null) return 0;
    return this.rows.words[this.row]! ^ (this.cbc?.user === this ? 1 : 0);
  }

  close(): void {
    const { rows, row, cbc, ecb } = this;
    if (rows === null) return;
    if (cbc?.user === this) cbc.forget();
    if (ecb?.user === this) ecb.forget();
    rows.words.fill(0, row, row + ROW_WORDS);
    freeRows.push({ buffer: rows, word: row });
    this.rows = null;
    this.cbc = null;
    this.ecb = null;
  }

  private oneByOne(place: Place, starts: Int32Array, count: number, size: number): void {
    const to = group.words;
    for (let m = 0, g = 0; m < count; m++, g += BLOCK_WORDS) {
      const from = this.run(wordsToScratch(place, starts[m]!, size)) / WORD.SIZE;
      const made = scratch.words;
      for (let i = 0; i < BLOCK_WORDS; i++) to[g + i] = made[from + i]!;
    }
  }

  /**
   * The chains of many messages in step: one ECB call encrypts block i of all of them. As many
   * calls as a message has blocks, so it pays for more messages than that: 16 messages of 96 bytes
   * take 0.2 us each instead of 0.3.
   */
  private inStep({ words }: Place, starts: Int32Array, count: number, size: number): void {
    const { cipher } = this.blocks();
    const lastWord = size / WORD.SIZE - BLOCK_WORDS;
    group.words.fill(0, 0, count * BLOCK_WORDS);
    for (let word = 0; word <= lastWord; word += BLOCK_WORDS) {
      addBlocks(group.words, words, starts, count, word);
      if (word === lastWord) this.addSubkey(group.words, count);
      cipher.encrypt(group, count * MAC_SIZE);
    }
  }

  /** The open cipher under its key, and for many blocks side by side. */
  private chain(): OpenCipher {
    const { cbc } = this;
    if (cbc !== null && cbc.user === this) return cbc;
    this.cbc = this.open(this.algorithm === MAC_ALGORITHM.SM4_CMAC ? SM4_CBC : AES_CBC);
    return this.cbc;
  }

  private blocks(): OpenCipher {
    const { ecb } = this;
    if (ecb !== null && ecb.user === this) return ecb;
    this.ecb = this.open(this.algorithm === MAC_ALGORITHM.SM4_CMAC ? SM4_ECB : AES_ECB);
    return this.ecb;
  }

  private open(ciphers: OpenCiphers): OpenCipher {
    assert(this.rows !== null, "a closed MAC is not used");
    return ciphers.take(this, this.rows, this.row * WORD.SIZE);
  }

  private addSubkey(to: Int32Array, count: number): void {
    const { words } = this.rows!;
    const from = this.row + K1_WORD;
    const k0 = words[from]!;
    const k1 = words[from + 1]!;
    const k2 = words[from + 2]!;
    const k3 = words[from + 3]!;
    for (let g = 0; g < count * BLOCK_WORDS; g += BLOCK_WORDS) {
      to[g]! ^= k0;
      to[g + 1]! ^= k1;
      to[g + 2]! ^= k2;
      to[g + 3]! ^= k3;
    }
  }

  /** Encrypts the message of `size` bytes in scratch; returns where in it the MAC begins. */
  private run(size: number): number {
    const { cipher, last } = this.chain();
    const { bytes, words: message } = scratch;
    let end = size;
    let subkey = this.row + K1_WORD;
    if (size === 0 || (size & 15) !== 0) {
      subkey = this.row + K2_WORD;
      bytes[end++] = 0x80;
      while ((end & 15) !== 0) bytes[end++] = 0;
    }
    const { words } = this.rows!;
    const lastBlock = (end >> 2) - BLOCK_WORDS;
    for (let i = 0; i < BLOCK_WORDS; i++) {
      message[i]! ^= last[i]!;
      message[lastBlock + i]! ^= words[subkey + i]!;
    }
    cipher.encrypt(scratch, end);
    for (let i = 0; i < BLOCK_WORDS; i++) last[i] = message[lastBlock + i]!;
    return end - MAC_SIZE;
  }

  /** Keeps the first block of scratch at `word` of its row. */
  private store(word: number): void {
    const { words } = this.rows!;
    for (let i = 0; i < BLOCK_WORDS; i++) words[this.row + word + i] = scratch.words[i]!;
  }
}

/** Adds the block at `word` of each message to its place in the group. */
function addBlocks(
  to: Int32Array,
  words: Int32Array,
  starts: Int32Array,
  count: number,
  word: number,
): void {
  for (let m = 0, g = 0; m < count; m++, g += BLOCK_WORDS) {
    const from = starts[m]! + word;
    to[g]! ^= words[from]!;
    to[g + 1]! ^= words[from + 1]!;
    to[g + 2]! ^= words[from + 2]!;
    to[g + 3]! ^= words[from + 3]!;
  }
}

/** Multiplies the first block by x in GF(2^128) (SP 800-38B clause 6.1), in place. */
function doubleInField(block: Uint8Array): void {
  const carry = block[0]! >> 7;
  for (let i = 0; i < 15; i++) block[i] = (block[i]! << 1) | (block[i + 1]! >> 7);
  block[15] = (block[15]! << 1) ^ (carry * 0x87);
}

function digestName(algorithm: number): "sha256" | "sm3" {
  return algorithm === MAC_ALGORITHM.HMAC_SM3 ? "sm3" : "sha256";
}

/** RFC 2104, the first 16 bytes of its output. */
class HmacMac implements Mac {
  readonly algorithm: number;
  private key: KeyObject | null;

  constructor(algorithm: number, key: Uint8Array) {
    this.algorithm = algorithm;
    this.key = createSecretKey(key);
  }

  sign(bytes: Uint8Array, start: number, end: number, out: Uint8Array, outOffset: number): number {
    assert(outOffset >= 0 && outOffset + MAC_SIZE <= out.length, "a MAC has room");
    const digest = this.run(bytes, start, end);
    for (let i = 0; i < MAC_SIZE; i++) out[outOffset + i] = digest[i]!;
    return MAC_SIZE;
  }

  verify(bytes: Uint8Array, start: number, end: number, macOffset: number): boolean {
    return tagEquals(this.run(bytes, start, end), 0, bytes, macOffset);
  }

  signMany({ bytes }: Place, starts: Int32Array, count: number, size: number): Int32Array {
    roomInGroup(count);
    for (let m = 0; m < count; m++) {
      const start = starts[m]! * WORD.SIZE;
      group.bytes.set(this.run(bytes, start, start + size).subarray(0, MAC_SIZE), m * MAC_SIZE);
    }
    return group.words;
  }

  warm(): number {
    return this.key === null ? 0 : 1;
  }

  close(): void {
    this.key = null;
  }

  private run(bytes: Uint8Array, start: number, end: number): Uint8Array {
    assert(this.key !== null, "a closed MAC is not used");
    const size = toScratch(bytes, start, end);
    return createHmac(digestName(this.algorithm), this.key)
      .update(scratch.bytes.subarray(0, size))
      .digest();
  }
}
