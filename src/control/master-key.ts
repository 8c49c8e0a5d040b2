// New master keys of terminals, made here and shown once. What leaves this file for the journal is
// wrapped under the vault; the key in clear lives in one buffer, zeroed when done.

import { randomBytes } from "node:crypto";
import { checkValue } from "../../protocol/kdf.js";
import { MAC_KEY_SIZES } from "../../protocol/mac-algorithms.js";
import type { KeyVault } from "../vault.js";

export interface NewMasterKey {
  /** Under the vault's wrapping key. */
  wrappedKey: Uint8Array;
  /** Three bytes: they tell two keys apart and give neither away. */
  checkValue: Uint8Array;
  /** The key in hex, to be told once. */
  shownKey: string;
}

/** A new random key of the size that a MAC algorithm (protocol/mac-algorithms.ts) takes. */
export function newMasterKey(vault: KeyVault, macAlgorithm: number): NewMasterKey {
  const key = randomBytes(MAC_KEY_SIZES[macAlgorithm]!);
  const made = {
    wrappedKey: vault.wrapKey(key),
    checkValue: checkValue(macAlgorithm, key),
    shownKey: key.toString("hex"),
  };
  key.fill(0);
  return made;
}
