// Recovery: the last complete checkpoint, then every block after it. Ends with the state of the
// last answer that left, or says what is wrong and what to do.

import {
  BlockReader,
  BlockWriter,
  blockProblem,
  chainProblem,
  NEWER_BLOCK,
} from "../engine/block.js";
import type { CheckpointHead } from "../engine/checkpoint.js";
import { Engine } from "../engine/engine.js";
import { prepareMemory } from "../engine/memory.js";
import { replayBlock } from "../engine/replay.js";
import type { State, StateLimits } from "../engine/state.js";
import type { Table } from "../engine/table.js";
import type { Config } from "./config.js";
import type { JournalStore } from "./journal-store.js";
import { prepareWords } from "./kernel-memory.js";
import type { TableStore } from "./table-store.js";

export interface Recovery {
  engine: Engine;
  /** Position of the checkpoint that was loaded; 0 none. */
  checkpointPosition: number;
  blocksReplayed: number;
}

/** The limits of the state as they are configured. */
function stateLimits(config: Config): StateLimits {
  return {
    ...config.tables,
    businessDatesKept: config.duplicates.businessDatesKept,
    sessionsMax: config.limits.sessionsMax,
    keyOverlapSeconds: config.session.keyOverlapSeconds,
    businessDay: { ...config.businessDay },
  };
}

/** An engine that holds nothing yet, with memory as the kernel gives it best. */
export function newEngine(config: Config): Engine {
  prepareMemory(prepareWords);
  return new Engine(stateLimits(config), new BlockWriter(config.journal.blockSizeMax));
}

/**
 * Loads and replays; `loaded` are tables of the engine that hold their rows and indexes already.
 * Throws a one-line error when the data folder cannot be trusted.
 */
export function recover(
  config: Config,
  journal: JournalStore,
  tables: TableStore,
  engine = newEngine(config),
  loaded: readonly Table[] = [],
): Recovery {
  const head = tables.head();
  if (head !== null) {
    const { state } = engine;
    for (const table of state.tables) {
      const rowCount = rowCountOf(head, table);
      if (rowCount === 0 || loaded.includes(table)) continue;
      tables.loadTable(table, head.registers.position, rowCount);
    }
    for (const [key, bytes] of tables.documents()) state.documents.load(key, bytes);
    Object.assign(state.registers, head.registers);
    state.rebuild(loaded);
  }
  const checkpointPosition = engine.state.registers.position;
  checkReach(engine.state, journal);
  const blocksReplayed = replay(engine.state, journal);
  return { engine, checkpointPosition, blocksReplayed };
}

/** Rows that a checkpoint has of a table, which must have room for them; 0 none. */
export function rowCountOf(head: CheckpointHead, table: Table): number {
  const rowCount = head.rowCounts[table.id] ?? 0;
  if (rowCount > table.rowsMax) throw new Error(tooSmall(table.name, rowCount - 1));
  return rowCount;
}

/** The journal must reach as far as the checkpoint: a checkpoint is complete only after it does. */
function checkReach(state: State, journal: JournalStore): void {
  const { position, blockHash } = state.registers;
  if (position === 0) return;
  const bytes = journal.blockOf(position);
  const agrees = bytes !== null && new BlockReader(bytes).hash === blockHash;
  if (agrees && new BlockReader(bytes).lastPosition === position) return;
  throw new Error(
    `the journal does not hold the block of the checkpoint at position ${position}: restore it`,
  );
}

function replay(state: State, journal: JournalStore): number {
  const { registers } = state;
  const position = registers.position + 1;
  let count = 0;
  for (const bytes of journal.from(position)) {
    const where = `journal block at position ${registers.position + 1}`;
    const problem = blockProblem(bytes);
    if (problem === "" && new BlockReader(bytes).lastPosition < position) continue;
    const wrong = problem || chainProblem(bytes, registers);
    if (wrong !== "") {
      throw new Error(`${where}: ${wrong}; ${remedy(wrong)}`);
    }
    apply(state, new BlockReader(bytes), where);
    count++;
  }
  return count;
}

function remedy(problem: string): string {
  if (problem === NEWER_BLOCK) return "start the version that wrote it, or a newer one";
  return 'run "tongka journal verify" and restore the folder';
}

function apply(state: State, block: BlockReader, where: string): void {
  try {
    replayBlock(state, block, { decideAgain: false });
  } catch (error) {
    const cause = `${where}: cannot be applied (${(error as Error).message})`;
    const limits = "tables.usesPerDateMax or another of tables";
    throw new Error(
      `${cause}; if ${limits} was lowered, set it back, else run "tongka journal verify"`,
    );
  }
}

function tooSmall(table: string, rows: number): string {
  const name = table.startsWith("uses") ? "usesPerDateMax" : `${table}Max`;
  return `the data folder holds ${rows} rows of ${table}: set tables.${name} to at least that`;
}
