// The bearer token of the administration API: 32 random bytes as base64url in admin.token, or in
// TONGKA_ADMIN_TOKEN. Its owner may do everything; the file has mode 0600.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { createSecretFile, readSecretFile, SecretError } from "./secret-file.js";

export const ADMIN_TOKEN_FILE = "admin.token";
export const ADMIN_TOKEN_VARIABLE = "TONGKA_ADMIN_TOKEN";
/** 32 characters of base64url are 192 bits: more than anyone can guess. */
const TOKEN_PATTERN = /^[A-Za-z0-9_-]{32,256}$/;

/** Makes a new token in `folder` (mode 0600). Throws SecretError when there is one. */
export function createAdminToken(folder: string): string {
  const token = randomBytes(32).toString("base64url");
  createSecretFile(join(folder, ADMIN_TOKEN_FILE), "admin token", token);
  return token;
}

/** The token from TONGKA_ADMIN_TOKEN of `environment`, else from the file in `folder`. */
export function loadAdminToken(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const given = environment[ADMIN_TOKEN_VARIABLE]?.trim();
  const path = join(folder, ADMIN_TOKEN_FILE);
  const token = given ?? readSecretFile(path, "admin token", "run tongka init");
  if (!TOKEN_PATTERN.test(token)) {
    const where =
      given === undefined ? `admin token ${path}` : `environment ${ADMIN_TOKEN_VARIABLE}`;
    throw new SecretError(`${where}: must be 32 to 256 of the characters A-Z a-z 0-9 - _`);
  }
  return token;
}

/** Whether two tokens are the same, in a time that tells nothing of where they differ. */
export function tokensEqual(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
