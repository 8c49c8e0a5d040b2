// AES key wrap (RFC 3394): how a terminal's master key is stored and how it travels. The one place
// for it: the vault wraps under its own key, import and the command line open what comes wrapped
// under a key-exchange key.

import { createCipheriv, createDecipheriv } from "node:crypto";
import { assert } from "../protocol/assert.js";

/** Initial value of RFC 3394 clause 2.2.3.1. */
const WRAP_IV = Buffer.alloc(8, 0xa6);

/** Wraps a key of 16 or 32 bytes under `kek` (16, 24 or 32 bytes): 8 bytes longer. */
export function wrapKey(key: Uint8Array, kek: Uint8Array): Buffer {
  const cipher = createCipheriv(cipherName(kek), kek, WRAP_IV);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/**
 * Opens a wrapped key, to be zeroed by the caller; no other copy is left. Throws when it was not
 * wrapped under `kek`.
 */
export function unwrapKey(wrapped: Uint8Array, kek: Uint8Array): Buffer {
  const decipher = createDecipheriv(cipherName(kek), kek, WRAP_IV);
  const key = decipher.update(wrapped);
  try {
    // This cipher has all in its first part; `final` checks and adds nothing.
    assert(decipher.final().length === 0, "a wrapped key opens in one part");
  } catch (error) {
    key.fill(0);
    throw error;
  }
  return key;
}

/** Opens a wrapped key given in hex; null when it is no hex or was not wrapped under `kek`. */
export function unwrapHex(wrappedHex: string, kek: Uint8Array): Buffer | null {
  const wrapped = Buffer.from(wrappedHex, "hex");
  if (wrapped.length * 2 !== wrappedHex.length) return null;
  try {
    return unwrapKey(wrapped, kek);
  } catch {
    return null;
  }
}

function cipherName(kek: Uint8Array): string {
  return `id-aes${kek.length * 8}-wrap`;
}
