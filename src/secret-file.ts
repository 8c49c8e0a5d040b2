// Files that hold a secret as one line of text: made with mode 0600 and read only when no one but
// the owner can. No error here holds any of the content.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const OTHERS_MASK = 0o077;
const SECRET_FILE_SIZE_MAX = 4096;

/** A secret that cannot be had; the message says which file or variable and what to do. */
export class SecretError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SecretError";
  }
}

/** Writes `text` as a new file of mode 0600, on disk when this returns. Throws when it exists. */
export function createSecretFile(path: string, what: string, text: string): void {
  let file: number;
  try {
    file = openSync(path, "wx", 0o600);
  } catch (error) {
    throw new SecretError(createMessage(path, what, codeOf(error)));
  }
  try {
    writeSync(file, `${text}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  syncFolder(dirname(path));
}

/**
 * Reads a secret file, spaces trimmed. Throws SecretError with what to do; `whenMissing` is what
 * to do when there is no such file.
 */
export function readSecretFile(path: string, what: string, whenMissing: string): string {
  return readSecretBytes(path, what, whenMissing).toString("utf8").trim();
}

/** The same as bytes as they stand, to be zeroed by the caller: a string stays until it is gone. */
export function readSecretBytes(path: string, what: string, whenMissing: string): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    const code = codeOf(error);
    const why = code === "ENOENT" ? `no such file: ${whenMissing}` : `cannot be read (${code})`;
    throw new SecretError(`${what} ${path}: ${why}`);
  }
  try {
    const { mode, size } = fstatSync(file);
    if (process.platform !== "win32" && (mode & OTHERS_MASK) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(3, "0");
      throw new SecretError(
        `${what} ${path}: others may read it (mode ${shown}): chmod 600 ${path}`,
      );
    }
    if (size > SECRET_FILE_SIZE_MAX) throw new SecretError(`${what} ${path}: far too large`);
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(file, bytes, 0, size, 0));
  } finally {
    closeSync(file);
  }
}

function createMessage(path: string, what: string, code: string): string {
  if (code === "EEXIST") return `${what} ${path}: exists already and is never overwritten`;
  return `${what} ${path}: cannot be made (${code})`;
}

/** A new file survives a power cut only when its folder is on disk too. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}
