// What a sort of rows knows of itself: its columns, how a row is checked, and how checked rows
// become commands. Card and ID numbers go into blocks first, so that all blocks of a batch become
// tokens in one call (src/vault.ts), and the commands are written from the tokens.

import type { KeyVault } from "../vault.js";
import type { Checked, Fields } from "./fields.js";

export interface ImportContext {
  vault: KeyVault;
  /** Key-exchange key that terminal master keys come wrapped under; null when there is none. */
  kek: Uint8Array | null;
}

export interface Assembly<T> {
  /** COMMAND number. */
  kind: number;
  columns: readonly string[];
  /** Columns a file cannot do without. */
  required: readonly string[];
  check(fields: Fields, context: ImportContext): Checked<T>;
  /** Number blocks that `value` needs tokenized. */
  blockCount(value: T): number;
  writeBlocks(value: T, blocks: Uint8Array, offset: number): void;
  /** Commands that `value` becomes, all in one batch. */
  commandCount(value: T): number;
  /** Writes the commands to `bytes` at `offset`; its tokens begin at `tokenOffset`. */
  writeCommands(
    value: T,
    tokens: Uint8Array,
    tokenOffset: number,
    bytes: Uint8Array,
    offset: number,
  ): void;
}

/** An object's values in the order of `columns`. */
export function fieldsOf(columns: readonly string[], row: Readonly<Record<string, unknown>>) {
  return columns.map((column) => (Object.hasOwn(row, column) ? row[column] : undefined));
}
