// The control plane as it runs: a real worker, a real port, real HTTP. Only the main thread's
// handler is the test's own, so that it sees exactly what would reach the engine.

import { createCipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
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
import { luhnDigit, PAN_KIND_CARD, PAN_KIND_ID_NUMBER, writePanBlock } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import { ControlClient, ControlError } from "../src/control/client.js";
import { type Control, type ControlOptions, startControl } from "../src/control/control.js";
import type {
  ControlHandler,
  ControlRequest,
  ControlResult,
  DecisionView,
  ListEntryView,
  TerminalView,
} from "../src/control/messages.js";
import { idNumberCheck } from "../src/id-number.js";
import {
  Metrics,
  monotonicMs,
  READY_ALL,
  READY_DRAINING,
  READY_JOURNAL,
  READY_REPLAYED,
} from "../src/metrics.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";

const folder = mkdtempSync(join(tmpdir(), "tongka-control-"));
const logFile = join(folder, "control.log");
const ADMIN_TOKEN = randomBytes(32).toString("base64url");
const AUTHORIZED = { authorization: `Bearer ${ADMIN_TOKEN}` };
const JSON_TYPE = { "content-type": "application/json" };
const PAN = withCheckDigit("622848001234567890");
const ID_NUMBER = `46010519900307123${idNumberCheck("46010519900307123")}`;
const KEY_EXCHANGE_KEY = randomBytes(32);
const vaultKeys = deriveVaultKeys(randomBytes(32));
const vault = new KeyVault(vaultKeys);
const metrics = new Metrics();

/** What reached the main thread, and what the test wants answered. */
const asked: ControlRequest[] = [];
let answers: Partial<Record<ControlRequest["op"], ControlResult>> = {};
let outcomes: number[] = [];

const handle: ControlHandler = async (request) => {
  asked.push(request);
  if (request.op === "execute") {
    const outcome = (index: number) => outcomes[index] ?? OUTCOME.DONE;
    return {
      ok: true,
      result: {
        outcomes: Uint8Array.from({ length: request.count }, (_, index) => outcome(index)),
        positions: Float64Array.from({ length: request.count }, (_, i) =>
          outcome(i) ? 0 : 70 + i,
        ),
      },
    };
  }
  const result = answers[request.op];
  return result === undefined
    ? { ok: false, cause: "the engine does not answer this here" }
    : { ok: true, result };
};

let control: Control;
let client: ControlClient;
let url: string;

t.before(async () => {
  writeFileSync(join(folder, "kek"), KEY_EXCHANGE_KEY.toString("hex"), { mode: 0o600 });
  control = await startControl(options());
  url = `http://127.0.0.1:${control.port}`;
  client = new ControlClient({ url: `${url}/`, adminToken: ADMIN_TOKEN });
});

t.beforeEach(() => {
  asked.length = 0;
  answers = {};
  outcomes = [];
});

t.teardown(async () => {
  await control.stop();
  rmSync(folder, { recursive: true, force: true });
});

function options(change: Partial<ControlOptions> = {}): ControlOptions {
  return {
    config: {
      control: {
        host: "127.0.0.1",
        port: 0,
        importSizeMax: 1_048_576,
        keyExchangeKeyFile: join(folder, "kek"),
      },
      log: { level: "debug" },
    },
    metrics,
    vaultKeys,
    adminToken: ADMIN_TOKEN,
    build: { version: "9.8.7", commit: "c0ffee" },
    handle,
    logTarget: logFile,
    ...change,
  };
}

function withCheckDigit(digits: string): string {
  return digits + luhnDigit(digits);
}

function tokenOf(number: string, kind: number): Uint8Array {
  const block = new Uint8Array(16);
  writePanBlock(block, 0, number, kind);
  return new Uint8Array(vault.tokenize(block));
}

/** The one execute request that reached the main thread. */
function executed(): { kind: number; count: number; bytes: Uint8Array } {
  const requests = asked.filter((request) => request.op === "execute");
  if (requests.length !== 1) throw new Error(`${requests.length} batches were executed`);
  return requests[0] as { kind: number; count: number; bytes: Uint8Array };
}

async function refusalOf(promise: Promise<unknown>): Promise<ControlError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

async function post(path: string, body: string, headers: Record<string, string> = JSON_TYPE) {
  const init = { method: "POST", body, headers: { ...AUTHORIZED, ...headers } };
  const response = await fetch(url + path, init);
  return { status: response.status, text: await response.text() };
}

t.test("every route of the document but health wants the token", async (t) => {
  const response = await fetch(`${url}/v1/openapi.json`);
  const document = (await response.json()) as { info: { version: string }; paths: object };
  t.equal(document.info.version, "9.8.7");
  const open = ["/metrics", "/livez", "/readyz"];
  const paths = Object.entries(document.paths as Record<string, object>);
  t.ok(paths.length >= 15, `${paths.length} paths`);
  for (const [path, methods] of paths) {
    for (const method of Object.keys(methods)) {
      const target = url + path.replace(/\{[a-zA-Z]+\}/g, "1");
      const response = await fetch(target, { method: method.toUpperCase() });
      if (open.includes(path)) t.not(response.status, 401, path);
      else t.equal(response.status, 401, `${method} ${path}`);
    }
  }
  t.same(asked, [], "nothing reached the engine");
});

t.test("a wrong token is refused in the same words, whatever it is", async (t) => {
  const wrong = ["", "Bearer", "Bearer x", `Basic ${ADMIN_TOKEN}`, `Bearer ${ADMIN_TOKEN}x`];
  for (const authorization of [...wrong, `bearer  ${ADMIN_TOKEN}`, ADMIN_TOKEN]) {
    const response = await fetch(`${url}/v1/status`, { headers: { authorization } });
    t.equal(response.status, 401, authorization.slice(0, 9));
    t.equal(response.headers.get("www-authenticate"), "Bearer");
    t.match(await response.json(), { error: "UNAUTHORIZED", message: /^send the admin token/ });
  }
});

const BAD_REQUESTS: [method: string, path: string, body: unknown, status: number, text: RegExp][] =
  [
    ["GET", "/v1/nothing", null, 404, /NO_ROUTE/],
    ["GET", `/v1/cards/${PAN}`, null, 404, /NO_ROUTE/],
    ["GET", "/%c0%zz", null, 404, /NO_ROUTE/],
    ["PUT", "/v1/terminals", {}, 404, /NO_ROUTE/],
    [
      "GET",
      "/v1/terminals/0",
      null,
      400,
      /path: terminalId must be a whole number from 1 to 99999999/,
    ],
    ["GET", `/v1/terminals/${PAN}`, null, 400, /path: terminalId must be/],
    [
      "GET",
      "/v1/terminals?count=1001",
      null,
      400,
      /query: count must be a whole number from 1 to 1000/,
    ],
    ["GET", `/v1/terminals?${PAN}=1`, null, 400, /query: an unknown key/],
    [
      "GET",
      "/v1/decisions",
      null,
      400,
      /give rrn alone, or terminalId, businessDate and stan together/,
    ],
    ["GET", "/v1/decisions?rrn=1&stan=2", null, 400, /give rrn alone/],
    ["GET", "/v1/decisions?terminalId=1&stan=2", null, 400, /give rrn alone/],
    ["POST", "/v1/cards/status", {}, 400, /body: cardNumber missing/],
    [
      "POST",
      "/v1/cards/status",
      { cardNumber: 6228480012 },
      400,
      /cardNumber must be text of 12 to 19/,
    ],
    ["POST", "/v1/cards/status", { cardNumber: "6".repeat(16) }, 400, /correct check digit/],
    ["POST", "/v1/cards/status", { cardNumber: PAN, [PAN]: PAN }, 400, /body: an unknown key/],
    [
      "POST",
      "/v1/cards/events",
      { cardNumber: PAN, event: "eat" },
      400,
      /event must be one of load, issue/,
    ],
    ["POST", "/v1/cards/events", { cardNumber: PAN, event: "issue" }, 400, /issue needs idNumber/],
    [
      "POST",
      "/v1/cards/events",
      { cardNumber: PAN, event: "lose", idNumber: ID_NUMBER },
      400,
      /the event lose takes no idNumber/,
    ],
    [
      "POST",
      "/v1/blacklist",
      { subjectKind: "holder", subject: ID_NUMBER.replace(/.$/, "?"), cause: "debt" },
      400,
      /subject has a/,
    ],
    [
      "POST",
      "/v1/organisations",
      {
        organisationId: 1,
        name: "",
        regionCode: 460000,
        parentId: 0,
        domains: ["x"],
        status: "open",
      },
      400,
      /name must be text of 1 to 200 characters; domains\[0\] must be one of/,
    ],
    ["POST", "/v1/import/people", "", 415, /MEDIA_TYPE_UNKNOWN/],
  ];

t.test("a request that does not fit is answered with what it must be, and no value", async (t) => {
  for (const [method, path, body, status, text] of BAD_REQUESTS) {
    const response = await fetch(url + path, {
      method,
      headers: { ...AUTHORIZED, ...(body === null ? {} : JSON_TYPE) },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    t.equal(response.status, status, `${method} ${path}`);
    t.match(answer, text, `${method} ${path}`);
    t.same(Object.keys(JSON.parse(answer)), ["error", "message"]);
    t.notOk(answer.includes(PAN) || answer.includes(ID_NUMBER), "no number in the answer");
  }
  t.same(asked, [], "nothing reached the engine");
});

t.test("bodies are bounded and of a known type", async (t) => {
  const long = JSON.stringify({ cardNumber: "1".repeat(2_200_000) });
  t.match(await post("/v1/cards/status", long), { status: 413, text: /BODY_TOO_LARGE/ });
  t.match(await post("/v1/cards/status", `{"cardNumber": ${PAN}`), {
    status: 400,
    text: /INVALID_JSON/,
  });
  t.match(await post("/v1/cards/status", ""), { status: 400, text: /INVALID_JSON/ });
  const text = { "content-type": "text/plain" };
  t.match(await post("/v1/cards/status", PAN, text), { status: 415, text: /MEDIA_TYPE_UNKNOWN/ });
  const ndjson = { "content-type": "application/x-ndjson" };
  t.match(await post("/v1/cards/status", "{}", ndjson), { status: 415 });
  const line = `${JSON.stringify({ cardNumber: "x" })}\n`;
  const rows = line.repeat(Math.ceil(1_100_000 / line.length));
  t.match(await post("/v1/import/cards", rows, ndjson), { status: 413, text: /importSizeMax/ });
  t.match(await post("/v1/import/cards", "x".repeat(70_000), ndjson), {
    status: 413,
    text: /a line/,
  });
});

t.test("readyz tells what is missing, livez whether the main thread is stuck", async (t) => {
  const table: [bits: number, status: number, reasons: string[]][] = [
    [
      0,
      503,
      [
        "the journal is not replayed yet",
        "the journal is not writable",
        "terminals are not served",
      ],
    ],
    [READY_REPLAYED, 503, ["the journal is not writable", "terminals are not served"]],
    [READY_REPLAYED | READY_JOURNAL, 503, ["terminals are not served"]],
    [READY_ALL, 200, []],
    [READY_ALL | READY_DRAINING, 503, ["the server is stopping"]],
    [READY_ALL & ~READY_JOURNAL, 503, ["the journal is not writable"]],
  ];
  for (const [bits, status, reasons] of table) {
    metrics.setReady(15, false);
    metrics.setReady(bits, true);
    const response = await fetch(`${url}/readyz`);
    t.equal(response.status, status);
    t.same(await response.json(), { ready: status === 200, reasons });
  }
  metrics.setReady(15, false);
  metrics.setReady(READY_ALL, true);
  t.equal((await fetch(`${url}/livez`)).status, 200, "starting is not stuck");
  metrics.setHeartbeat(monotonicMs());
  t.equal((await fetch(`${url}/livez`)).status, 200);
  metrics.setHeartbeat(monotonicMs() - 7200);
  const stuck = await fetch(`${url}/livez`);
  t.equal(stuck.status, 503);
  t.same(await stuck.json(), {
    alive: false,
    reasons: ["the main thread has been silent for 7 s"],
  });
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  metrics.setHeartbeat(monotonicMs());
});

t.test("metrics are scraped while the main thread does nothing but block", async (t) => {
  metrics.countDecision(REASON.APPROVED, 12);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const scraper = new Worker(
    `const { workerData: { url, flag } } = require("node:worker_threads");
     fetch(url + "/metrics").then((r) => r.text()).then((text) => {
       const found = /tongka_decisions_total\\{reason="APPROVED",response_code="00"\\} 12\\n/.test(text);
       Atomics.store(flag, 0, found ? 1 : 2); Atomics.notify(flag, 0);
     });`,
    { eval: true, workerData: { url, flag } },
  );
  t.not(Atomics.wait(flag, 0, 0, 10_000), "timed-out");
  t.equal(flag[0], 1);
  await scraper.terminate();
});

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
  answers.decision = DECISION;
  const key = { terminalId: 1050001, businessDate: 20260506, stan: 17 };
  const decision = await client.decision(key);
  t.same(asked, [{ op: "decision", ...key }]);
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
  t.same(asked[1], { op: "decision", rrn: 4_300_000_123 });
  answers.decision = null;
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
  answers.card = view;
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
  const token = (asked[0] as { token: Uint8Array }).token;
  t.same([...token], [...tokenOf(PAN, PAN_KIND_CARD)]);
  answers.card = { ...view, lastUseTime: 0 };
  t.equal((await client.card(PAN)).lastUse, null);
  answers.card = null;
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
  outcomes = [OUTCOME.TRANSITION_NOT_ALLOWED];
  const refusal = await refusalOf(client.cardEvent({ cardNumber: PAN, event: "activate" }));
  t.match(refusal, {
    status: 409,
    code: "TRANSITION_NOT_ALLOWED",
    message: /status does not allow/,
  });
  outcomes = [OUTCOME.UNCHANGED];
  const again = await client.cardEvent({ cardNumber: PAN, event: "cancel" });
  t.same(again, { outcome: "UNCHANGED", position: 0 });
});

t.test("blacklist entries are added, found, shown masked and removed", async (t) => {
  const added = await client.addToBlacklist({ subjectKind: "card", subject: PAN, cause: "stolen" });
  const entry = readListEntry(executed().bytes, 0);
  t.equal(added.entryId, entry.entryId);
  t.same([...entry.subjectToken!], [...tokenOf(PAN, PAN_KIND_CARD)]);
  asked.length = 0;
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
  answers.blacklist = [view];
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
  t.match(asked.at(-1), { op: "blacklist", subjectKind: LIST_SUBJECT.CARD, after: 0 });
  await client.blacklist({ terminalId: 5, after: 7, count: 9 });
  t.same(asked.at(-1), {
    op: "blacklist",
    subjectKind: LIST_SUBJECT.TERMINAL,
    subjectId: 5,
    after: 7,
    count: 9,
  });
  await client.listEntry(31);
  t.match(asked.at(-1), { op: "blacklist", entryId: 31 });
  asked.length = 0;
  await client.removeFromBlacklist(31);
  t.match(readListEntry(executed().bytes, 0), { action: 2, entryId: 31, subjectKind: 0 });
  outcomes = [OUTCOME.ENTRY_UNKNOWN];
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
    answers.terminal = null;
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
    answers.terminal = { ...TERMINAL, checkValue: made.checkValue };
    answers.terminals = [answers.terminal];
    const shown = JSON.stringify([await client.terminal(1050001), await client.terminals()]);
    t.notOk(shown.includes(made.masterKey!), "not shown again");
    t.notOk(readFileSync(logFile, "utf8").includes(made.masterKey!), "not in the log");
  },
);

t.test("a known terminal keeps its key unless told otherwise", async (t) => {
  answers.terminal = TERMINAL;
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
  answers.terminal = null;
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
    answers.organisation = ORGANISATION;
    answers.organisations = [ORGANISATION];
    await client.setOrganisation(await client.organisation(46));
    t.same(JSON.parse(Buffer.from(executed().bytes).toString()), ORGANISATION);
    t.same(await client.organisations({ after: 3 }), [ORGANISATION]);
    t.same(asked.at(-1), { op: "organisations", after: 3, count: 100 });
    asked.length = 0;
    await client.publishCatalogue(CATALOGUE);
    t.equal(executed().kind, COMMAND.CATALOGUE);
    t.same(JSON.parse(Buffer.from(executed().bytes).toString()), CATALOGUE);
    const summary = { version: 2, effectiveDate: 20260101, itemCount: 1, position: 9 };
    answers.catalogue = { inForce: 2, document: CATALOGUE, versions: [summary] };
    t.same(await client.catalogue(), answers.catalogue);
    answers.catalogue = { inForce: 2, document: null, versions: [summary] };
    t.match(await refusalOf(client.catalogue(3)), { status: 404 });
    outcomes = [OUTCOME.CATALOGUE_VERSION_EXISTS];
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
    outcomes = [OUTCOME.DONE, OUTCOME.UNCHANGED, OUTCOME.HOLDER_DIFFERS];
    const report = await client.import("cards", Readable.from([Buffer.from(lines.join("\n"))]));
    const { rejections, ...totals } = report;
    const batches = asked.filter((request) => request.op === "execute");
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
  t.same(JSON.parse(Buffer.from((asked[1] as { bytes: Uint8Array }).bytes).toString()), CATALOGUE);
  const listed = { subjectKind: "terminal", subject: "5", scope: "all", cause: "technical" };
  t.match(await client.import("blacklist", text([listed, { ...listed, cause: "x" }])), {
    imported: 1,
    rejections: [{ line: 2, column: "cause" }],
  });
  t.match(await client.import("terminals", text([{ ...PROFILE, domains: "transport" }])), {
    imported: 1,
  });
});

t.test(
  "what the engine refuses is told; what it throws is a fault and told to the main thread",
  async (t) => {
    t.match(await refusalOf(client.status()), {
      status: 409,
      message: /does not answer this here/,
    });
    const faults: Error[] = [];
    const broken = await startControl(
      options({
        handle: () => Promise.reject(new Error(`bug with ${PAN}`)),
        onFault: (error) => faults.push(error),
      }),
    );
    const other = new ControlClient({
      url: `http://127.0.0.1:${broken.port}`,
      adminToken: ADMIN_TOKEN,
    });
    const refusal = await refusalOf(other.checkpoint());
    t.match(refusal, { status: 500, message: "a fault of the server: its log says more" });
    t.match(faults, [{ message: `bug with ${PAN}` }]);
    await broken.stop();
    t.match(await refusalOf(other.checkpoint()), {
      code: "UNREACHABLE",
      message: /nothing listens/,
    });
    t.equal(faults.length, 1, "a stop is no fault");
  },
);

t.test("status and checkpoint", async (t) => {
  answers.checkpoint = { checkpointPosition: 17 };
  t.same(await client.checkpoint(), { checkpointPosition: 17 });
});

t.test("an address in use is told with what to do", async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  const { control: section, log } = options().config;
  const config = { control: { ...section, port }, log };
  await t.rejects(startControl(options({ config })), {
    message: `control plane: 127.0.0.1:${port} is in use by another process: stop it or set another control.port`,
  });
  taken.close();
});

t.test("no number that is sent stands in an answer or the log, wherever it was put", async (t) => {
  const places = fc.constantFrom(
    (number: string) => ["GET", `/v1/terminals/${number}`],
    (number: string) => ["GET", `/v1/decisions?rrn=${number}x`],
    (number: string) => ["GET", `/${number}?${number}=${number}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":"${number}x"}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":${number}}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":"${number}"`],
    (number: string) => ["POST", "/v1/cards/status", `{"${number}":{"${number}":"${number}"}}`],
    (number: string) => [
      "POST",
      "/v1/cards/events",
      `{"cardNumber":"${number}","event":"${number}"}`,
    ],
    (number: string) => [
      "POST",
      "/v1/blacklist",
      `{"subjectKind":"card","subject":"${number}","cause":"${number}"}`,
    ],
    (number: string) => [
      "POST",
      "/v1/organisations",
      `{"name":"${number}","domains":["${number}"]}`,
    ],
    (number: string) => ["POST", `/v1/import/${number}`, number],
    (number: string) => ["POST", "/v1/import/cards", `{"cardNumber":"${number}"}\n${number}`],
    (number: string) => [
      "POST",
      "/v1/import/blacklist",
      `{"subjectKind":"holder","subject":"${number}"}`,
    ],
  );
  const numbers = fc.stringMatching(/^[1-9][0-9]{14,18}$/);
  const sent: string[] = [];
  const send = async (number: string, place: (number: string) => string[]) => {
    const [method, path, body] = place(number);
    const ndjson = { "content-type": "application/x-ndjson" };
    const response = await fetch(url + path, {
      method: method!,
      headers: { ...AUTHORIZED, ...(path!.startsWith("/v1/import") ? ndjson : JSON_TYPE) },
      ...(body === undefined ? {} : { body }),
    });
    sent.push(number);
    const headers = JSON.stringify([...response.headers]);
    return !(headers + (await response.text())).includes(number);
  };
  await fc.assert(fc.asyncProperty(numbers, places, send), { numRuns: 300 });
  const log = readFileSync(logFile, "utf8");
  for (const number of [...sent, PAN, ID_NUMBER, ADMIN_TOKEN]) {
    if (log.includes(number)) t.fail(`a number of ${number.length} characters is in the log`);
  }
  const lines = log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.ok(lines.length > 300, `${lines.length} lines`);
  t.match(lines.at(-1), { method: String, route: String, status: Number, durationMs: Number });
  t.ok(lines.some((line) => line.route === "/v1/cards/status"));
});
