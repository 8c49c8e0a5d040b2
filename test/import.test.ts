// Import: what is wrong with a row is said and skipped, what is wrong with a file stops it, what
// was done stays done, and no card or ID number is ever told.

import { createCipheriv } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import t, { type Test } from "tap";
import { COMMAND, commandSize, OUTCOME, readCardEvent, readTerminal } from "../engine/commands.js";
import { CARD_EVENT, CARD_STATUS, LIST_SUBJECT } from "../engine/domain.js";
import { luhnDigit, PAN_KIND_CARD, PAN_KIND_PREFIX, writePanBlock } from "../protocol/pan.js";
import {
  type CommandBatch,
  type CommandResult,
  COMMANDS_PER_BATCH_MAX,
  type CommandSink,
} from "../src/command-sink.js";
import { idNumberCheck } from "../src/id-number.js";
import { rowsToBatches } from "../src/import/batches.js";
import { CARD_ASSEMBLY, toCardCommand } from "../src/import/card-row.js";
import { toCatalogueDocument, toOrganisationDocument } from "../src/import/document-rows.js";
import { type ImportOptions, importFile } from "../src/import/import.js";
import { toListCommands } from "../src/import/list-row.js";
import { prefixesOfRange } from "../src/import/prefixes.js";
import { readKeyExchangeKey, toTerminalCommand } from "../src/import/terminal-row.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";

const VAULT = new KeyVault(deriveVaultKeys(new Uint8Array(32).fill(9)));
const KEK = Buffer.alloc(32, 5);

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

function pan(index: number): string {
  const digits = `623071${String(index).padStart(12, "0")}`;
  return digits + luhnDigit(digits);
}

function idNumber(index: number): string {
  const digits = `46010519900101${String(index % 1000).padStart(3, "0")}`;
  return digits + idNumberCheck(digits);
}

const HEADER = "cardNumber,idNumber,medium,status,regionCode,expiryDate";
function cardLine(index: number): string {
  return `${pan(index)},${idNumber(index)},chip,active,460105,20301231`;
}

class Bench {
  readonly folder: string;
  readonly sink = new KeepingSink();

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

const GOOD_CARD = {
  cardNumber: pan(1),
  idNumber: idNumber(1),
  medium: "chip",
  status: "active",
  regionCode: 460105,
  expiryDate: "2030-12-31",
};
const GOOD_ENTRY = { subjectKind: "card", subject: pan(1), scope: "all", cause: "stolen" };
const GOOD_TERMINAL = {
  terminalId: 1_050_001,
  organisationId: 46_010_511,
  regionCode: "4601",
  domains: "transport|health",
  macAlgorithm: "aes-128-cmac",
  masterKeyVersion: 1,
  masterKeyWrapped: wrapped(Buffer.alloc(16, 3)),
};
const GOOD_ORGANISATION = {
  organisationId: 1,
  name: "公交",
  regionCode: 46,
  domains: ["transport"],
};
const GOOD_ITEM = {
  itemCode: 3_010_001,
  name: "公交乘车",
  nameEn: "Bus ride",
  function: "bus",
  kind: "identity",
  domain: "transport",
  organisationId: 1,
  regions: "46|4601",
  media: "chip|electronic",
  startDate: "2020-01-01",
  endDate: "",
  amountMinorMax: "1000",
};

function wrapped(key: Uint8Array): string {
  const cipher = createCipheriv("id-aes256-wrap", KEK, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(key), cipher.final()]).toString("hex");
}

t.test("a card row becomes the command that loads it", async (t) => {
  const checked = toCardCommand(GOOD_CARD, VAULT);
  if (!checked.ok) throw new Error(checked.cause);
  const block = new Uint8Array(16);
  writePanBlock(block, 0, GOOD_CARD.cardNumber, PAN_KIND_CARD);
  t.same(Buffer.from(checked.value.token), VAULT.tokenize(block));
  const { event, medium, status, regionCode, expiryDay } = checked.value;
  t.same(
    { event, medium, status, regionCode, expiryDay },
    {
      event: CARD_EVENT.LOAD,
      medium: 1,
      status: CARD_STATUS.ACTIVE,
      regionCode: 460_105,
      expiryDay: Date.UTC(2030, 11, 31) / 86_400_000,
    },
  );
  const codes = {
    0: "SEALED",
    1: "ACTIVE",
    2: "LOST",
    3: "LOCKED",
    4: "LOST_TEMPORARY",
    9: "ISSUED",
  } as const;
  for (const [code, name] of Object.entries(codes)) {
    const mapped = toCardCommand({ ...GOOD_CARD, status: code }, VAULT);
    t.equal(mapped.ok && mapped.value.status, CARD_STATUS[name], `AAZ502 ${code}`);
  }
  const lower = toCardCommand({ ...GOOD_CARD, idNumber: xIdNumber().toLowerCase() }, VAULT);
  const upper = toCardCommand({ ...GOOD_CARD, idNumber: xIdNumber() }, VAULT);
  t.ok(lower.ok && upper.ok);
  if (lower.ok && upper.ok) t.same(lower.value.holderToken, upper.value.holderToken);
});

function xIdNumber(): string {
  for (let i = 0; i < 1000; i++) if (idNumber(i).endsWith("X")) return idNumber(i);
  throw new Error("none of a thousand ends in X");
}

const CHECKS: Readonly<
  Record<string, [object, (row: Record<string, unknown>) => { ok: boolean }]>
> = {
  card: [GOOD_CARD, (row) => toCardCommand(row, VAULT)],
  entry: [GOOD_ENTRY, (row) => toListCommands(row, VAULT)],
  terminal: [GOOD_TERMINAL, (row) => toTerminalCommand(row, { vault: VAULT, kek: KEK })],
  organisation: [GOOD_ORGANISATION, (row) => toOrganisationDocument(row)],
  item: [GOOD_ITEM, (row) => toCatalogueDocument(1, 20_200_101, [row])],
};

// sort | column | value as JSON | part of the cause
const BAD_ROWS = `
card | cardNumber | "" | is missing
card | cardNumber | 6230711 | must be text
card | cardNumber | "6230711" | is not 12 to 19 digits
card | cardNumber | "62307100000000000011" | is not 12 to 19 digits
card | cardNumber | "62307100000000000x1" | no digit
card | cardNumber | "6230710000000000010" | wrong check digit
card | idNumber | "46010519900101001" | is not 18 characters
card | idNumber | "46010519900101001A" | wrong check character
card | idNumber | "4601051990010100a1" | no digit
card | medium | "paper" | neither chip nor electronic
card | status | "fine" | is no card status
card | regionCode | "4601050" | GB/T 2260
card | regionCode | "990101" | GB/T 2260
card | expiryDate | "2030-02-30" | is no date
card | expiryDate | "20301301" | is no date
card | expiryDate | "31.12.2030" | is no date
card | organisationId | "-1" | is no whole number
entry | subjectKind | "person" | is none of
entry | subject | "6230710000000000010" | wrong check digit
entry | scope | "domain:space" | unknown domain
entry | scope | "item:0" | no item code
entry | scope | "some" | is none of
entry | cause | "whim" | is no cause
entry | from | "yesterday" | is no date
entry | until | "2025-01-01 10:00" | is no date
entry | entryId | "9007199254740992" | is no whole number
entry | organisationId | "x" | is no whole number
terminal | masterKey | "000102030405060708090a0b0c0d0e0f" | in clear
terminal | masterKeyWrapped | "00" | not wrapped under
terminal | masterKeyWrapped | "zz" | not wrapped under
terminal | macAlgorithm | "crc-32" | no known MAC
terminal | checkValue | "000000" | not that of the key
terminal | terminalId | 100000000 | is not 1 to
terminal | domains | "transport|space" | no known domains
terminal | domains | "" | no known domains
terminal | concentratorId | "y" | is not 1 to
terminal | status | "asleep" | neither open nor closed
terminal | organisationId | 0 | is no identifier
terminal | regionCode | "" | GB/T 2260
terminal | masterKeyVersion | 0 | is not 1 or more
organisation | organisationId | 4294967296 | is no identifier
organisation | name | "" | 1 to 200
organisation | regionCode | "abc" | GB/T 2260
organisation | parentId | 1 | is no identifier
organisation | domains | ["transport","transport"] | no known domains
organisation | status | "shut" | neither open nor closed
item | itemCode | 0 | is not 1 to
item | name | "" | 1 to 200
item | function | "" | 1 to 200
item | kind | "gift" | is none of
item | domain | "space" | no known domain
item | organisationId | "" | is no identifier
item | regions | "46|x" | GB/T 2260
item | media | "paper" | are not chip
item | startDate | "" | is no date
item | endDate | "2019-01-01" | is before startDate
item | amountMinorMax | "10.5" | is not 0 to
item | amountMinorMax | "-1" | is not 0 to
`;

t.test("each fault of a row has its column and cause", async (t) => {
  for (const [name, [row, check]] of Object.entries(CHECKS)) {
    t.same(check({ ...row }).ok, true, `the good ${name} is good`);
  }
  for (const line of BAD_ROWS.trim().split("\n")) {
    const [sort, column, value, cause] = line.split(" | ") as [string, string, string, string];
    const [row, check] = CHECKS[sort]!;
    const result = check({ ...row, [column]: JSON.parse(value) }) as Record<string, unknown>;
    t.match(result, { ok: false, column, cause: new RegExp(cause) }, line);
  }
  const month13 = "46010519901301001";
  const dateless = { ...GOOD_CARD, idNumber: month13 + idNumberCheck(month13) };
  t.match(toCardCommand(dateless, VAULT), { ok: false, cause: /no valid date of birth/ });
  const longer = { ...GOOD_TERMINAL, macAlgorithm: "hmac-sm3" };
  t.match(toTerminalCommand(longer, { vault: VAULT, kek: KEK }), { cause: /not of the size/ });
  const withoutKek = toTerminalCommand(GOOD_TERMINAL, { vault: VAULT, kek: null });
  t.match(withoutKek, { ok: false, cause: /needs the key-exchange key/ });
  t.match(toCatalogueDocument(0, 20_200_101, []), { ok: false, column: "version" });
  t.match(toCatalogueDocument(1, 20_191_231, []), { ok: false, column: "effectiveDate" });
});

t.test("a terminal's master key is wrapped anew and its check value told", async (t) => {
  const checked = toTerminalCommand(GOOD_TERMINAL, { vault: VAULT, kek: KEK });
  if (!checked.ok) throw new Error(checked.cause);
  t.same(VAULT.unwrapKey(checked.value.wrappedKey!), Buffer.alloc(16, 3));
  t.equal(checked.value.checkValue?.length, 3);
  const bench = new Bench(t);
  const columns = Object.keys(GOOD_TERMINAL).join(",");
  const file = bench.file(`${columns}\n${Object.values(GOOD_TERMINAL).join(",")}\n`);
  await bench.run(file, { sort: "terminals" });
  t.match(readTerminal(bench.sink.batches[0]!.bytes, 0), { terminalId: 1_050_001, domains: 12 });
  const kekFile = bench.file(`${KEK.toString("hex")}\n`, "kek.hex");
  chmodSync(kekFile, 0o644);
  t.throws(() => readKeyExchangeKey(kekFile), { message: /can be read by others/ });
  chmodSync(kekFile, 0o600);
  t.same(readKeyExchangeKey(kekFile), KEK);
});

t.test("a range is the fewest prefixes, and one entry of many parts", async (t) => {
  const bounds = fc.tuple(fc.nat(9999), fc.nat(9999));
  fc.assert(
    fc.property(bounds, ([a, b]) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)].map((n) => String(n).padStart(4, "0"));
      const prefixes = prefixesOfRange(from!, to!);
      for (let n = 0; n <= 9999; n += 7) {
        const text = String(n).padStart(4, "0");
        const covered = prefixes.filter((prefix) => text.startsWith(prefix)).length;
        const inside = text >= from! && text <= to!;
        if (covered !== (inside ? 1 : 0)) return false;
      }
      return prefixes.every((prefix) => prefix.length >= 1);
    }),
    { numRuns: 60 },
  );
  t.same(prefixesOfRange("1000", "2999"), ["1", "2"]);
  t.same(prefixesOfRange("1299", "1302"), ["1299", "1300", "1301", "1302"]);
  t.equal(prefixesOfRange("00", "99").length, 10);
  t.same(prefixesOfRange("123", "123"), ["123"]);
  const longest = prefixesOfRange(`1${"0".repeat(17)}1`, `8${"9".repeat(17)}8`);
  t.equal(longest.length, 2 * 9 * 18 + 6);
  const range = {
    ...GOOD_ENTRY,
    subjectKind: "range",
    subject: "6230710-6230729",
    from: "20250101",
  };
  const checked = toListCommands(range, VAULT);
  if (!checked.ok) throw new Error(checked.cause);
  t.same(
    checked.value.map((entry) => entry.prefixDigits),
    [6, 6],
  );
  t.equal(new Set(checked.value.map((entry) => entry.entryId)).size, 1);
  const block = new Uint8Array(16);
  writePanBlock(block, 0, "623071", PAN_KIND_PREFIX);
  t.same(Buffer.from(checked.value[0]!.subjectToken!), VAULT.tokenize(block));
  for (const subject of ["623071", "1-22", "2-1", "a-b", "1-2-3", "-"]) {
    t.match(
      toListCommands({ ...range, subject }, VAULT),
      { ok: false, column: "subject" },
      subject,
    );
  }
});

t.test("an entry without number gets one from its content, under the key", async (t) => {
  const one = (row: object, vault = VAULT) => {
    const checked = toListCommands({ ...row }, vault);
    if (!checked.ok) throw new Error(checked.cause);
    return checked.value[0]!;
  };
  const id = one(GOOD_ENTRY).entryId;
  t.ok(Number.isSafeInteger(id) && id > 0 && id < 2 ** 52);
  t.equal(one(GOOD_ENTRY).entryId, id, "the same content, the same number");
  t.not(one({ ...GOOD_ENTRY, cause: "fraud" }).entryId, id);
  const other = new KeyVault(deriveVaultKeys(new Uint8Array(32).fill(1)));
  t.not(one(GOOD_ENTRY, other).entryId, id, "it tells nothing without the key");
  t.equal(one({ ...GOOD_ENTRY, entryId: 77 }).entryId, 77);
  const terminal = one({ ...GOOD_ENTRY, subjectKind: "terminal", subject: 1_050_001 });
  t.match(terminal, {
    subjectToken: null,
    subjectId: 1_050_001,
    subjectKind: LIST_SUBJECT.TERMINAL,
  });
  const dated = one({ ...GOOD_ENTRY, from: "2025-01-01", until: "20250101" });
  t.equal(dated.fromTime, Date.UTC(2024, 11, 31, 16) / 1000, "from midnight in China");
  t.equal(dated.untilTime - dated.fromTime, 86_400, "until the end of the day");
  t.equal(one({ ...GOOD_ENTRY, from: "2025-01-01T00:00:00+08:00" }).fromTime, dated.fromTime);
});

t.test("bad rows are reported with their line, the rest goes in", async (t) => {
  const bench = new Bench(t);
  const lines = [
    HEADER,
    cardLine(0),
    "",
    "only,three,columns",
    `"${pan(1)}","${idNumber(1)}",chip,` + '"active",460105,20301231',
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

t.test("an import that fails in the middle goes on where it stopped", async (t) => {
  const bench = new Bench(t);
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
});

t.test("a signal stops it cleanly; restart begins anew", async (t) => {
  const bench = new Bench(t);
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

t.test("rows that come as a whole become batches too", async (t) => {
  const rows = Array.from({ length: 5000 }, (_, i) => ({ ...GOOD_CARD, cardNumber: pan(i) }));
  rows[7]!.medium = "paper";
  const { batches, rejected } = rowsToBatches(CARD_ASSEMBLY, rows, { vault: VAULT, kek: null });
  t.same(
    batches.map(({ batch }) => batch.count),
    [4096, 903],
  );
  t.match(rejected, [{ line: 8, column: "medium" }]);
  const single = toCardCommand(rows[4999]!, VAULT);
  const { bytes } = batches[1]!.batch;
  t.same(single.ok && single.value, { ...readCardEvent(bytes, 902 * 64), previousToken: null });
});

t.test("no card or ID number is told, however rows are garbled", async (t) => {
  const bench = new Bench(t);
  const insert = fc.constantFrom('"', ",", "\n", "x", "", "\0", "{", "é", "9");
  const garble = fc.array(fc.tuple(fc.nat(400), insert), { maxLength: 6 });
  const told: string[] = [];
  let runs = 0;
  const property = fc.asyncProperty(garble, fc.boolean(), async (changes, json) => {
    const record = { ...GOOD_CARD, cardNumber: pan(runs), idNumber: idNumber(runs) };
    let text = json
      ? `${JSON.stringify(record)}\n`.repeat(3)
      : `${HEADER}\n${cardLine(runs)}\n${cardLine(runs)}\n`;
    for (const [at, what] of changes) text = text.slice(0, at) + what + text.slice(at + 1);
    const file = bench.file(text, `f${runs++}`);
    const summary = await bench.run(file, { restart: true }).catch((error: Error) => error);
    if (summary instanceof Error) told.push(`${summary.message} ${summary.stack}`);
    else if (summary.reportPath !== null) told.push(readFileSync(summary.reportPath, "utf8"));
  });
  await fc.assert(property, { numRuns: 300 });
  t.ok(told.length > 50, `${told.length} of ${runs} files had something to tell`);
  const digits = told.filter((text) => /\d{11}/.test(text.replaceAll(bench.folder, "")));
  t.same(digits, [], "nothing told has eleven digits in a row");
  const states = bench.state().map((name) => readFileSync(path.join(bench.folder, name), "utf8"));
  t.notOk(states.some((text) => /\d{11}/.test(text)));
});
