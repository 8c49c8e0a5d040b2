// Tables and their indexes against plain Maps, under random changes; and the twist of tables, that
// a checkpoint sees the state of its begin while changes go on.

import fc from "fast-check";
import t from "tap";
import { Cards } from "../engine/cards.js";
import { CARD_STATUS } from "../engine/domain.js";
import { DateUses, Duplicates } from "../engine/duplicates.js";
import { Holders } from "../engine/holders.js";
import { RowIndex } from "../engine/row-index.js";
import { PAGE, type Snapshot } from "../engine/snapshot.js";
import { Table } from "../engine/table.js";
import { seeded } from "./random.js";

type KeyWords = 1 | 2 | 4;
type Key = [number, number, number, number];

/** An index over a table of its own, with a Map that says what it must find. */
class Checked {
  readonly table = new Table(1, "checked", 6, 40_000);
  readonly index: RowIndex;
  readonly rows = new Map<string, number>();
  private readonly free: number[] = [];

  constructor(private readonly keyWords: KeyWords) {
    this.index = new RowIndex(this.table, 1, keyWords);
  }

  insert(key: Key): void {
    if (this.rows.has(this.text(key))) return;
    const row = this.free.pop() ?? this.table.append();
    for (let i = 0; i < this.keyWords; i++) this.table.words[row * 6 + 1 + i] = key[i]!;
    this.index.insert(row);
    this.rows.set(this.text(key), row);
  }

  remove(key: Key): void {
    const row = this.rows.get(this.text(key));
    if (row === undefined) return;
    this.index.remove(row);
    this.rows.delete(this.text(key));
    this.free.push(row);
  }

  find(key: Key): number {
    const [a, b, c, d] = key.map((word, i) => (i < this.keyWords ? word : 0)) as Key;
    return this.index.find(a, b, c, d);
  }

  /** Keys for which index and Map do not agree. */
  wrong(keys: Key[]): Key[] {
    return keys.filter((key) => this.find(key) !== (this.rows.get(this.text(key)) ?? 0));
  }

  /** The same for look-ups of many at once, among other words. */
  wrongMany(keys: Key[]): Key[] {
    const stride = 7;
    const first = 2;
    const words = Int32Array.from(
      { length: first + keys.length * stride },
      (_, i) => i * 0x9e3779b1,
    );
    for (const [i, key] of keys.entries()) words.set(key, first + i * stride);
    const rows = new Int32Array(keys.length);
    this.index.findMany(words, first, stride, keys.length, rows);
    return keys.filter((key, i) => rows[i] !== (this.rows.get(this.text(key)) ?? 0));
  }

  private text(key: Key): string {
    return key.slice(0, this.keyWords).join(" ");
  }
}

t.test("an index finds what a Map finds, while it grows and shrinks", async (t) => {
  for (const keyWords of [1, 2, 4] as const) {
    const random = seeded(keyWords);
    const checked = new Checked(keyWords);
    const keys = Array.from({ length: 12_000 }, (_, i) => {
      const narrow = i % 3 === 0;
      const word = () => (narrow ? random.below(40) : random.word());
      return [keyWords === 1 ? random.word() : word(), word(), word(), word()] as Key;
    });
    for (let step = 0; step < 60_000; step++) {
      const key = keys[random.below(keys.length)]!;
      if (random.below(100) < (step < 30_000 ? 75 : 35)) checked.insert(key);
      else checked.remove(key);
      if (step % 1999 !== 0) continue;
      t.same(checked.wrong(keys), [], `step ${step}`);
      // Many are looked up four by four, and what is left one by one.
      const many = keys.slice(0, keys.length - (step % 8));
      if (keyWords !== 4) continue;
      t.same(checked.wrongMany(many), [], `step ${step}, many at once`);
      t.same(checked.wrongMany(keys.slice(0, step % 8)), [], `step ${step}, few at once`);
    }
    t.ok(checked.rows.size > 1000);
    t.same(checked.wrong(keys), []);
    const inUse = new Set(checked.rows.values());
    checked.index.rebuild((row) => inUse.has(row));
    t.same(checked.wrong(keys), [], "after a rebuild");
  }
});

t.test("an index of few rows stays small, however often they change", async (t) => {
  const random = seeded(5);
  const checked = new Checked(2);
  const keys = Array.from({ length: 300 }, () => [random.word(), random.word(), 0, 0] as Key);
  const sizeStart = checked.index.size;
  for (let step = 0; step < 200_000; step++) {
    const key = keys[random.below(keys.length)]!;
    if (random.below(2) === 0) checked.insert(key);
    else checked.remove(key);
  }
  t.same(checked.wrong(keys), []);
  t.ok(checked.index.size <= sizeStart * 2, `${checked.index.size} bytes from ${sizeStart}`);
});

t.test("an index told to remove what is not there fails", async (t) => {
  const checked = new Checked(4);
  checked.insert([1, 2, 3, 4]);
  checked.remove([1, 2, 3, 4]);
  t.throws(() => checked.index.remove(1), /invariant broken/);
});

t.test("the uses of a date are found by terminal and STAN", async (t) => {
  const random = seeded(7);
  const uses = new DateUses(16, 5000);
  uses.begin(20_250_301);
  const rows = new Map<string, number>();
  const keys: [number, number][] = [];
  while (!uses.table.full) {
    const terminalId = 46_000_000 + random.below(9);
    const stan = 1 + random.below(random.below(2) === 0 ? 800 : 999_999);
    keys.push([terminalId, stan]);
    if (rows.has(`${terminalId} ${stan}`)) continue;
    rows.set(`${terminalId} ${stan}`, uses.add(terminalId, stan));
  }
  const wrong = () => {
    const others = keys.map(([terminalId, stan]): [number, number] => [terminalId + 20, stan]);
    return [...keys, ...others].filter(([terminalId, stan]) => {
      return uses.find(terminalId, stan) !== (rows.get(`${terminalId} ${stan}`) ?? 0);
    });
  };
  t.same(wrong(), []);
  uses.rebuild();
  t.same(wrong(), [], "after a rebuild");
  uses.begin(20_250_304);
  rows.clear();
  t.same(wrong(), [], "another date has none");
  t.equal(uses.table.rowCount, 1);
});

t.test("what is read ahead of a look-up is what it begins with", async (t) => {
  const date = 20_250_301;
  const duplicates = new Duplicates(16, 1, 1000);
  duplicates.moveTo([date, 20_250_302]);
  const uses = duplicates.of(date);
  const slotOf = (stan: number) => duplicates.warm(date, 46_000_001, stan);
  t.equal(slotOf(700), 0);
  const row = uses.add(46_000_001, 700);
  t.equal(slotOf(700) & ((1 << 27) - 1), row);
  t.equal(slotOf(701), 0);
  t.equal(duplicates.warm(20_240_101, 46_000_001, 700), 0, "a date that is not kept");
  const cards = new Cards(1, 20);
  const holders = new Holders(2, 100);
  const rows = Int32Array.from({ length: 9 }, (_, i) => {
    return cards.add(Int32Array.of(i, 0, 0, 0), CARD_STATUS.ACTIVE, 1, 0xffff, 460_000, 8 * i + 1);
  });
  holders.table.rowCount = 100;
  for (let listed = 0; listed < rows.length; listed++) {
    holders.setListed(8 * listed + 1, true);
    for (let count = 0; count <= rows.length; count++) {
      holders.warmListed(cards, rows, count);
      t.equal(holders.seen !== 0, count > listed, `card ${listed} of ${count}`);
    }
    holders.setListed(8 * listed + 1, false);
  }
});

t.test("positions of 48 bits and states share two words", async (t) => {
  const uses = new DateUses(16, 10);
  const row = uses.add(1, 1);
  for (const position of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, 2 ** 48 - 1]) {
    for (const state of [0, 1 << 16, 7 << 16]) {
      uses.setPosition(row, position, 0);
      uses.setState(row, state);
      t.same([uses.position(row), uses.state(row)], [position, state]);
    }
  }
  t.throws(() => uses.setPosition(row, 2 ** 48, 0), /48 bits/);
});

t.test("an index of many rows that is made at once finds each of them", async (t) => {
  const rowCount = 4_300_000;
  const table = new Table(1, "checked", 1, rowCount + 2);
  for (let row = 1; row <= rowCount; row++) table.words[table.append()] = Math.imul(row, 40_503);
  const index = new RowIndex(table, 0, 1);
  index.rebuild(null);
  let wrong = 0;
  for (let row = 1; row <= rowCount; row++) {
    if (index.find(Math.imul(row, 40_503), 0, 0, 0) !== row) wrong++;
  }
  t.equal(wrong, 0);
  t.equal(index.find(40_504, 0, 0, 0), 0);
  index.remove(rowCount);
  t.equal(index.find(Math.imul(rowCount, 40_503), 0, 0, 0), 0, "and goes on as any other");
  table.words[table.append()] = 7;
  index.insert(rowCount + 1);
  t.equal(index.find(7, 0, 0, 0), rowCount + 1);
});

t.test("a checkpoint that is given up leaves its pages to the next", async (t) => {
  const table = new Table(1, "checked", ROW_WORDS, ROWS_MAX);
  apply(table, { kind: "append", at: 3 * PAGE.ROWS, by: 5 });
  const stored: Stored = { pages: new Map(), rowCount: 1 };
  takePage(table.beginCheckpoint(), stored);
  apply(table, { kind: "write", at: 2 * PAGE.ROWS, by: 6 });
  table.endCheckpoint();
  table.invariants();
  stored.pages.clear();
  checkRound(table, stored, []);
  t.equal(stored.pages.size, 4);
});

const ROW_WORDS = 3;
const ROWS_MAX = 5 * PAGE.ROWS + 10;

/** What a checkpoint wrote: pages by number, the newest of each, and the rows at its end. */
interface Stored {
  pages: Map<number, Int32Array>;
  rowCount: number;
}

function loadedFrom(stored: Stored, rowsMax = ROWS_MAX): Table {
  const table = new Table(2, "loaded", ROW_WORDS, rowsMax);
  for (let page = 0; page * PAGE.ROWS < stored.rowCount; page++) {
    const words = stored.pages.get(page)!;
    table.loadPage(page, new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }
  table.loaded(stored.rowCount);
  table.invariants();
  return table;
}

interface Change {
  kind: string;
  at: number;
  by: number;
}

function changeOf(kind: string, atMax: number): fc.Arbitrary<Change> {
  return fc.record({ kind: fc.constant(kind), at: fc.nat(atMax), by: fc.nat() });
}

const change = fc.oneof(
  { weight: 12, arbitrary: changeOf("write", 1e6) },
  { weight: 6, arbitrary: changeOf("append", 400) },
  { weight: 4, arbitrary: changeOf("step", 3) },
  { weight: 1, arbitrary: changeOf("clear", 1) },
);

function apply(table: Table, { kind, at, by }: Change): void {
  if (kind === "clear") table.clear();
  if (kind === "append") {
    for (let i = 0; i < at && !table.full; i++) table.words[table.append() * ROW_WORDS] = by;
  }
  if (kind === "write") {
    const row = at % table.rowCount;
    table.touch(row);
    table.words[row * ROW_WORDS + (by % ROW_WORDS)] = by;
  }
  table.invariants();
}

t.test("a checkpoint holds the state of its begin, whatever changes meanwhile", async () => {
  const rounds = fc.array(fc.array(change, { maxLength: 40 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(rounds, (changes) => {
      const table = new Table(1, "checked", ROW_WORDS, ROWS_MAX);
      const stored: Stored = { pages: new Map(), rowCount: 1 };
      for (const round of changes) checkRound(table, stored, round);
    }),
    { seed: 13, numRuns: 250 },
  );
});

/** Runs a checkpoint with `changes` between its steps, and compares what it wrote. */
function checkRound(table: Table, stored: Stored, changes: Change[]): void {
  const snapshot = table.beginCheckpoint();
  const expected = Int32Array.from(table.used());
  stored.rowCount = snapshot.rowCount;
  for (const one of changes) {
    if (one.kind !== "step") apply(table, one);
    else for (let i = 0; i < one.at; i++) takePage(snapshot, stored);
  }
  while (takePage(snapshot, stored));
  table.endCheckpoint();
  table.invariants();
  const loaded = loadedFrom(stored);
  const same = Buffer.compare(Buffer.from(expected.buffer), bytesOf(loaded)) === 0;
  if (!same) throw new Error("the checkpoint is not the state of its begin");
}

function takePage(snapshot: Snapshot, stored: Stored): boolean {
  const words = new Int32Array(PAGE.ROWS * ROW_WORDS).fill(-1);
  const page = snapshot.take(words);
  if (page !== -1) stored.pages.set(page, words.subarray(0, snapshot.pageWords(page)));
  return page !== -1;
}

function bytesOf(table: Table): Buffer {
  return Buffer.from(Int32Array.from(table.used()).buffer);
}

t.test("a table made smaller or larger loads what fits it", async (t) => {
  const table = new Table(1, "checked", ROW_WORDS, ROWS_MAX);
  const stored: Stored = { pages: new Map(), rowCount: 1 };
  apply(table, { kind: "append", at: PAGE.ROWS + 20, by: 9 });
  checkRound(table, stored, []);
  for (const rowsMax of [PAGE.ROWS + 21, PAGE.ROWS + 30, 4000]) {
    const loaded = loadedFrom(stored, rowsMax);
    t.same(bytesOf(loaded), bytesOf(table), `${rowsMax} rows at most`);
    while (!loaded.full) loaded.append();
  }
  t.throws(() => loadedFrom(stored, PAGE.ROWS + 20), /loaded rows fit the table/);
});

t.test("a table refuses what it must not do", async (t) => {
  const table = new Table(1, "checked", ROW_WORDS, 3);
  table.append();
  table.append();
  t.ok(table.full);
  t.equal(table.room, 0);
  t.throws(() => table.append(), /table has room/);
  table.beginCheckpoint();
  t.throws(() => table.beginCheckpoint(), /one checkpoint at a time/);
});
