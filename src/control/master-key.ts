// Master keys of terminals: new ones, made here and shown once, and those that arrive wrapped under
// the operator's key-exchange key. Either way what leaves this file for the journal is wrapped
// under the vault; the key in clear lives in one buffer, zeroed when done.

import { createDecipheriv, randomBytes, timingSafeEqual } from "node:crypto";
import { checkValue } from "../../protocol/kdf.js";
import { MAC_KEY_SIZES } from "../../protocol/mac-algorithms.js";
import type { KeyVault } from "../vault.js";
import { Problem } from "./problem.js";

/** Initial value of RFC 3394 clause 2.2.3.1. */
const WRAP_IV = Buffer.alloc(8, 0xa6);

/** A master key ready for the journal. */
export interface WrappedMasterKey {
  /** Under the vault's wrapping key. */
  wrappedKey: Uint8Array;
  /** Three bytes: they tell two keys apart and give neither away. */
  checkValue: Uint8Array;
}

/** A new random key for a MAC algorithm; `shownKey` is its hex, to be told once. */
export function newMasterKey(
  vault: KeyVault,
  macAlgorithm: number,
): WrappedMasterKey & { shownKey: string } {
  const key = randomBytes(MAC_KEY_SIZES[macAlgorithm]!);
  const made = { ...wrap(vault, macAlgorithm, key), shownKey: key.toString("hex") };
  key.fill(0);
  return made;
}

/**
 * Takes a key that came as hex wrapped by RFC 3394 under the key-exchange key, with its check
 * value. Throws a Problem (400, 409): no such key configured, not of it, wrong size, other value.
 */
export function receivedMasterKey(
  vault: KeyVault,
  keyExchangeKey: Uint8Array | null,
  macAlgorithm: number,
  received: { masterKeyWrapped: string; checkValue: string },
): WrappedMasterKey {
  if (!keyExchangeKey) {
    const message = "no key-exchange key: set control.keyExchangeKeyFile and restart";
    throw new Problem(409, "NO_KEY_EXCHANGE_KEY", message);
  }
  const key = unwrap(keyExchangeKey, Buffer.from(received.masterKeyWrapped, "hex"));
  try {
    if (key.length !== MAC_KEY_SIZES[macAlgorithm]) {
      throw refused("the key is not of its MAC algorithm's size");
    }
    const made = wrap(vault, macAlgorithm, key);
    if (!timingSafeEqual(made.checkValue, Buffer.from(received.checkValue, "hex"))) {
      throw refused("the key does not have this check value");
    }
    return made;
  } finally {
    key.fill(0);
  }
}

function wrap(vault: KeyVault, macAlgorithm: number, key: Buffer): WrappedMasterKey {
  return { wrappedKey: vault.wrapKey(key), checkValue: checkValue(macAlgorithm, key) };
}

function unwrap(keyExchangeKey: Uint8Array, wrapped: Buffer): Buffer {
  const name = `id-aes${keyExchangeKey.length * 8}-wrap`;
  const decipher = createDecipheriv(name, keyExchangeKey, WRAP_IV);
  try {
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch {
    throw refused("the key was not wrapped under the configured key-exchange key");
  }
}

function refused(message: string): Problem {
  return new Problem(400, "KEY_REFUSED", message);
}
