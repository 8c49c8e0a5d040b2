// How far an import has come, on disk: a small file beside the data, by the imported file's path,
// size and time. It holds no row. What it says is done is durable; what came after is done again,
// which changes nothing (the engine answers UNCHANGED).

import { createHash } from "node:crypto";
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

export interface ImportTotals {
  /** Rows read; blank lines and headers are none. */
  rows: number;
  imported: number;
  /** Rows that were there as they are. */
  unchanged: number;
  rejected: number;
}

export interface ImportState {
  format: 1;
  sort: string;
  /** Byte offset and line from which to go on. */
  offset: number;
  line: number;
  /** Columns of a CSV file. */
  header: string[] | null;
  totals: ImportTotals;
  seconds: number;
  /** Bytes of the report of rejected rows that belong to what is done. */
  reportSize: number;
}

/** Where the state and the report of rejected rows of a file stand. */
export function statePaths(folder: string, file: string): { state: string; report: string } {
  const { size, mtimeMs } = statSync(file);
  const identity = `${path.resolve(file)}\n${size}\n${mtimeMs}`;
  const key = createHash("sha256").update(identity).digest("hex").slice(0, 12);
  const base = path.join(folder, `${path.basename(file)}.${key}`);
  return { state: `${base}.progress.json`, report: `${base}.rejected.ndjson` };
}

/** The state of an import of `sort` that was not finished; null when there is none. */
export function readState(file: string, sort: string): ImportState | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return null;
  }
  const state = parseState(text);
  if (state !== null && state.sort === sort) return state;
  throw new Error(`${file} is not the state of an import of ${sort}: start anew with --restart`);
}

export function writeState(file: string, state: ImportState): void {
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeState(file: string): void {
  rmSync(file, { force: true });
}

function parseState(text: string): ImportState | null {
  try {
    const state = JSON.parse(text) as ImportState;
    return state.format === 1 && Number.isSafeInteger(state.offset) ? state : null;
  } catch {
    return null;
  }
}
