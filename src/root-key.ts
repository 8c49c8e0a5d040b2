// The root key of a data folder: 32 random bytes as hex in root.key, or in TONGKA_ROOT_KEY where
// an orchestrator hands secrets over. Whoever loses it loses every token and terminal key.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createSecretFile, readSecretFile, SecretError } from "./secret-file.js";
import { ROOT_KEY_SIZE } from "./vault.js";

export const ROOT_KEY_FILE = "root.key";
export const ROOT_KEY_VARIABLE = "TONGKA_ROOT_KEY";
/** AES keys under which terminal keys may arrive wrapped. */
const KEY_EXCHANGE_KEY_SIZES = [16, 24, 32];

/** Makes a new root key in `folder` (mode 0600). Throws SecretError when there is one. */
export function createRootKey(folder: string): Uint8Array {
  const key = randomBytes(ROOT_KEY_SIZE);
  createSecretFile(join(folder, ROOT_KEY_FILE), "root key", key.toString("hex"));
  return key;
}

/**
 * The root key from TONGKA_ROOT_KEY of `environment`, else from the file in `folder`.
 * Throws SecretError: no file, others may read it, or not 64 hex digits.
 */
export function loadRootKey(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Uint8Array {
  const given = environment[ROOT_KEY_VARIABLE];
  if (given !== undefined) {
    return keyFromHex(
      given.trim(),
      `environment ${ROOT_KEY_VARIABLE}`,
      [ROOT_KEY_SIZE],
      "set it right",
    );
  }
  const path = join(folder, ROOT_KEY_FILE);
  const text = readSecretFile(path, "root key", "run tongka init, or restore it from its backup");
  return keyFromHex(text, `root key ${path}`, [ROOT_KEY_SIZE], "restore it from its backup");
}

/** The AES key (16, 24 or 32 bytes, hex) under which terminal keys arrive wrapped (RFC 3394). */
export function loadKeyExchangeKey(path: string): Uint8Array {
  const text = readSecretFile(path, "key-exchange key", "set control.keyExchangeKeyFile right");
  return keyFromHex(text, `key-exchange key ${path}`, KEY_EXCHANGE_KEY_SIZES, "write it anew");
}

function keyFromHex(
  text: string,
  where: string,
  sizes: readonly number[],
  remedy: string,
): Uint8Array {
  if (!/^[0-9a-fA-F]*$/.test(text) || !sizes.includes(text.length / 2)) {
    const digits = sizes.map((size) => size * 2).join(" or ");
    throw new SecretError(`${where}: must be ${digits} hex digits: ${remedy}`);
  }
  const key = new Uint8Array(text.length / 2);
  // Not Buffer.from, which would leave a copy in the pool that buffers share.
  Buffer.from(key.buffer).write(text, "hex");
  return key;
}
