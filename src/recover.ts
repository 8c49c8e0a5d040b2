// Recovery: the last complete checkpoint, then every block after it. Ends with the state of the
// last answer that left, or says what is wrong and what to do.

import { BlockReader, BlockWriter, blockProblem } from "../engine/block.js";
import { Engine } from "../engine/engine.js";
import { replayBlock } from "../engine/replay.js";
import type { StateLimits } from "../engine/state.js";
import type { Config } from "./config.js";
import type { JournalStore, TableStore } from "./storage.js";

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

/** Loads and replays. Throws a one-line error when the data folder cannot be trusted. */
export function recover(config: Config, journal: JournalStore, tables: TableStore): Recovery {
  const engine = new Engine(stateLimits(config), new BlockWriter(config.journal.blockSizeMax));
  const head = tables.head();
  if (head !== null) {
    const { state } = engine;
    for (const table of state.tables) {
      const rowCount = head.rowCounts[table.id];
      if (rowCount === undefined) continue;
      if (rowCount > table.rowsMax) throw new Error(tooSmall(table.name, rowCount - 1));
      tables.loadTable(table, head.registers.position, rowCount);
    }
    for (const [key, bytes] of tables.documents()) state.documents.load(key, bytes);
    Object.assign(state.registers, head.registers);
    state.rebuild();
  }
  const checkpointPosition = engine.state.registers.position;
  const blocksReplayed = replay(engine, journal, checkpointPosition + 1);
  return { engine, checkpointPosition, blocksReplayed };
}

function replay(engine: Engine, journal: JournalStore, position: number): number {
  let count = 0;
  for (const bytes of journal.from(position)) {
    const problem = blockProblem(bytes);
    const block = new BlockReader(bytes);
    if (problem !== "") {
      const where = `journal block at position ${engine.state.registers.position + 1}`;
      throw new Error(`${where}: ${problem}; run "tongka journal verify" and restore the folder`);
    }
    if (block.lastPosition < position) continue;
    replayBlock(engine.state, block, { decideAgain: false });
    count++;
  }
  return count;
}

function tooSmall(table: string, rows: number): string {
  const name = table.startsWith("uses") ? "usesPerDateMax" : `${table}Max`;
  return `the data folder holds ${rows} rows of ${table}: set tables.${name} to at least that`;
}
