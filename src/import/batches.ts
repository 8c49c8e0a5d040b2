// Checked rows gathered to command batches. Buffers of blocks are reused; a finished batch has its
// own bytes, since several are on their way at once.

import { commandSize } from "../../engine/commands.js";
import { assert } from "../../protocol/assert.js";
import { PAN_BLOCK_SIZE } from "../../protocol/pan.js";
import { COMMANDS_PER_BATCH_MAX, type CommandBatch } from "../command-sink.js";
import { type Assembly, fieldsOf, type ImportContext } from "./assembly.js";
import type { Fault } from "./fields.js";

/** A batch and the line that each of its commands came from; lines of one row stand together. */
export interface LinedBatch {
  batch: CommandBatch;
  lines: Uint32Array;
  /** Rows that one command stands for: 1, or the items of a catalogue. */
  rowsPerCommand: number;
}

export class BatchBuilder<T> {
  private readonly assembly: Assembly<T>;
  private readonly context: ImportContext;
  private readonly values: T[];
  private readonly lines: number[];
  private commandCount: number;
  private blockCount: number;
  private blocks: Uint8Array;

  constructor(assembly: Assembly<T>, context: ImportContext) {
    this.assembly = assembly;
    this.context = context;
    this.values = [];
    this.lines = [];
    this.commandCount = 0;
    this.blockCount = 0;
    this.blocks = new Uint8Array(2 * COMMANDS_PER_BATCH_MAX * PAN_BLOCK_SIZE);
  }

  /** Adds a row's value; first finishes the batch before it when both do not fit in one. */
  add(value: T, line: number): LinedBatch | null {
    const count = this.assembly.commandCount(value);
    assert(count >= 1 && count <= COMMANDS_PER_BATCH_MAX, "a row's commands fit in one batch");
    const full = this.commandCount + count > COMMANDS_PER_BATCH_MAX ? this.finish() : null;
    const offset = this.blockCount * PAN_BLOCK_SIZE;
    this.blockCount += this.assembly.blockCount(value);
    assert(this.blockCount * PAN_BLOCK_SIZE <= this.blocks.length, "a batch has room for blocks");
    this.assembly.writeBlocks(value, this.blocks, offset);
    this.values.push(value);
    this.lines.push(line);
    this.commandCount += count;
    return full;
  }

  /** The batch of what was added since the last; null when nothing was. */
  finish(): LinedBatch | null {
    if (this.commandCount === 0) return null;
    const { assembly } = this;
    const size = commandSize(assembly.kind);
    const blocks = this.blocks.subarray(0, this.blockCount * PAN_BLOCK_SIZE);
    const tokens = this.context.vault.tokenize(blocks);
    const bytes = new Uint8Array(this.commandCount * size);
    const lines = new Uint32Array(this.commandCount);
    let command = 0;
    let tokenOffset = 0;
    for (let i = 0; i < this.values.length; i++) {
      const value = this.values[i]!;
      const count = assembly.commandCount(value);
      assembly.writeCommands(value, tokens, tokenOffset, bytes, command * size);
      for (const end = command + count; command < end; command++) lines[command] = this.lines[i]!;
      tokenOffset += assembly.blockCount(value) * PAN_BLOCK_SIZE;
    }
    assert(command === lines.length && tokenOffset === blocks.length, "a batch is used up");
    this.clear();
    return { batch: { kind: assembly.kind, count: command, bytes }, lines, rowsPerCommand: 1 };
  }

  private clear(): void {
    this.values.length = 0;
    this.lines.length = 0;
    this.commandCount = 0;
    this.blockCount = 0;
  }
}

/**
 * Rows (objects with the columns of their sort) as batches. Lines count from 1. For what comes as
 * a whole, such as the body of a request; files go through src/import/import.ts.
 */
export function rowsToBatches<T>(
  assembly: Assembly<T>,
  rows: Iterable<Readonly<Record<string, unknown>>>,
  context: ImportContext,
): { batches: LinedBatch[]; rejected: (Fault & { line: number })[] } {
  const builder = new BatchBuilder(assembly, context);
  const batches: LinedBatch[] = [];
  const rejected: (Fault & { line: number })[] = [];
  let line = 0;
  for (const row of rows) {
    line++;
    const checked = assembly.check(fieldsOf(assembly.columns, row), context);
    if (!checked.ok) {
      rejected.push({ ...checked, line });
      continue;
    }
    const full = builder.add(checked.value, line);
    if (full !== null) batches.push(full);
  }
  const last = builder.finish();
  if (last !== null) batches.push(last);
  return { batches, rejected };
}
