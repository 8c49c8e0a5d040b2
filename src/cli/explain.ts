// Turns any error into lines for the person and an exit code. What is not an error we made is a
// bug: its message is masked, since nobody has checked what it may hold.

import type { ConfigError } from "../config.js";
import { ControlError } from "../control/client.js";
import { maskDigits } from "../log.js";
import { SecretError } from "../secret-file.js";
import { CliError } from "./cli-error.js";
import { EXIT } from "./exit-codes.js";

const HTTP_UNAUTHORIZED = 401;
const WRONG_TOKEN =
  "the server does not take this admin token: name the server's data folder with --data, or set " +
  "TONGKA_ADMIN_TOKEN";

/** Errors of the import that are worded for the person. */
const MEANT_NAMES = ["ImportStoppedError", "BrokenFileError"];

const SYSTEM_TEXTS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "no permission: run as the owner of the data folder",
  EPERM: "not permitted",
  EISDIR: "is a folder, and should be a file",
  ENOTDIR: "is not a folder",
  ENOSPC: "the disk is full: make room and run again",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files: raise the limit (ulimit -n)",
};

export interface Explanation {
  /** One line each, without the leading "tongka: ". */
  lines: readonly string[];
  exitCode: number;
}

export function explain(error: unknown): Explanation {
  if (error instanceof CliError) return { lines: [error.message], exitCode: error.exitCode };
  if (isConfigError(error)) return { lines: error.lines, exitCode: EXIT.USAGE };
  if (error instanceof SecretError) return { lines: [error.message], exitCode: EXIT.FAILED };
  if (error instanceof ControlError) {
    const line = error.status === HTTP_UNAUTHORIZED ? WRONG_TOKEN : error.message;
    return { lines: [line], exitCode: exitCodeOf(error.status) };
  }
  return { lines: [unexpected(error)], exitCode: EXIT.FAILED };
}

/** By its name: loading its class takes long (src/cli/settings.ts). */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && error.name === "ConfigError";
}

/** Exit code of an answer by its HTTP status; 0 when there was none. */
function exitCodeOf(status: number): number {
  if (status === 0 || status === 503) return EXIT.UNREACHABLE;
  if (status === 400) return EXIT.USAGE;
  const refused = status === 404 || status === 409 || status === 507;
  return refused ? EXIT.REFUSED : EXIT.FAILED;
}

function unexpected(error: unknown): string {
  if (!(error instanceof Error)) return "internal error of an unknown kind";
  const { code, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && path !== undefined) return `${path}: ${SYSTEM_TEXTS[code] ?? code}`;
  // A write to an open file names no path.
  if (code !== undefined && code in SYSTEM_TEXTS) return SYSTEM_TEXTS[code]!;
  // A plain Error is thrown on purpose, with one line for the person; a bug throws anything else.
  const meant = error.constructor === Error && !error.message.startsWith("invariant broken");
  if (meant || MEANT_NAMES.includes(error.name)) return maskDigits(error.message);
  const place = error.stack?.split("\n").find((line) => line.includes("/dist/"));
  const at = place === undefined ? "" : ` (${place.trim()})`;
  return maskDigits(`internal error: ${error.message}${at}`);
}
