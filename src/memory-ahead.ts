// Memory for rows to come: given to tables that grow before rows are written there (by
// kernel-memory.ts), so that no tap waits for it.
//
// Tables are reserved at full size and filled from the front, so what is behind the last row is
// next. The index of a date's uses is written at random from the first of them on, and is given
// whole then. A table to which nothing is added is left alone.

import type { DateUses } from "../engine/duplicates.js";
import type { State } from "../engine/state.js";
import type { Table } from "../engine/table.js";
import { WORD } from "../protocol/endian.js";
import { giveMemory } from "./kernel-memory.js";

/** Bytes given behind the last row: room for 131,072 uses. */
const AHEAD_SIZE = 8 * 1024 * 1024;
/** Less is not given: it comes with the next rows. */
const STEP_SIZE = 2 * 1024 * 1024;
/** A million uses a second write two fifths of AHEAD_SIZE meanwhile. */
const LOOK_MS = 50;

/** Follows the tables of a state from now on; the timer keeps no process alive. */
export function giveAhead(state: State): { stop(): void } {
  const { dates } = state.duplicates;
  const followed = state.tables.map((table) => {
    return new Followed(table, dates.find((uses) => uses.table === table) ?? null);
  });
  const timer = setInterval(() => {
    for (const table of followed) table.look();
  }, LOOK_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

class Followed {
  private words: Int32Array;
  private rowCount: number;
  /** Bytes from the first row on that were given, or none since it was followed. */
  private given = 0;

  constructor(
    private readonly table: Table,
    private readonly uses: DateUses | null,
  ) {
    this.words = table.words;
    this.rowCount = table.rowCount;
  }

  look(): void {
    const { table } = this;
    if (this.words !== table.words) {
      this.words = table.words;
      this.rowCount = 1;
      this.given = 0;
    }
    if (this.rowCount === table.rowCount) return;
    if (this.given === 0 && this.uses !== null) giveMemory(this.uses.slots);
    this.rowCount = table.rowCount;
    const written = table.rowCount * table.rowWords * WORD.SIZE;
    const end = Math.min(written + AHEAD_SIZE, this.words.byteLength);
    const start = Math.max(written, this.given);
    if (end - start < STEP_SIZE && this.given !== 0) return;
    giveMemory(this.words.subarray(start / WORD.SIZE, end / WORD.SIZE));
    this.given = end;
  }
}
