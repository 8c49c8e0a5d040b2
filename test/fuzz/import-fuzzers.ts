// Fuzzers of import: rows of every sort, and whole files, whose good rows must all come through
// beside whatever bad ones, each of which is told by its line and column and by no value.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { CARD_EVENT_SIZE } from "../../engine/commands.js";
import { PAN_KIND_CARD, writePanBlock } from "../../protocol/pan.js";
import type { CommandBatch, CommandResult, CommandSink } from "../../src/command-sink.js";
import { readLines } from "../../src/control/ndjson.js";
import { toCardCommand } from "../../src/import/card-row.js";
import {
  findRecord,
  parseQuotedRecord,
  type RecordSpan,
  splitRecord,
} from "../../src/import/csv.js";
import { toCatalogueDocument, toOrganisationDocument } from "../../src/import/document-rows.js";
import type { Checked } from "../../src/import/fields.js";
import { type ImportSummary, importFile } from "../../src/import/import.js";
import { toListCommands } from "../../src/import/list-row.js";
import { toTerminalCommand } from "../../src/import/terminal-row.js";
import {
  cardLine,
  GOOD_CARD,
  GOOD_ENTRY,
  GOOD_ITEM,
  GOOD_ORGANISATION,
  GOOD_TERMINAL,
  HEADER,
  idNumber,
  KEK,
  pan,
  VAULT,
} from "../import-samples.js";
import { type Fuzzer, holds, same, tellsNothing } from "./fuzzer.js";
import { cpuMs, type GrowingWork } from "./growth.js";

type Row = Readonly<Record<string, unknown>>;

const field = fc.oneof(
  fc.string(),
  fc.anything({ maxDepth: 1 }),
  fc.nat().map(pan),
  fc.integer().map(String),
  fc.constantFrom("46", "4601", "transport|health", "20300101", "open", "all", "domain:transport"),
);

/** A good row with up to three fields changed, and other columns beside. */
function rowLike(good: Row): fc.Arbitrary<Row> {
  const columns = fc.oneof(fc.constantFrom(...Object.keys(good)), fc.string());
  return fc.dictionary(columns, field, { maxKeys: 3 }).map((changes) => ({ ...good, ...changes }));
}

/** A checked row is good, or names a column of ours and a cause that holds nothing of it. */
function checkedRow(good: Row, check: (row: Row) => Checked<unknown>) {
  return fc.property(rowLike(good), (row) => {
    const result = check(row);
    if (result.ok) return;
    holds(/^[a-zA-Z]*$/.test(result.column), "a column that is none of ours");
    holds(result.cause !== "" && tellsNothing(result.cause), "a cause tells the value");
  });
}

const CHECKS: readonly [sort: string, good: Row, check: (row: Row) => Checked<unknown>][] = [
  ["cards", GOOD_CARD, (row) => toCardCommand(row, VAULT)],
  ["the blacklist", GOOD_ENTRY, (row) => toListCommands(row, VAULT)],
  ["terminals", GOOD_TERMINAL, (row) => toTerminalCommand(row, { vault: VAULT, kek: KEK })],
  ["organisations", GOOD_ORGANISATION, (row) => toOrganisationDocument(row)],
  ["items", GOOD_ITEM, (row) => toCatalogueDocument(1, 20_250_101, [row])],
];

/** What a check must not go over again and again. */
function longTexts(size: number): string[] {
  return [
    "1".repeat(size),
    `${" ".repeat(size)}x${" ".repeat(size)}`,
    "46|".repeat(size),
    `2026-01-01T00:00:00.${"0".repeat(size)}`,
  ];
}

const ROWS: Fuzzer = {
  name: "rows",
  about: "import rows of every sort: taken, or refused by column and cause without the value",
  properties: () => CHECKS.map(([, good, check]) => checkedRow(good, check)),
  growth: CHECKS.map(([sort, good, check]) => ({
    what: `long fields of ${sort}`,
    size: 6000,
    prepare: (size: number) => {
      const texts = longTexts(size);
      const rows = Object.keys(good).flatMap((key) =>
        texts.map((each) => ({ ...good, [key]: each })),
      );
      return () => {
        for (const row of rows) check(row);
      };
    },
  })),
};

/** A record of CSV with all its fields in quotes. */
function quotedRecord(fields: readonly string[]): string {
  return fields.map((text) => `"${text.replaceAll('"', '""')}"`).join(",");
}

/** Text without what would end a plain field. */
const plainField = fc.string().map((text) => text.replaceAll(/[",\r\n]/g, " "));

const CSV: Fuzzer = {
  name: "csv",
  about: "records of CSV: fields of any text come back, and the record ends where it ends",
  properties: () => [
    fc.property(
      fc.array(fc.string(), { minLength: 1, maxLength: 6 }),
      fc.string(),
      (fields, rest) => {
        const record = quotedRecord(fields);
        const span = newSpan();
        findRecord(`${record}\n${rest}`, 0, span);
        holds(span.end === record.length && !span.open, "a record ends elsewhere");
        holds(same(parseQuotedRecord(record), fields), "quoted fields do not come back");
      },
    ),
    fc.property(fc.array(plainField, { minLength: 1, maxLength: 6 }), (fields) => {
      const found: unknown[] = [];
      const places = fields.map((_, i) => i);
      const count = splitRecord(fields.join(","), places, found);
      holds(count === fields.length && same(found, fields), "plain fields do not come back");
    }),
    fc.property(fc.string(), (text) => {
      const span = newSpan();
      let lines = 0;
      for (let at = 0; at < text.length; at = span.next) {
        findRecord(text, at, span);
        holds(span.next > at && span.end >= span.start, "a record does not move on");
        parseQuotedRecord(text.slice(span.start, span.end));
        lines += span.lines;
      }
      holds(lines === text.split("\n").length - 1, "a line end is not counted once");
    }),
  ],
  growth: [
    csvText("quotes and line ends in a field", (n) => `"${'""'.repeat(n)}${"\n".repeat(n)}"`),
    csvText("fields in quotes", (size) => '"x",'.repeat(size / 10)),
    csvText("quotes in the wrong places", (size) => 'x"'.repeat(size * 4)),
    csvText("a quote that never closes", (size) => `"${"x,".repeat(size)}`),
    csvText("plain fields", (size) => "x,".repeat(size)),
    csvText("empty lines", (size) => "\r\n".repeat(size)),
  ],
};

/** Work on a text of many records or of one: found, parted with quotes, and without. */
function csvText(what: string, text: (size: number) => string): GrowingWork {
  return {
    what,
    size: 2000,
    prepare: (size) => {
      const whole = text(size);
      const fields: unknown[] = [];
      return () => {
        const span = newSpan();
        for (let at = 0; at < whole.length; at = span.next) {
          findRecord(whole, at, span);
          const record = whole.slice(span.start, span.end);
          if (span.quoted) parseQuotedRecord(record);
          else splitRecord(record, [0], fields);
        }
      };
    },
  };
}

function newSpan(): RecordSpan {
  return { start: 0, end: 0, next: 0, lines: 0, quoted: false, open: false };
}

/** Bytes that Buffer.concat has put together while it is counted. */
let bytesCopied = 0;

async function countCopies(): Promise<() => Promise<void>> {
  const { concat } = Buffer;
  Buffer.concat = (...args) => {
    const whole = concat(...args);
    bytesCopied += whole.length;
    return whole;
  };
  return async () => {
    Buffer.concat = concat;
  };
}

const LINES: Fuzzer = {
  name: "lines",
  about: "streams of NDJSON: the same rows however their bytes are cut",
  open: countCopies,
  properties: () => [
    fc.asyncProperty(
      fc.array(fc.oneof(fc.json(), fc.string(), fc.constant("")), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 20 }),
      async (rows, cuts) => {
        const bytes = Buffer.from(rows.map((row) => row.replaceAll("\n", " ")).join("\n"));
        const parts: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!;
          parts.push(bytes.subarray(at, at + size));
          at += size;
        }
        holds(same(await linesOf(parts), await linesOf([bytes])), "the cuts make a difference");
      },
    ),
  ],
  growth: [
    {
      what: "rows in one piece",
      size: 500,
      prepare: (count) => {
        const bytes = Buffer.from('{"a":1}\n'.repeat(count));
        return () => linesOf([bytes]);
      },
    },
    {
      what: "a row in pieces of one byte",
      size: 1000,
      prepare: (size) => {
        const parts = Array.from({ length: size }, () => Buffer.from("x"));
        return () => linesOf(parts);
      },
      // The pieces cost more to come by than to put together.
      count: () => bytesCopied,
    },
  ],
};

async function linesOf(parts: readonly Buffer[]): Promise<unknown[]> {
  const lines: unknown[] = [];
  const stream = Readable.from(parts, { objectMode: true });
  for await (const each of readLines(stream, 1 << 20)) lines.push(...each);
  return lines;
}

/** Keeps the tokens of the cards that come. */
class TokenSink implements CommandSink {
  readonly tokens: string[] = [];

  async execute({ count, bytes }: CommandBatch): Promise<CommandResult> {
    for (let i = 0; i < count; i++) {
      const at = i * CARD_EVENT_SIZE;
      this.tokens.push(Buffer.from(bytes.subarray(at, at + 16)).toString("hex"));
    }
    return { outcomes: new Uint8Array(count), positions: new Float64Array(count) };
  }
}

function tokenOf(index: number): string {
  const block = new Uint8Array(16);
  writePanBlock(block, 0, pan(index), PAN_KIND_CARD);
  return Buffer.from(VAULT.tokenize(block)).toString("hex");
}

let folder = "";
let files = 0;

async function openFolder(): Promise<() => Promise<void>> {
  folder = mkdtempSync(join(tmpdir(), "tongka-fuzz-"));
  return async () => rmSync(folder, { recursive: true, force: true });
}

interface Imported {
  tokens: string[];
  summary: ImportSummary | null;
  /** Rejected rows, as reported. */
  report: { line: number; column?: string; cause: string }[];
  /** Why it stopped; "" when it did not. */
  stopped: string;
}

async function importText(text: string): Promise<Imported> {
  const path = join(folder, `f${files++}`);
  writeFileSync(path, text);
  const sink = new TokenSink();
  try {
    const options = { sort: "cards" as const, path, sink, vault: VAULT, stateFolder: folder };
    const summary = await importFile({ ...options, restart: true });
    const told = summary.reportPath === null ? "" : readFileSync(summary.reportPath, "utf8");
    const lines = told.split("\n").filter((line) => line !== "");
    const report = lines.map((line) => JSON.parse(line));
    return { tokens: sink.tokens, summary, report, stopped: "" };
  } catch (error) {
    const { message } = error as Error;
    return { tokens: sink.tokens, summary: null, report: [], stopped: message };
  } finally {
    rmSync(path);
  }
}

/** A row of a file: what it is, and a number that chooses among its kind. */
type Line = [kind: "good" | "quoted" | "spread" | "bad" | "noise" | "empty", choice: number];

const line: fc.Arbitrary<Line> = fc.tuple(
  fc.constantFrom("good", "quoted", "spread", "bad", "noise", "empty"),
  fc.nat(99),
);

/** What is wrong with a row, and the column that must be named. */
const FAULTS: readonly [
  column: string,
  change: Partial<Record<keyof typeof GOOD_CARD, unknown>>,
][] = [
  ["cardNumber", { cardNumber: "6230710000000000010" }],
  ["cardNumber", { cardNumber: "" }],
  ["idNumber", { idNumber: "46010519900101001A" }],
  ["medium", { medium: "paper" }],
  ["status", { status: "fine" }],
  ["regionCode", { regionCode: "999999" }],
  ["expiryDate", { expiryDate: "20300230" }],
];
const NOISE = ["a", "1,2", "{", "[]", "7", "null", ",,,,,,,,,", " ", "\t", "é,é", "{}x"];

function cardOf(index: number) {
  return { ...GOOD_CARD, cardNumber: pan(index), idNumber: idNumber(index) };
}

interface Expected {
  text: string;
  tokens: string[];
  /** Line and column of each bad row; column "" when it is the row. */
  bad: [number, string][];
}

/** A CSV file of these rows, with a column that is not used, and what must come of it. */
function csvOf(lines: readonly Line[], newline: string): Expected {
  const out: Expected = { text: `${HEADER},note${newline}`, tokens: [], bad: [] };
  let at = 2;
  for (const [index, [kind, choice]] of lines.entries()) {
    const [column, change] = FAULTS[choice % FAULTS.length]!;
    const good = kind === "good" || kind === "quoted" || kind === "spread";
    const values = Object.values(good ? cardOf(index) : { ...cardOf(index), ...change }).map(
      String,
    );
    let row = [...values, "n"].join(",");
    if (kind === "quoted") row = [...values, 'a ""b"", c'].map((each) => `"${each}"`).join(",");
    if (kind === "spread") row = `${values.join(",")},"two${newline}lines"`;
    if (kind === "noise") row = NOISE[choice % NOISE.length]!;
    if (kind === "empty") row = "";
    if (good) out.tokens.push(tokenOf(index));
    else if (kind === "bad") out.bad.push([at, column]);
    else if (kind === "noise") out.bad.push([at, ""]);
    out.text += row + newline;
    at += kind === "spread" ? 2 : 1;
  }
  return out;
}

function ndjsonOf(lines: readonly Line[], newline: string): Expected {
  // The first byte tells the format, so the first row is a good one.
  const first = lines.length;
  const out: Expected = {
    text: JSON.stringify(cardOf(first)) + newline,
    tokens: [tokenOf(first)],
    bad: [],
  };
  for (const [index, [kind, choice]] of lines.entries()) {
    const [column, change] = FAULTS[choice % FAULTS.length]!;
    let row = JSON.stringify(kind === "bad" ? { ...cardOf(index), ...change } : cardOf(index));
    if (kind === "spread") row = ` ${row.replaceAll(",", " ,\t")} `;
    if (kind === "noise") row = NOISE[choice % NOISE.length]!;
    if (kind === "empty") row = "";
    if (kind === "bad") out.bad.push([index + 2, column]);
    else if (kind === "noise") out.bad.push([index + 2, ""]);
    else if (kind !== "empty") out.tokens.push(tokenOf(index));
    out.text += row + newline;
  }
  return out;
}

async function check(expected: Expected): Promise<void> {
  const { tokens, summary, report, stopped } = await importText(expected.text);
  holds(stopped === "", "a file of rows is stopped");
  holds(same(tokens, expected.tokens), "a bad row takes a neighbour with it, or is taken itself");
  const told = report.map((row): [number, string] => [row.line, row.column ?? ""]);
  holds(same(told, expected.bad), "a bad row is not told by its line and column");
  holds(
    report.every(({ cause }) => tellsNothing(cause)),
    "a cause tells the value",
  );
  holds(
    summary!.imported === tokens.length && summary!.rejected === report.length,
    "counts differ",
  );
}

const FILES: Fuzzer = {
  name: "files",
  about: "import files of good, bad and broken rows: each good row is in, each bad one is told",
  open: openFolder,
  properties: () =>
    [csvOf, ndjsonOf].map((format) =>
      fc.asyncProperty(
        fc.array(line, { maxLength: 30 }),
        fc.constantFrom("\n", "\r\n"),
        fc.boolean(),
        async (lines, newline, marked) => {
          const expected = format(lines, newline);
          if (marked) expected.text = `\ufeff${expected.text}`;
          await check(expected);
        },
      ),
    ),
  growth: [csvOf, ndjsonOf].map(
    (format): GrowingWork => ({
      what: `rows of ${format === csvOf ? "CSV" : "NDJSON"}`,
      size: 300,
      count: cpuMs,
      prepare: (count) => {
        const kinds = ["good", "bad", "quoted"] as const;
        const lines = Array.from({ length: count }, (_, i): Line => [kinds[i % 3]!, i % 99]);
        const expected = format(lines, "\n");
        return () => check(expected);
      },
    }),
  ),
};

const insert = fc.constantFrom('"', ",", "\n", "x", "", "\0", "{", "é", "9", "\r", "\ufeff", "\\");

const GARBLED: Fuzzer = {
  name: "garbled",
  about: "import files with characters changed anywhere: nothing told holds a number",
  open: openFolder,
  properties: () => [
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(400), insert), { maxLength: 6 }),
      fc.constantFrom(csvOf, ndjsonOf),
      async (changes, format) => {
        let { text } = format(
          [
            ["good", 0],
            ["quoted", 1],
            ["bad", 2],
          ],
          "\n",
        );
        for (const [at, what] of changes) text = text.slice(0, at) + what + text.slice(at + 1);
        const { report, stopped } = await importText(text);
        const told = report.map((row) => `${row.line} ${row.column ?? ""} ${row.cause}`);
        const named = stopped.replaceAll(folder, "");
        holds([...told, named].every(tellsNothing), "what is told holds a number");
      },
    ),
  ],
  growth: [
    garbledText("rows with a quote in the wrong place", 40, (size) => '1,"2,3"x\n'.repeat(size)),
    garbledText("a quote that never closes", 15_000, (size) => `1,"${"2,3\n".repeat(size)}`),
    garbledText("broken rows between sound ones", 100, (size) =>
      `${cardLine(1)}\n"\n"\n`.repeat(size),
    ),
  ],
};

/** Work on a file that is not as it should be. */
function garbledText(what: string, size: number, text: (size: number) => string): GrowingWork {
  return {
    what,
    size,
    prepare: (count) => {
      const whole = `${HEADER}\n${text(count)}`;
      return () => importText(whole);
    },
    count: cpuMs,
  };
}

export const IMPORT_FUZZERS: readonly Fuzzer[] = [ROWS, CSV, LINES, FILES, GARBLED];
