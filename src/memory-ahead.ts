// Memory for rows to come: given to tables before rows are written there (by kernel-memory.ts), so
// that no tap waits for it.
//
// As needed: tables are reserved at full size and filled from the front, so what is behind the last
// row is next. The index of a date's uses is written at random from the first of them on, and is
// given whole then. A table to which nothing is added is left alone.
//
// At start: all of that is given before terminals are served, and to the table of a date that
// begins later step by step from when it is made, which is a day before its first use.

import { freemem } from "node:os";
import type { DateUses } from "../engine/duplicates.js";
import type { State } from "../engine/state.js";
import type { Table } from "../engine/table.js";
import { WORD } from "../protocol/endian.js";
import type { Config } from "./config.js";
import { giveMemory } from "./kernel-memory.js";

/** Bytes given behind the last row: room for 131,072 uses. */
const AHEAD_SIZE = 8 * 1024 * 1024;
/** Less is not given: it comes with the next rows. */
const STEP_SIZE = 2 * 1024 * 1024;
/** A million uses a second write two fifths of AHEAD_SIZE meanwhile. */
const LOOK_MS = 50;
/** Bytes given at a look to a date that begins, whose uses come a day later. */
const CALM_SIZE = 4 * 1024 * 1024;
/** Bytes given by one thread at a time at start. */
const PART_SIZE = 64 * 1024 * 1024;

/**
 * Gives tables memory from now on, and resolves when terminals can be served. Throws a one-line
 * error where all of it is to be given at start and cannot be. The timer keeps no process alive.
 */
export async function giveAhead(
  state: State,
  when: Config["tables"]["memory"],
): Promise<{ stop(): void }> {
  const isAtStart = when === "at-start";
  if (isAtStart) await giveAll(state);
  const { dates } = state.duplicates;
  const usesOf = (table: Table) => dates.find((uses) => uses.table === table) ?? null;
  const whole = () => dates.map((uses) => new GivenWhole(uses));
  const ahead = () => state.tables.map((table) => new GivenAhead(table, usesOf(table)));
  const followed = isAtStart ? whole() : ahead();
  const timer = setInterval(() => {
    for (const table of followed) table.look();
  }, LOOK_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

async function giveAll({ tables, duplicates }: State): Promise<void> {
  const wholes = [
    ...tables.map(({ words, rowCount, rowWords }) => words.subarray(rowCount * rowWords)),
    ...duplicates.dates.map(({ slots }) => slots),
  ];
  const size = wholes.reduce((sum, words) => sum + words.byteLength, 0);
  const available = process.availableMemory?.() ?? freemem();
  if (size > available) {
    throw new Error(
      `tables.memory is at-start, which takes ${megabytes(size)} MB more, and ` +
        `${megabytes(available)} MB are left: lower the limits of tables, or set it to as-needed`,
    );
  }
  const given = await Promise.all(wholes.flatMap(partsOf).map(giveMemory));
  if (given.every(Boolean)) return;
  throw new Error(
    "tables.memory is at-start, and this system does not give memory ahead: that needs Linux " +
      "5.14 and the package koffi; set it to as-needed",
  );
}

function partsOf(words: Int32Array): Int32Array[] {
  const partWords = PART_SIZE / WORD.SIZE;
  return Array.from({ length: Math.ceil(words.length / partWords) }, (_, i) => {
    return words.subarray(i * partWords, (i + 1) * partWords);
  });
}

function megabytes(size: number): string {
  return Math.ceil(size / 1e6).toLocaleString("en-US");
}

/** A table whose memory is given as rows come. */
class GivenAhead {
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
    if (this.given === 0 && this.uses !== null) void giveMemory(this.uses.slots);
    this.rowCount = table.rowCount;
    const written = table.rowCount * table.rowWords * WORD.SIZE;
    const end = Math.min(written + AHEAD_SIZE, this.words.byteLength);
    const start = Math.max(written, this.given);
    if (end - start < STEP_SIZE && this.given !== 0) return;
    void giveMemory(this.words.subarray(start / WORD.SIZE, end / WORD.SIZE));
    this.given = end;
  }
}

/** The uses of a date, given all at start: what is made in their place later is given calmly. */
class GivenWhole {
  private words: Int32Array;
  /** What is still to be given. */
  private left: Int32Array[] = [];

  constructor(private readonly uses: DateUses) {
    this.words = uses.table.words;
  }

  look(): void {
    const { table, slots } = this.uses;
    if (this.words !== table.words) {
      this.words = table.words;
      this.left = [slots, table.words];
    }
    const next = this.left[0];
    if (next === undefined) return;
    const calmWords = CALM_SIZE / WORD.SIZE;
    void giveMemory(next.subarray(0, calmWords));
    if (next.length <= calmWords) this.left.shift();
    else this.left[0] = next.subarray(calmWords);
  }
}
