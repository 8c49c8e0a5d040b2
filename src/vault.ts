// The key vault: everything that needs a long-lived secret. The root key (32 bytes) never leaves
// this file; keys of one purpose each are derived from it by HKDF (RFC 5869, SHA-256).
// An HSM would take the place of this class: callers see tokens and wrapped keys only.

import { hkdfSync } from "node:crypto";
import { assert } from "../protocol/assert.js";
import { type BlockCipher, CipherBuffer, openCipher } from "../protocol/block-cipher.js";
import { PAN_BLOCK_SIZE } from "../protocol/pan.js";
import { unwrapKey, wrapKey } from "./key-wrap.js";

export const ROOT_KEY_SIZE = 32;
/** Bytes of number blocks that are tokenized in one call. */
const TOKENIZED_SIZE = 64 * 1024;

/** The keys a KeyVault works with; what a worker thread is handed instead of the root key. */
export interface VaultKeys {
  tokenizationKey: Uint8Array;
  wrappingKey: Uint8Array;
}

/** Derives the vault's keys. Throws when the root key is not 32 bytes. */
export function deriveVaultKeys(rootKey: Uint8Array): VaultKeys {
  if (rootKey.length !== ROOT_KEY_SIZE) throw new Error("the root key is not 32 bytes");
  return {
    tokenizationKey: derive(rootKey, "tongka tokenization", 16),
    wrappingKey: derive(rootKey, "tongka key wrapping", 32),
  };
}

export class KeyVault {
  private readonly tokenCipher: BlockCipher;
  private readonly wrappingKey: Uint8Array;
  private readonly buffer = new CipherBuffer(TOKENIZED_SIZE);

  /** `keys` stay the vault's: `close` zeroes them. */
  constructor(private readonly keys: VaultKeys) {
    this.tokenCipher = openCipher("aes-128-ecb", keys.tokenizationKey);
    this.wrappingKey = keys.wrappingKey;
  }

  /**
   * Turns number blocks (protocol/pan.ts) into tokens, 16 bytes each, many in one AES-ECB call and
   * in place: the numbers are gone. Returns `blocks`.
   */
  tokenize<Blocks extends Uint8Array>(blocks: Blocks): Blocks {
    assert(blocks.length % PAN_BLOCK_SIZE === 0, "number blocks are whole");
    const { bytes } = this.buffer;
    for (let at = 0; at < blocks.length; at += TOKENIZED_SIZE) {
      const part = blocks.subarray(at, at + TOKENIZED_SIZE);
      bytes.set(part);
      this.tokenCipher.encrypt(this.buffer, part.length);
      part.set(bytes.subarray(0, part.length));
    }
    return blocks;
  }

  /** Wraps a terminal master key of 16 or 32 bytes (RFC 3394): 8 bytes longer. */
  wrapKey(key: Uint8Array): Buffer {
    return wrapKey(key, this.wrappingKey);
  }

  /** Opens a wrapped key. Throws when it was not wrapped under this root key. */
  unwrapKey(wrapped: Uint8Array): Buffer {
    return unwrapKey(wrapped, this.wrappingKey);
  }

  /** A copy of the keys for the vault of another thread, the caller's to zero. */
  copyKeys(): VaultKeys {
    const { tokenizationKey, wrappingKey } = this.keys;
    return {
      tokenizationKey: Uint8Array.from(tokenizationKey),
      wrappingKey: Uint8Array.from(wrappingKey),
    };
  }

  /** Zeroes the keys; the vault is of no use afterwards. */
  close(): void {
    this.tokenCipher.close();
    this.keys.tokenizationKey.fill(0);
    this.keys.wrappingKey.fill(0);
  }
}

function derive(rootKey: Uint8Array, purpose: string, size: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", rootKey, Buffer.alloc(0), purpose, size));
}
