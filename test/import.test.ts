// Import of files: bad rows are skipped, what is wrong with a file stops it, what was done stays
// done. That no card or ID number is ever told: fuzz/import-fuzzers.ts.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import t, { type Test } from "tap";
import { COMMAND, commandSize, OUTCOME, readTerminal } from "../engine/commands.js";
import {
  COMMANDS_PER_BATCH_MAX,
  type CommandBatch,
  type CommandResult,
  type CommandSink,
} from "../src/command-sink.js";
import { type ImportOptions, importFile } from "../src/import/import.js";
import {
  cardLine,
  GOOD_CARD,
  GOOD_ITEM,
  GOOD_ORGANISATION,
  GOOD_TERMINAL,
  HEADER,
  idNumber,
  KEK,
  pan,
  VAULT,
} from "./import-samples.js";

/** Keeps the batches; answers as it is told, and can fail at the n-th. */
class KeepingSink implements CommandSink {
  readonly batches: CommandBatch[] = [];
  inFlight = 0;
  inFlightMost = 0;
  failAt = -1;
  outcome: (batch: CommandBatch, index: number) => number = () => 0;

  async execute(batch: CommandBatch): Promise<CommandResult> {
    this.inFlightMost = Math.max(this.inFlightMost, ++this.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
    if (this.batches.length === this.failAt) throw new Error("no space left on device");
    this.batches.push(batch);
    const outcomes = Uint8Array.from({ length: batch.count }, (_, i) => this.outcome(batch, i));
    return { outcomes, positions: new Float64Array(batch.count) };
  }

  /** Tokens at the head of all commands, as text. */
  tokens(): string[] {
    return this.batches.flatMap(({ kind, count, bytes }) => {
      const size = commandSize(kind);
      const at = (i: number) =>
        Buffer.from(bytes.subarray(i * size, i * size + 16)).toString("hex");
      return Array.from({ length: count }, (_, i) => at(i));
    });
  }
}

class Bench {
  readonly folder: string;
  readonly sink = new KeepingSink();
  besideSizeMin: number | undefined;

  constructor(test: Test) {
    this.folder = mkdtempSync(path.join(tmpdir(), "tongka-import-"));
    test.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  file(content: string | Uint8Array, name = "rows.csv"): string {
    const file = path.join(this.folder, name);
    writeFileSync(file, content);
    return file;
  }

  run(file: string, options: Partial<ImportOptions> = {}) {
    return importFile({
      sort: "cards",
      path: file,
      sink: this.sink,
      vault: VAULT,
      stateFolder: this.folder,
      besideSizeMin: this.besideSizeMin,
      kek: KEK,
      ...options,
    });
  }

  state(): string[] {
    return readdirSync(this.folder).filter((name) => name.endsWith(".progress.json"));
  }
}

function report(file: string | null): { line: number; column?: string; cause: string }[] {
  if (file === null) return [];
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

t.test("terminals go in with their keys", async (t) => {
  const bench = new Bench(t);
  const columns = Object.keys(GOOD_TERMINAL).join(",");
  const file = bench.file(`${columns}\n${Object.values(GOOD_TERMINAL).join(",")}\n`);
  await bench.run(file, { sort: "terminals" });
  t.match(readTerminal(bench.sink.batches[0]!.bytes, 0), { terminalId: 1_050_001, domains: 12 });
});

t.test("bad rows are reported with their line, the rest goes in", async (t) => {
  const bench = new Bench(t);
  const lines = [
    HEADER,
    cardLine(0),
    "",
    "only,three,columns",
    `"${pan(1)}","${idNumber(1)}",chip,"active",460105,20301231`,
    `x${cardLine(2)}`,
    `${cardLine(3)}\r`,
    `"${pan(4)}"x,1,2,3,4,5`,
    cardLine(5),
  ];
  bench.sink.outcome = (batch, i) =>
    i === batch.count - 1 ? OUTCOME.CARD_EXISTS! : i === 0 ? 1 : 0;
  const summary = await bench.run(bench.file(`\ufeff${lines.join("\n")}`));
  t.match(summary, { rows: 7, imported: 2, unchanged: 1, rejected: 4, interrupted: false });
  t.same(
    report(summary.reportPath).sort((a, b) => a.line - b.line),
    [
      { line: 4, cause: "has more or fewer columns than the header" },
      { line: 6, column: "cardNumber", cause: "is not 12 to 19 digits" },
      { line: 8, cause: "has misplaced quotes" },
      { line: 9, cause: "CARD_EXISTS" },
    ],
  );
  t.same(bench.state(), [], "a finished import leaves no state");
  const json = [
    JSON.stringify(GOOD_CARD),
    "{",
    "[1]",
    "7",
    JSON.stringify({ ...GOOD_CARD, medium: 4 }),
  ];
  const again = await bench.run(bench.file(json.join("\n"), "rows.ndjson"));
  t.match(again, { rows: 5, rejected: 5, imported: 0 });
  const causes = report(again.reportPath)
    .map(({ line, cause }) => `${line} ${cause}`)
    .sort();
  t.same(causes, [
    "1 CARD_EXISTS",
    "2 is not JSON",
    "3 is no JSON object",
    "4 is no JSON object",
    "5 is neither chip nor electronic",
  ]);
});

t.test("a catalogue file is one version; organisations go one by one", async (t) => {
  const bench = new Bench(t);
  const head = '{"version":3,"effectiveDate":20250101}';
  const rows = [head, JSON.stringify(GOOD_ITEM), JSON.stringify({ ...GOOD_ITEM, kind: "gift" })];
  const summary = await bench.run(bench.file(rows.join("\n"), "c.ndjson"), { sort: "catalogue" });
  t.match(summary, { imported: 1, rejected: 1 });
  const { kind, bytes } = bench.sink.batches[0]!;
  t.equal(kind, COMMAND.CATALOGUE);
  t.match(JSON.parse(Buffer.from(bytes).toString()), {
    version: 3,
    items: [{ regions: [46, 4601] }],
  });
  const headless = bench.file(rows.slice(1, 2).join("\n"), "h.ndjson");
  const none = await bench.run(headless, { sort: "catalogue" });
  t.equal(none.imported, 0);
  t.match(report(none.reportPath)[0], { cause: /before the catalogue's version/ });
  const catalogue = { version: 4, effectiveDate: 20_250_101 };
  t.match(await bench.run(headless, { sort: "catalogue", catalogue }), { imported: 1 });
  const organisations = `${JSON.stringify(GOOD_ORGANISATION)}\n`.repeat(3);
  await bench.run(bench.file(organisations, "o.ndjson"), { sort: "organisations" });
  t.same(
    bench.sink.batches.slice(-3).map(({ kind, count }) => [kind, count]),
    [
      [4, 1],
      [4, 1],
      [4, 1],
    ],
  );
});

/** Whoever reads a file, this thread or one beside, its import comes to the same. */
const READERS = { here: Number.POSITIVE_INFINITY, beside: 0 };

for (const [reader, besideSizeMin] of Object.entries(READERS)) {
  t.test(`read ${reader}, an import that fails in the middle goes on where it stopped`, (t) =>
    failsInTheMiddle(t, besideSizeMin),
  );
  t.test(`read ${reader}, a signal stops it cleanly; restart begins anew`, (t) =>
    isStopped(t, besideSizeMin),
  );
}

async function failsInTheMiddle(t: Test, besideSizeMin: number) {
  const bench = new Bench(t);
  bench.besideSizeMin = besideSizeMin;
  const count = 30_000;
  const bad = (i: number) => (i % 1000 === 500 ? "bad" : "");
  const lines = Array.from({ length: count }, (_, i) => bad(i) + cardLine(i));
  const file = bench.file(`${HEADER}\n${lines.join("\n")}\n`);
  bench.sink.failAt = 4;
  await t.rejects(bench.run(file), {
    message: /no space left on device; what stands before line \d+ is in/,
  });
  t.equal(bench.state().length, 1, "how far it came is on disk");
  bench.sink.failAt = -1;
  const before = bench.sink.batches.length;
  const summary = await bench.run(file);
  t.ok(summary.fromLine > 3000, `went on from line ${summary.fromLine}`);
  t.match(summary, { rows: count, imported: count - 30, rejected: 30 });
  t.equal(new Set(bench.sink.tokens()).size, count - 30, "every row came to the sink");
  t.ok(bench.sink.batches.length > before && bench.sink.inFlightMost <= 4);
  t.ok(bench.sink.batches.every((batch) => batch.count <= COMMANDS_PER_BATCH_MAX));
  const reported = report(summary.reportPath).map(({ line }) => line);
  t.same(
    reported,
    Array.from({ length: 30 }, (_, i) => i * 1000 + 502),
    "each bad row once",
  );
  t.same(bench.state(), []);
}

async function isStopped(t: Test, besideSizeMin: number) {
  const bench = new Bench(t);
  bench.besideSizeMin = besideSizeMin;
  const lines = Array.from({ length: 20_000 }, (_, i) => cardLine(i));
  const file = bench.file(`${HEADER},note\n${lines.map((line) => `${line},n`).join("\n")}\n`);
  const stop = new AbortController();
  const seen: number[] = [];
  const onProgress = ({ rows }: { rows: number }) => {
    seen.push(rows);
    if (seen.length === 2) stop.abort();
  };
  const first = await bench.run(file, { signal: stop.signal, onProgress });
  t.match(first, { interrupted: true, ignoredColumns: ["note"] });
  t.equal(first.rows, seen[1], "what was read is in");
  await t.rejects(bench.run(file, { sort: "blacklist" }), { message: /start anew with --restart/ });
  const rest = await bench.run(file);
  t.match(rest, { interrupted: false, rows: 20_000, fromLine: first.rows + 2 });
  t.equal(bench.sink.tokens().length, 20_000, "nothing went twice");
  await bench.run(file, { signal: AbortSignal.abort() });
  const anew = await bench.run(file, { restart: true });
  t.match(anew, { rows: 20_000, fromLine: 1 });
}

t.test("read here or beside, a file becomes the same commands, faults and report", async (t) => {
  const lines = Array.from({ length: 9000 }, (_, i) => {
    if (i % 700 === 3) return `x${cardLine(i)}`;
    return i % 900 === 4 ? `"${cardLine(i).replaceAll(",", '","')}"` : cardLine(i);
  });
  const content = `${HEADER}\n${lines.join("\n")}\n`;
  const results = await Promise.all(
    Object.values(READERS).map(async (besideSizeMin) => {
      const bench = new Bench(t);
      bench.besideSizeMin = besideSizeMin;
      const { seconds: _, reportPath, ...summary } = await bench.run(bench.file(content));
      const sent = bench.sink.batches.map(({ bytes }) => Buffer.from(bytes).toString("hex"));
      return { summary, sent: sent.join(), rows: report(reportPath) };
    }),
  );
  const [here, beside] = results;
  t.match(here!.summary, { rows: 9000, rejected: 13, imported: 8987 });
  t.same(beside, here);
  const file = new Bench(t).file(`${HEADER}\n${lines.join("\n")}\n"open`);
  for (const besideSizeMin of Object.values(READERS)) {
    const bench = new Bench(t);
    bench.besideSizeMin = besideSizeMin;
    await t.rejects(bench.run(file), /: line 9002 has a quote that is never closed; what stands/);
    const keys = Object.values(VAULT.copyKeys());
    t.ok(
      keys.every((key) => key.some((byte: number) => byte !== 0)),
      "the vault keeps its own keys",
    );
  }
});

t.test("a broken file stops with one line that says what and where", async (t) => {
  const good = Array.from({ length: 5000 }, (_, i) => cardLine(i)).join("\n");
  const table: [what: string, content: string | Uint8Array, message: RegExp][] = [
    [
      "GBK",
      Buffer.concat([Buffer.from(`${HEADER}\n${cardLine(0)}\n`), Buffer.from([0xba, 0xa3, 10])]),
      /line 3 is not UTF-8 \(for GBK/,
    ],
    ["NUL", `${HEADER}\n${cardLine(0)}\n\0\n`, /line 3 has a NUL byte/],
    [
      "open quote",
      `${HEADER}\n${cardLine(0)}\n"${cardLine(1)}\n${cardLine(2)}`,
      /line 3 has a quote/,
    ],
    [
      "late open quote",
      `${HEADER}\n${good}\n"${good}`,
      /line 5002 has a quote that is never closed; what/,
    ],
    ["no end of line", `${HEADER}\n${"1".repeat(2_000_000)}`, /line 2 is over 1 MB/],
    ["gzip", gzipSync(good), /is compressed: gunzip it first/],
    ["Excel", Buffer.from([0x50, 0x4b, 3, 4, 0]), /is a ZIP or Excel file/],
    ["UTF-16", Buffer.from(`\ufeff${good}`, "utf16le"), /is UTF-16/],
    ["empty", "", /is empty/],
    ["other columns", "cardNumber,idNumber\n1,2\n", /lacks medium, status, regionCode, expiryDate/],
    ["column twice", `${HEADER},status\n`, /names a column twice/],
  ];
  for (const [what, content, message] of table) {
    const bench = new Bench(t);
    const error = await bench.run(bench.file(content)).then(
      () => null,
      (e: Error) => e,
    );
    t.match(error?.message, message, what);
    t.notMatch(error?.message ?? "", /\n/, "one line");
  }
  const bench = new Bench(t);
  await t.rejects(bench.run(path.join(bench.folder, "none.csv")), {
    message: /cannot be read: ENOENT/,
  });
});

t.test("quoted records may hold commas, quotes and line ends, at any block's edge", async (t) => {
  const bench = new Bench(t);
  const rows = Array.from({ length: 4000 }, (_, i) => {
    const name = i % 3 === 0 ? `"a ""b"",\n${"c".repeat(i % 150)}"` : `name ${i}`;
    return `${i + 1},${name},46,transport`;
  });
  const csv = `organisationId,name,regionCode,domains\r\n${rows.join("\r\n")}\r\n`;
  const summary = await bench.run(bench.file(csv), { sort: "organisations", batchesInFlight: 64 });
  t.match(summary, { rows: 4000, imported: 4000, rejected: 0 });
  const first = JSON.parse(Buffer.from(bench.sink.batches[3]!.bytes).toString());
  t.equal(first.name, `a "b",\nccc`);
});
