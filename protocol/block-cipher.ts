// A block cipher under one key, kept open, that encrypts bytes where they stand: AES-128 and SM4.
//
// The twist: `update` of node:crypto makes a buffer for each call, which costs 2 us and as much
// again in the collector; the OpenSSL that Node.js carries, and exports for addons, encrypts in
// place in 0.2. So its functions are called directly where they are found and give what
// node:crypto gives, and node:crypto does it elsewhere: the same cipher, later. To find where an
// array lies costs as much as the rest of a call, so ciphers take buffers that know.

import { type Cipher, createCipheriv } from "node:crypto";
import { assert } from "./assert.js";
import { loadNative } from "./native.js";

/** Bytes of a block of both ciphers. */
export const CIPHER_BLOCK_SIZE = 16;

export type CipherName = "aes-128-cbc" | "aes-128-ecb" | "sm4-cbc" | "sm4-ecb";

/** Memory in which ciphers encrypt. It is nobody else's: never transferred, never resized. */
export class CipherBuffer {
  readonly bytes: Uint8Array;
  /** The same, as words. */
  readonly words: Int32Array;
  /** Where it begins, once OpenSSL was told; 0 until then. */
  address = 0;

  /** `size` in bytes, a multiple of a block. */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.words = new Int32Array(this.bytes.buffer);
  }
}

/** Nobody writes to it: the start of each chain, and the key of a cipher that nobody uses. */
export const ZERO_BLOCK = new CipherBuffer(CIPHER_BLOCK_SIZE);

/** One thread at a time. */
export interface BlockCipher {
  /** Encrypts the first `size` bytes, whole blocks, in place. CBC goes on from the last block. */
  encrypt(buffer: CipherBuffer, size: number): void;
  /** Takes the 16 bytes at byte `at` of `keys` for its key, in place of the one it had. */
  setKey(keys: CipherBuffer, at: number): void;
  /** Forgets the key; the object is of no use afterwards. To be called: nothing else frees it. */
  close(): void;
}

/** A cipher under `key` of 16 bytes; CBC begins at an initialization vector of zeros. */
export function openCipher(name: CipherName, key: Uint8Array): BlockCipher {
  return withKey(openCipherAt, name, key);
}

/** As `openCipher`, by node:crypto, whatever is found. */
export function openPortable(name: CipherName, key: Uint8Array): BlockCipher {
  return withKey((...given) => new PortableCipher(...given), name, key);
}

/** As `openCipher`, under the 16 bytes at byte `at` of `keys`. */
export function openCipherAt(name: CipherName, keys: CipherBuffer, at: number): BlockCipher {
  const found = opensslOnce();
  return found === null
    ? new PortableCipher(name, keys, at)
    : new NativeCipher(found, name, keys, at);
}

type Open = typeof openCipherAt;

/** Opens a cipher under a key that lies elsewhere, and leaves no copy of the key. */
function withKey(open: Open, name: CipherName, key: Uint8Array): BlockCipher {
  assert(key.length === CIPHER_BLOCK_SIZE, "a key is as long as a block");
  oneKey.bytes.set(key);
  const cipher = open(name, oneKey, 0);
  oneKey.bytes.fill(0);
  return cipher;
}

const oneKey = new CipherBuffer(CIPHER_BLOCK_SIZE);

/** Whether `openCipher` encrypts in place, or only as if it did. */
export function encryptsInPlace(): boolean {
  return opensslOnce() !== null;
}

class PortableCipher implements BlockCipher {
  private cipher: Cipher | null;

  constructor(
    private readonly name: CipherName,
    keys: CipherBuffer,
    at: number,
  ) {
    this.cipher = this.open(keys, at);
  }

  encrypt({ bytes }: CipherBuffer, size: number): void {
    assert(this.cipher !== null, "a closed cipher is not used");
    checkSize(bytes, size);
    const made = this.cipher.update(bytes.subarray(0, size));
    bytes.set(made);
    made.fill(0);
  }

  setKey(keys: CipherBuffer, at: number): void {
    assert(this.cipher !== null, "a closed cipher is not used");
    this.cipher = this.open(keys, at);
  }

  close(): void {
    this.cipher = null;
  }

  private open({ bytes }: CipherBuffer, at: number): Cipher {
    checkKey(bytes, at);
    const iv = this.name.endsWith("ecb") ? null : ZERO_BLOCK.bytes;
    const cipher = createCipheriv(this.name, bytes.subarray(at, at + CIPHER_BLOCK_SIZE), iv);
    return cipher.setAutoPadding(false);
  }
}

/** A pointer of OpenSSL's, as a number: to pass one as an object costs more. 0 is none. */
type Pointer = number;

/** The functions of libcrypto that are used, as its manual has them (EVP_EncryptInit(3)). */
interface Openssl {
  cipher(context: Pointer, name: string, properties: null): Pointer;
  newContext(): Pointer;
  /** Zeroes what the context holds, the key with it. */
  freeContext(context: Pointer): void;
  /** Cipher 0 leaves the context the one it has. */
  init(context: Pointer, cipher: Pointer, key: Pointer, iv: Pointer, params: Pointer): number;
  setPadding(context: Pointer, padding: number): number;
  update(context: Pointer, out: Pointer, outSize: Pointer, bytes: Pointer, size: number): number;
  /** Where an array lies; not a function of libcrypto. */
  addressOf(bytes: Uint8Array | Int32Array): Pointer;
}

const PROTOTYPES: Record<Exclude<keyof Openssl, "addressOf">, string> = {
  cipher: "intptr_t EVP_CIPHER_fetch(intptr_t context, const char *name, const char *properties)",
  newContext: "intptr_t EVP_CIPHER_CTX_new()",
  freeContext: "void EVP_CIPHER_CTX_free(intptr_t context)",
  init:
    "int EVP_EncryptInit_ex2(intptr_t context, intptr_t cipher, intptr_t key, intptr_t iv, " +
    "intptr_t params)",
  setPadding: "int EVP_CIPHER_CTX_set_padding(intptr_t context, int padding)",
  update:
    "int EVP_EncryptUpdate(intptr_t context, intptr_t out, intptr_t outSize, intptr_t bytes, " +
    "int size)",
};

/** Undefined until it was looked for, null when it is not there. */
let openssl: Openssl | null | undefined;
const ciphers = new Map<CipherName, Pointer>();
/** Where OpenSSL says how much it has written. */
const outSize = new Int32Array(1);
let outSizeAddress = 0;

class NativeCipher implements BlockCipher {
  private context: Pointer;

  constructor(
    private readonly openssl: Openssl,
    name: CipherName,
    keys: CipherBuffer,
    at: number,
  ) {
    checkKey(keys.bytes, at);
    this.context = openssl.newContext();
    assert(this.context !== 0, "there is memory for a cipher");
    this.init(cipherOf(openssl, name), keys, at);
    assert(openssl.setPadding(this.context, 0) === 1, "a cipher pads nothing");
  }

  encrypt(buffer: CipherBuffer, size: number): void {
    const { openssl, context } = this;
    assert(context !== 0, "a closed cipher is not used");
    checkSize(buffer.bytes, size);
    const address = buffer.address || placed(openssl, buffer);
    const done = openssl.update(context, address, outSizeAddress, address, size);
    assert(done === 1 && outSize[0] === size, "a cipher returns as much as it takes");
  }

  setKey(keys: CipherBuffer, at: number): void {
    assert(this.context !== 0, "a closed cipher is not used");
    checkKey(keys.bytes, at);
    this.init(0, keys, at);
  }

  close(): void {
    if (this.context !== 0) this.openssl.freeContext(this.context);
    this.context = 0;
  }

  private init(cipher: Pointer, keys: CipherBuffer, at: number): void {
    const { openssl, context } = this;
    const key = (keys.address || placed(openssl, keys)) + at;
    const iv = ZERO_BLOCK.address || placed(openssl, ZERO_BLOCK);
    assert(openssl.init(context, cipher, key, iv, 0) === 1, "a cipher takes its key");
  }
}

/** Finds where a buffer begins. */
function placed(openssl: Openssl, buffer: CipherBuffer): Pointer {
  buffer.address = openssl.addressOf(buffer.bytes);
  return buffer.address;
}

/** OpenSSL reads and writes as far as it is told to: nothing may go beyond the array. */
function checkSize(bytes: Uint8Array, size: number): void {
  const whole = size > 0 && size % CIPHER_BLOCK_SIZE === 0;
  assert(whole && size <= bytes.length, "what is encrypted is whole blocks, and there");
}

function checkKey(bytes: Uint8Array, at: number): void {
  const there = at >= 0 && at + CIPHER_BLOCK_SIZE <= bytes.length;
  assert(there, "a key is as long as a block, and there");
}

function cipherOf(openssl: Openssl, name: CipherName): Pointer {
  const known = ciphers.get(name);
  if (known !== undefined) return known;
  const fetched = openssl.cipher(0, name, null);
  assert(fetched !== 0, "OpenSSL has the cipher");
  ciphers.set(name, fetched);
  return fetched;
}

/** Looked for once in each thread. */
function opensslOnce(): Openssl | null {
  if (openssl === undefined) openssl = findOpenssl();
  return openssl;
}

/** OpenSSL's functions, if this Node.js exports them and they do what node:crypto does. */
function findOpenssl(): Openssl | null {
  const native = loadNative();
  if (native === null) return null;
  try {
    const entries = Object.entries(PROTOTYPES).map(([name, text]) => [
      name,
      native.functionOf(text),
    ]);
    const { addressOf } = native;
    const found = { ...Object.fromEntries(entries), addressOf } as Openssl;
    outSizeAddress = addressOf(outSize);
    return agrees(found) ? found : null;
  } catch {
    return null;
  }
}

/** Two blocks in two calls each under two keys, by all ciphers, are what node:crypto makes. */
function agrees(found: Openssl): boolean {
  const size = 2 * CIPHER_BLOCK_SIZE;
  const keys = new CipherBuffer(size);
  for (let i = 0; i < size; i++) keys.bytes[i] = i;
  for (const name of ["aes-128-cbc", "aes-128-ecb", "sm4-cbc", "sm4-ecb"] as const) {
    const native = new NativeCipher(found, name, keys, 0);
    const portable = new PortableCipher(name, keys, 0);
    const [ours, theirs] = [new CipherBuffer(size), new CipherBuffer(size)];
    for (let call = 0; call < 4; call++) {
      if (call === 2) {
        native.setKey(keys, CIPHER_BLOCK_SIZE);
        portable.setKey(keys, CIPHER_BLOCK_SIZE);
      }
      native.encrypt(ours, size);
      portable.encrypt(theirs, size);
      if (Buffer.compare(ours.bytes, theirs.bytes) !== 0) return false;
    }
    native.close();
  }
  return true;
}
