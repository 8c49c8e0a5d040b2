// Rows of import files: each fault has its column and cause, and good rows become the commands
// that stand for them.

import fc from "fast-check";
import t from "tap";
import {
  CARD_EVENT_SIZE,
  readCardEvent,
  writeCardAndHolder,
  writeCardEvent,
} from "../engine/commands.js";
import { CARD_EVENT, CARD_STATUS, LIST_SUBJECT } from "../engine/domain.js";
import { PAN_KIND_CARD, PAN_KIND_PREFIX, writePanBlock } from "../protocol/pan.js";
import { idNumberCheck } from "../src/id-number.js";
import { rowsToBatches } from "../src/import/batches.js";
import { CARD_ASSEMBLY, toCardCommand } from "../src/import/card-row.js";
import { toCatalogueDocument, toOrganisationDocument } from "../src/import/document-rows.js";
import { toListCommands } from "../src/import/list-row.js";
import { prefixesOfRange } from "../src/import/prefixes.js";
import { toTerminalCommand } from "../src/import/terminal-row.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";
import {
  GOOD_CARD,
  GOOD_ENTRY,
  GOOD_ITEM,
  GOOD_ORGANISATION,
  GOOD_TERMINAL,
  idNumber,
  KEK,
  pan,
  VAULT,
} from "./import-samples.js";

t.test("a card row becomes the command that loads it", async (t) => {
  const checked = toCardCommand(GOOD_CARD, VAULT);
  if (!checked.ok) throw new Error(checked.cause);
  const block = new Uint8Array(16);
  writePanBlock(block, 0, GOOD_CARD.cardNumber, PAN_KIND_CARD);
  t.same(checked.value.token, VAULT.tokenize(block));
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
  t.same(Buffer.from(checked.value[0]!.subjectToken!), Buffer.from(VAULT.tokenize(block)));
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

t.test("a command of a card and its holder is the same bytes as any card event", async (t) => {
  const u = (bits: number) => fc.nat(2 ** bits - 1);
  const fields = fc.record({
    regionCode: u(32),
    event: u(8),
    medium: u(8),
    status: u(8),
    expiryDay: u(16),
    organisationId: u(32),
  });
  const tokens = fc.uint8Array({ minLength: 35, maxLength: 35 });
  const property = fc.property(fields, tokens, fc.nat(3), (fields, tokens, at) => {
    const token = tokens.subarray(at, at + 16);
    const holderToken = tokens.subarray(at + 16, at + 32);
    const usual = new Uint8Array(CARD_EVENT_SIZE + 2).fill(0xee);
    const size = writeCardEvent(usual, 1, { token, holderToken, previousToken: null, ...fields });
    const fast = new Uint8Array(CARD_EVENT_SIZE + 2).fill(0xee);
    if (writeCardAndHolder(fast, 1, tokens, at, fields) !== size) return false;
    const read = readCardEvent(fast, 1);
    const kept = Object.entries(fields).every(([key, value]) => {
      return read[key as keyof typeof fields] === value;
    });
    return kept && fast[0] === 0xee && Buffer.compare(fast, usual) === 0;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test("a number block holds its digits, and nothing of what stood there before", async (t) => {
  const digit = fc.constantFrom(..."0123456789Xx");
  const digits = fc.array(digit, { maxLength: 19 }).map((each) => each.join(""));
  const property = fc.property(digits, fc.nat(2), (digits, kind) => {
    const bytes = new Uint8Array(18).fill(0xee);
    writePanBlock(bytes, 1, digits, kind);
    const halves = digits.toUpperCase().replaceAll("X", "a").padEnd(20, "f");
    const length = digits.length.toString(16).padStart(2, "0");
    const block = `ee${length}${halves}000000000${kind}ee`;
    return Buffer.from(bytes).toString("hex") === block;
  });
  t.doesNotThrow(() => fc.assert(property));
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
