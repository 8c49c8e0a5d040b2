// The root key of a data folder: 32 random bytes as hex in root.key, or in TONGKA_ROOT_KEY where
// an orchestrator hands secrets over. Whoever loses it loses every token and terminal key.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createSecretFile, readSecretBytes, SecretError } from "./secret-file.js";
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
    const where = `environment ${ROOT_KEY_VARIABLE}`;
    return keyFromHex(Buffer.from(given, "latin1"), where, [ROOT_KEY_SIZE], "set it right");
  }
  const path = join(folder, ROOT_KEY_FILE);
  const text = readSecretBytes(path, "root key", "run tongka init, or restore it from its backup");
  return keyFromHex(text, `root key ${path}`, [ROOT_KEY_SIZE], "restore it from its backup");
}

/** The AES key (16, 24 or 32 bytes, hex) under which terminal keys arrive wrapped (RFC 3394). */
export function loadKeyExchangeKey(path: string): Uint8Array {
  const text = readSecretBytes(path, "key-exchange key", "set control.keyExchangeKeyFile right");
  return keyFromHex(text, `key-exchange key ${path}`, KEY_EXCHANGE_KEY_SIZES, "write it anew");
}

/** The key in `text`, which is zeroed: no string of it is made, for strings cannot be. */
function keyFromHex(
  text: Uint8Array,
  where: string,
  sizes: readonly number[],
  remedy: string,
): Uint8Array {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start]!)) start++;
  while (end > start && isSpace(text[end - 1]!)) end--;
  const key = new Uint8Array((end - start) >> 1);
  let sound = sizes.includes((end - start) / 2);
  for (let i = start; i < end; i++) {
    const digit = hexDigit(text[i]!);
    if (digit < 0) sound = false;
    key[(i - start) >> 1] = (key[(i - start) >> 1]! << 4) | digit;
  }
  text.fill(0);
  if (sound) return key;
  key.fill(0);
  const digits = sizes.map((size) => size * 2).join(" or ");
  throw new SecretError(`${where}: must be ${digits} hex digits: ${remedy}`);
}

function isSpace(character: number): boolean {
  return character <= 0x20;
}

/** The value of a hex digit's character code; -1 when it is none. */
function hexDigit(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const letter = character | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
