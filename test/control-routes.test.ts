// The routes of the control plane: what each asks of the engine, and how it tells the answer.

import { createCipheriv, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import t from "tap";
import {
  type CatalogueVersion,
  COMMAND,
  commandSize,
  type Organisation,
  OUTCOME,
  readCardEvent,
  readListEntry,
  readTerminal,
} from "../engine/commands.js";
import { CARD_EVENT, LIST_SUBJECT } from "../engine/domain.js";
import { checkValue } from "../protocol/kdf.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import { PAN_KIND_CARD, PAN_KIND_ID_NUMBER } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import type { ControlClient } from "../src/control/client.js";
import type { DecisionView, ListEntryView, TerminalView } from "../src/control/messages.js";

import {
  engine,
  executed,
  ID_NUMBER,
  KEY_EXCHANGE_KEY,
  logFile,
  PAN,
  type Running,
  refusalOf,
  resetEngine,
  startShared,
  stopShared,
  tokenOf,
  vault,
  withCheckDigit,
} from "./control-harness.js";

let client: ControlClient;
let running: Running;

t.before(async () => {
  running = await startShared();
  ({ client } = running);
});

t.beforeEach(resetEngine);

t.teardown(() => stopShared(running));

const DECISION: DecisionView = {
  rrn: 4_300_000_123,
  blockPosition: 4_300_000_001,
  blockHash: "ab".repeat(32),
  timeMs: Date.UTC(2026, 4, 6, 7, 8, 9, 10),
  mti: 0x0100,
  senderId: 77,
  keyGeneration: 3,
  sequence: 99,
  asked: {
    cardToken: tokenOf(PAN, PAN_KIND_CARD),
    terminalId: 1050001,
    stan: 17,
    businessDate: 20260506,
    itemCode: 8010003,
    amountMinor: 200,
    localTime: Date.UTC(2026, 4, 6, 7, 8, 8) / 1000,
    medium: 1,
    originalStan: 0,
    originalBusinessDate: 0,
  },
  answered: { responseCode: "43", reason: REASON.CARD_STOLEN, authorizationId: 0, flags: 0 },
  rule: { catalogueVersion: 5, blacklistPosition: 4_200_000_000, listEntryId: 31 },
};

t.test("a decision is told with all it rested on, by either key", async (t) => {
  engine.answers.decision = DECISION;
  const key = { terminalId: 1050001, businessDate: 20260506, stan: 17 };
  const decision = await client.decision(key);
  t.same(engine.asked, [{ op: "decision", ...key }]);
  const { timeMs: _, ...rest } = DECISION;
  t.same(decision, {
    ...rest,
    time: "2026-05-06T07:08:09.010Z",
    mti: "0100",
    asked: {
      card: `${Buffer.from(DECISION.asked.cardToken.subarray(0, 8)).toString("hex")}...`,
      terminalId: 1050001,
      stan: 17,
      businessDate: 20260506,
      itemCode: 8010003,
      amountMinor: 200,
      localTime: "2026-05-06T07:08:08.000Z",
      medium: "chip",
      originalStan: null,
      originalBusinessDate: null,
    },
    answered: { responseCode: "43", reason: "CARD_STOLEN", authorizationId: 0, flags: 0 },
    rule: { text: "the card is on the blacklist as stolen", ...DECISION.rule },
  });
  await client.decision({ rrn: 4_300_000_123 });
  t.same(engine.asked[1], { op: "decision", rrn: 4_300_000_123 });
  engine.answers.decision = null;
  t.match(await refusalOf(client.decision({ rrn: 1 })), { status: 404, code: "NOT_FOUND" });
});

t.test("a card is looked up by its token and told in words", async (t) => {
  const view = {
    status: 4,
    medium: 2,
    regionCode: 460105,
    expiryDay: 20_000,
    listed: true,
    useCount: 3,
    amountMinorTotal: 650,
    lastUseTime: 1_780_000_000,
    lastUseTerminalId: 12,
  };
  engine.answers.card = view;
  t.same(await client.card(PAN), {
    status: "lost",
    medium: "electronic",
    regionCode: 460105,
    expiryDate: 20241004,
    listed: true,
    useCount: 3,
    amountMinorTotal: 650,
    lastUse: { time: "2026-05-28T20:26:40.000Z", terminalId: 12 },
  });
  const token = (engine.asked[0] as { token: Uint8Array }).token;
  t.same([...token], [...tokenOf(PAN, PAN_KIND_CARD)]);
  engine.answers.card = { ...view, lastUseTime: 0 };
  t.equal((await client.card(PAN)).lastUse, null);
  engine.answers.card = null;
  t.match(await refusalOf(client.card(PAN)), { status: 404, message: "no such card" });
});

t.test("card events reach the engine as the commands they mean", async (t) => {
  const previous = withCheckDigit("62284800000000001");
  const done = await client.cardEvent({
    cardNumber: PAN,
    event: "replace",
    idNumber: ID_NUMBER,
    previousCardNumber: previous,
    regionCode: 460105,
    medium: "chip",
    expiryDate: 20360101,
  });
  t.same(done, { outcome: "DONE", position: 70 });
  const { kind, count, bytes } = executed();
  t.same([kind, count], [COMMAND.CARD_EVENT, 1]);
  t.match(readCardEvent(bytes, 0), {
    event: CARD_EVENT.REPLACE,
    medium: 1,
    regionCode: 460105,
    expiryDay: Date.UTC(2036, 0, 1) / 86_400_000,
  });
  const event = readCardEvent(bytes, 0);
  t.same([...event.token], [...tokenOf(PAN, PAN_KIND_CARD)]);
  t.same([...event.holderToken!], [...tokenOf(ID_NUMBER, PAN_KIND_ID_NUMBER)]);
  t.same([...event.previousToken!], [...tokenOf(previous, PAN_KIND_CARD)]);
  engine.outcomes = [OUTCOME.TRANSITION_NOT_ALLOWED];
  const refusal = await refusalOf(client.cardEvent({ cardNumber: PAN, event: "activate" }));
  t.match(refusal, {
    status: 409,
    code: "TRANSITION_NOT_ALLOWED",
    message: /status does not allow/,
  });
  engine.outcomes = [OUTCOME.UNCHANGED];
  const again = await client.cardEvent({ cardNumber: PAN, event: "cancel" });
  t.same(again, { outcome: "UNCHANGED", position: 0 });
});

t.test("blacklist entries are added, found, shown masked and removed", async (t) => {
  const added = await client.addToBlacklist({ subjectKind: "card", subject: PAN, cause: "stolen" });
  const entry = readListEntry(executed().bytes, 0);
  t.equal(added.entryId, entry.entryId);
  t.same([...entry.subjectToken!], [...tokenOf(PAN, PAN_KIND_CARD)]);
  engine.asked.length = 0;
  await client.addToBlacklist({
    subjectKind: "range",
    subject: "6228480000000000-6228480000000019",
    scope: "domain:transport",
    cause: "technical",
  });
  const range = executed();
  t.same([range.kind, range.count], [COMMAND.LIST_ENTRY, 2]);
  t.equal(readListEntry(range.bytes, 0).entryId, readListEntry(range.bytes, 64).entryId);
  const view: ListEntryView = {
    ...entry,
    scopeKind: 2,
    scopeValue: 8010003,
    untilTime: 1_780_000_000,
    position: 70,
  };
  engine.answers.blacklist = [view];
  const found = await client.searchBlacklist("card", PAN);
  t.match(found, [
    {
      entryId: entry.entryId,
      subjectKind: "card",
      subject: /^[0-9a-f]{16}\.\.\.$/,
      scope: "item:8010003",
      cause: "stolen",
      until: "2026-05-28T20:26:40.000Z",
      position: 70,
    },
  ]);
  t.match(engine.asked.at(-1), { op: "blacklist", subjectKind: LIST_SUBJECT.CARD, after: 0 });
  await client.blacklist({ terminalId: 5, after: 7, count: 9 });
  t.same(engine.asked.at(-1), {
    op: "blacklist",
    subjectKind: LIST_SUBJECT.TERMINAL,
    subjectId: 5,
    after: 7,
    count: 9,
  });
  await client.listEntry(31);
  t.match(engine.asked.at(-1), { op: "blacklist", entryId: 31 });
  engine.asked.length = 0;
  await client.removeFromBlacklist(31);
  t.match(readListEntry(executed().bytes, 0), { action: 2, entryId: 31, subjectKind: 0 });
  engine.outcomes = [OUTCOME.ENTRY_UNKNOWN];
  t.match(await refusalOf(client.removeFromBlacklist(32)), { status: 404, code: "ENTRY_UNKNOWN" });
});

const TERMINAL: TerminalView = {
  terminalId: 1050001,
  organisationId: 46,
  regionCode: 460105,
  domains: (1 << 3) | (1 << 4),
  concentratorId: 0,
  status: 1,
  macAlgorithm: MAC_ALGORITHM.SM4_CMAC,
  masterKeyVersion: 4,
  checkValue: "a1b2c3",
  signedOn: true,
  keyGeneration: 6,
  expiresAt: 1_780_000_000,
};
const PROFILE = {
  terminalId: 1050001,
  organisationId: 46,
  regionCode: 460105,
  domains: ["transport" as const],
};

t.test(
  "a new master key is shown once, with its check value, and wrapped for the engine",
  async (t) => {
    engine.answers.terminal = null;
    const made = await client.setTerminal({ ...PROFILE, macAlgorithm: "hmac-sha-256" });
    t.match(made.masterKey, /^[0-9a-f]{64}$/);
    const key = Buffer.from(made.masterKey!, "hex");
    t.equal(made.masterKeyVersion, 1);
    t.equal(
      made.checkValue,
      Buffer.from(checkValue(MAC_ALGORITHM.HMAC_SHA_256, key)).toString("hex"),
    );
    const command = readTerminal(executed().bytes, 0);
    t.same([...vault.unwrapKey(command.wrappedKey!)], [...key]);
    t.match(command, { terminalId: 1050001, domains: 8, status: 1, masterKeyVersion: 1 });
    engine.answers.terminal = { ...TERMINAL, checkValue: made.checkValue };
    engine.answers.terminals = [engine.answers.terminal];
    const shown = JSON.stringify([await client.terminal(1050001), await client.terminals()]);
    t.notOk(shown.includes(made.masterKey!), "not shown again");
    t.notOk(readFileSync(logFile, "utf8").includes(made.masterKey!), "not in the log");
  },
);

t.test("a known terminal keeps its key unless told otherwise", async (t) => {
  engine.answers.terminal = TERMINAL;
  const kept = await client.setTerminal({ ...PROFILE, status: "closed" });
  t.same(kept, {
    outcome: "DONE",
    position: 70,
    terminalId: 1050001,
    masterKeyVersion: 4,
    checkValue: "a1b2c3",
  });
  t.match(readTerminal(executed().bytes, 0), {
    status: 2,
    macAlgorithm: MAC_ALGORITHM.SM4_CMAC,
    masterKeyVersion: 0,
    wrappedKey: null,
  });
  const other = client.setTerminal({ ...PROFILE, macAlgorithm: "hmac-sm3" });
  t.match(await refusalOf(other), { status: 400, message: /needs another master key/ });
  const rekeyed = await client.setTerminal({ ...PROFILE, masterKey: "new" });
  t.equal(rekeyed.masterKeyVersion, 5);
  t.same(await client.terminal(1050001), {
    ...PROFILE,
    domains: ["transport", "culture-tourism"],
    concentratorId: 0,
    status: "open",
    macAlgorithm: "sm4-cmac",
    masterKeyVersion: 4,
    checkValue: "a1b2c3",
    session: { keyGeneration: 6, expires: "2026-05-28T20:26:40.000Z" },
  });
});

t.test("a key wrapped under the key-exchange key is taken, another refused", async (t) => {
  const key = randomBytes(16);
  const wrapped = (under: Buffer) => {
    const cipher = createCipheriv("id-aes256-wrap", under, Buffer.alloc(8, 0xa6));
    return Buffer.concat([cipher.update(key), cipher.final()]).toString("hex");
  };
  const value = Buffer.from(checkValue(MAC_ALGORITHM.AES_128_CMAC, key)).toString("hex");
  engine.answers.terminal = null;
  const carried = { ...PROFILE, masterKeyWrapped: wrapped(KEY_EXCHANGE_KEY), checkValue: value };
  const taken = await client.setTerminal(carried);
  t.equal(taken.checkValue, value);
  t.equal(taken.masterKey, undefined, "a key that was brought is not shown");
  t.same([...vault.unwrapKey(readTerminal(executed().bytes, 0).wrappedKey!)], [...key]);
  const strange = { ...carried, masterKeyWrapped: wrapped(randomBytes(32)) };
  t.match(await refusalOf(client.setTerminal(strange)), {
    status: 400,
    message: /not wrapped under/,
  });
  const differs = { ...carried, checkValue: "000000" };
  t.match(await refusalOf(client.setTerminal(differs)), {
    status: 400,
    message: /checkValue is not/,
  });
  const half = { ...PROFILE, masterKeyWrapped: carried.masterKeyWrapped };
  t.match(await refusalOf(client.setTerminal(half)), { status: 400, message: /go together/ });
});

const ORGANISATION: Organisation = {
  organisationId: 46,
  name: "海口公交",
  regionCode: 460100,
  parentId: 0,
  domains: ["transport"],
  status: "open",
};
const CATALOGUE: CatalogueVersion = {
  version: 2,
  effectiveDate: 20260101,
  items: [
    {
      itemCode: 8010003,
      name: "公交",
      nameEn: "bus",
      function: "bus fare",
      kind: "identity",
      domain: "transport",
      organisationId: 46,
      regions: [46],
      media: ["chip", "electronic"],
      startDate: 20260101,
      endDate: 0,
      amountMinorMax: 10_000,
    },
  ],
};

t.test(
  "organisations and catalogue versions go in as documents and come out as they are",
  async (t) => {
    engine.answers.organisation = ORGANISATION;
    engine.answers.organisations = [ORGANISATION];
    await client.setOrganisation(await client.organisation(46));
    t.same(JSON.parse(Buffer.from(executed().bytes).toString()), ORGANISATION);
    t.same(await client.organisations({ after: 3 }), [ORGANISATION]);
    t.same(engine.asked.at(-1), { op: "organisations", after: 3, count: 100 });
    engine.asked.length = 0;
    await client.publishCatalogue(CATALOGUE);
    t.equal(executed().kind, COMMAND.CATALOGUE);
    t.same(JSON.parse(Buffer.from(executed().bytes).toString()), CATALOGUE);
    const summary = { version: 2, effectiveDate: 20260101, itemCount: 1, position: 9 };
    engine.answers.catalogue = { inForce: 2, document: CATALOGUE, versions: [summary] };
    t.same(await client.catalogue(), engine.answers.catalogue);
    engine.answers.catalogue = { inForce: 2, document: null, versions: [summary] };
    t.match(await refusalOf(client.catalogue(3)), { status: 404 });
    engine.outcomes = [OUTCOME.CATALOGUE_VERSION_EXISTS];
    t.match(await refusalOf(client.publishCatalogue(CATALOGUE)), { status: 409 });
  },
);

t.test(
  "import takes the good rows, reports the bad ones by line and tells no number",
  async (t) => {
    const row = { idNumber: ID_NUMBER, medium: "chip", status: "active", regionCode: 460105 };
    const card = (cardNumber: string) =>
      JSON.stringify({ cardNumber, ...row, expiryDate: "2036-01-01" });
    const good = Array.from({ length: 5000 }, (_, i) =>
      card(withCheckDigit(`622848${10_000_000 + i}`)),
    );
    const lines = [...good.slice(0, 3), card(`${PAN.slice(0, -1)}x`), "", "[1]", ...good.slice(3)];
    engine.outcomes = [OUTCOME.DONE, OUTCOME.UNCHANGED, OUTCOME.HOLDER_DIFFERS];
    const report = await client.import("cards", Readable.from([Buffer.from(lines.join("\n"))]));
    const { rejections, ...totals } = report;
    const batches = engine.asked.filter((request) => request.op === "execute");
    t.same(
      batches.map((each) => (each as { count: number }).count),
      [4096, 904],
    );
    t.same(
      batches.map((each) => (each as { bytes: Uint8Array }).bytes.length),
      [4096 * commandSize(COMMAND.CARD_EVENT), 904 * commandSize(COMMAND.CARD_EVENT)],
    );
    t.same(totals, { rows: 5002, imported: 4996, unchanged: 2, rejected: 4 });
    t.match(rejections.slice(0, 2), [
      { line: 4, column: "cardNumber" },
      { line: 6, cause: "is no JSON object" },
    ]);
    t.match(rejections.slice(2), [
      { line: 3, cause: "HOLDER_DIFFERS" },
      { cause: "HOLDER_DIFFERS" },
    ]);
    t.notOk(JSON.stringify(report).includes(PAN.slice(0, 10)));
  },
);

t.test("import takes all sorts", async (t) => {
  const text = (rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
  t.match(await client.import("organisations", text([ORGANISATION])), { imported: 1 });
  const { items, ...head } = CATALOGUE;
  t.match(await client.import("catalogue", text([head, ...items])), { imported: 1, rejected: 0 });
  t.same(
    JSON.parse(Buffer.from((engine.asked[1] as { bytes: Uint8Array }).bytes).toString()),
    CATALOGUE,
  );
  const listed = { subjectKind: "terminal", subject: "5", scope: "all", cause: "technical" };
  t.match(await client.import("blacklist", text([listed, { ...listed, cause: "x" }])), {
    imported: 1,
    rejections: [{ line: 2, column: "cause" }],
  });
  t.match(await client.import("terminals", text([{ ...PROFILE, domains: "transport" }])), {
    imported: 1,
  });
});

t.test("the client is a sink for commands made elsewhere", async (t) => {
  const bytes = new Uint8Array(3 * 64).map((_, index) => index);
  engine.outcomes = [OUTCOME.DONE, OUTCOME.CARD_EXISTS];
  const result = await client.execute({ kind: COMMAND.CARD_EVENT, count: 3, bytes });
  t.same(executed(), { op: "execute", kind: COMMAND.CARD_EVENT, count: 3, bytes });
  t.same([...result.outcomes], [OUTCOME.DONE, OUTCOME.CARD_EXISTS, OUTCOME.DONE]);
  t.same([...result.positions], [70, 0, 72]);
  const short = { kind: COMMAND.TERMINAL, count: 1, bytes: bytes.subarray(0, 95) };
  t.match(await refusalOf(client.execute(short)), { status: 400, message: /1 to 4096 whole/ });
  const session = { kind: COMMAND.SESSION, count: 1, bytes: bytes.subarray(0, 64) };
  t.match(await refusalOf(client.execute(session)), { status: 400, message: /path: kind must be/ });
  const empty = { kind: COMMAND.ORGANISATION, count: 1, bytes: new Uint8Array(0) };
  t.match(await refusalOf(client.execute(empty)), { status: 400, message: /1 to 2,000,000/ });
});

t.test("status and checkpoint", async (t) => {
  engine.answers.checkpoint = { checkpointPosition: 17 };
  t.same(await client.checkpoint(), { checkpointPosition: 17 });
});
