// Inquiry of past decisions through the control plane of a real server: by reference number and by
// terminal, business date and STAN, for dates remembered and for those only in the journal.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { COMMAND, LIST_ADD, LIST_REMOVE, type ListEntryCommand } from "../engine/commands.js";
import { LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "../engine/domain.js";
import {
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  type Outcome,
  REASON_NAMES,
  type UseRecord,
} from "../protocol/index.js";
import { ADMIN_TOKEN_FILE } from "../src/admin-token.js";
import { dateOf } from "../src/dates.js";
import { Decisions } from "../src/decisions.js";
import { RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  cardTokenOf,
  catalogue,
  document,
  GATE_FIRST,
  panOf,
  put,
  putListEntry,
  seededFolder,
  serve,
} from "./server-kit.js";

const DAY_MS = 86_400_000;
const DAYS = 12;
const START_MS = Date.UTC(2026, 1, 20, 4);

let nowMs = START_MS;
const clock = () => nowMs;
const folder = await seededFolder(t, {}, clock);
const server = await serve(t, { folder, clock });
const { core, vault, engine, journal } = server.node;
const adminToken = readFileSync(join(folder, ADMIN_TOKEN_FILE), "utf8").trim();
const socket = await RawSocket.open(server.terminalsUrl);
t.teardown(() => socket.close());

/** A use that was decided, and what the server knew then. */
interface Case {
  use: UseRecord;
  outcome: Outcome;
  mti: number;
  catalogueVersion: number;
  blacklistPosition: number;
  listEntryId: number | null;
}

interface DecisionAnswer {
  rrn: number;
  mti: string;
  senderId: number;
  sequence: number;
  blockHash: string;
  blockPosition: number;
  asked: Record<string, unknown>;
  answered: Record<string, unknown>;
  rule: Record<string, unknown>;
}

async function inquire(query: string): Promise<{ status: number; body: DecisionAnswer }> {
  const response = await fetch(`${server.controlUrl}/v1/decisions?${query}`, {
    headers: { authorization: `Bearer ${adminToken}`, connection: "close" },
  });
  return { status: response.status, body: (await response.json()) as DecisionAnswer };
}

const byUse = ({ terminalId, businessDate, stan }: UseRecord) =>
  `terminalId=${terminalId}&businessDate=${businessDate}&stan=${stan}`;

function listCard(index: number, changes: Partial<ListEntryCommand> = {}): Promise<number> {
  return putListEntry(core, {
    subjectToken: cardTokenOf(vault, index),
    subjectId: 0,
    subjectKind: LIST_SUBJECT.CARD,
    action: LIST_ADD,
    scopeKind: LIST_SCOPE.ALL,
    cause: LIST_CAUSE.FRAUD,
    scopeValue: 0,
    prefixDigits: 0,
    entryId: 0,
    fromTime: 0,
    untilTime: 0,
    organisationId: 1,
    ...changes,
  });
}

/** Each day: uses before and after a blacklist entry and its end, an advice, a reversal. */
async function day(terminal: RawTerminal, n: number, cases: Case[]): Promise<void> {
  nowMs = START_MS + n * DAY_MS;
  terminal.businessDate = dateOf(Math.floor(nowMs / DAY_MS));
  // A session lasts a day.
  await terminal.signOn(socket.exchange);
  const decide = async (mti: number, use: UseRecord, listEntryId: number | null = null) => {
    const answer = await terminal.ask(socket.exchange, terminal.uses(mti, [use]));
    const { blacklistPosition } = engine.state.registers;
    const catalogueVersion = engine.state.catalogue.version;
    const outcome = answer.outcomes[0]!;
    cases.push({ use, outcome, mti, catalogueVersion, blacklistPosition, listEntryId });
  };
  const entryId = 100 + n;
  const pan = panOf(n);
  const first = terminal.use(pan, { stan: 10 * n + 1 });
  await decide(MTI_USE_REQUEST, first);
  await listCard(n, { entryId });
  await decide(MTI_USE_REQUEST, terminal.use(pan, { stan: 10 * n + 2 }), entryId);
  await decide(MTI_USE_ADVICE, terminal.use(pan, { stan: 10 * n + 3 }), entryId);
  await listCard(n, {
    entryId,
    action: LIST_REMOVE,
    subjectToken: null,
    subjectKind: 0,
    cause: 0,
    organisationId: 0,
  });
  await decide(MTI_USE_REQUEST, terminal.use(pan, { stan: 10 * n + 4 }));
  const original = { originalStan: first.stan, originalBusinessDate: first.businessDate };
  await decide(MTI_REVERSAL_REQUEST, terminal.use(pan, { stan: 10 * n + 5, ...original }));
  if (n % 4 === 3) await put(core, COMMAND.CATALOGUE, document(catalogue(2 + n)));
}

const cases: Case[] = [];

t.test("days go by", async (t) => {
  const terminal = new RawTerminal(GATE_FIRST);
  for (let n = 0; n < DAYS; n++) await day(terminal, n, cases);
  t.equal(cases.length, DAYS * 5);
  t.same(
    cases.slice(0, 5).map(({ outcome }) => `${outcome.responseCode} ${outcome.reason}`),
    ["00 0", "62 30", "00 30", "00 0", "00 0"],
  );
  t.equal(new Set(cases.map(({ catalogueVersion }) => catalogueVersion)).size, 3);
});

function check(t: Test, body: DecisionAnswer, expected: Case, name: string): void {
  const { use, outcome, catalogueVersion, blacklistPosition, listEntryId } = expected;
  t.match(
    body,
    {
      rrn: outcome.rrn,
      mti: expected.mti.toString(16).padStart(4, "0"),
      senderId: GATE_FIRST,
      asked: {
        terminalId: use.terminalId,
        stan: use.stan,
        businessDate: use.businessDate,
        itemCode: use.itemCode,
        amountMinor: use.amountMinor,
        originalStan: use.originalStan === 0 ? null : use.originalStan,
      },
      answered: {
        responseCode: outcome.responseCode,
        reason: REASON_NAMES[outcome.reason],
        authorizationId: outcome.authorizationId,
        flags: outcome.flags,
      },
      rule: { catalogueVersion, blacklistPosition, listEntryId },
    },
    name,
  );
}

t.test("by reference number, and by terminal, date and STAN", async (t) => {
  const { duplicates } = engine.state;
  t.ok(cases.some(({ use }) => duplicates.keeps(use.businessDate)));
  t.ok(cases.some(({ use }) => !duplicates.keeps(use.businessDate)));
  for (const expected of cases) {
    const { use, outcome } = expected;
    const kept = duplicates.keeps(use.businessDate) ? "kept" : "older";
    const name = `${use.businessDate} ${use.stan}, ${kept}`;
    const rrn = await inquire(`rrn=${outcome.rrn}`);
    check(t, rrn.body, expected, `${name}, by rrn`);
    const stan = await inquire(byUse(use));
    t.same(stan.body, rrn.body, `${name}, by STAN`);
  }
});

t.test("the block that proves it", async (t) => {
  const { body } = await inquire(`rrn=${cases[7]!.outcome.rrn}`);
  const bytes = journal.blockOf(body.rrn)!;
  t.equal(Buffer.from(bytes.subarray(80, 112)).toString("hex"), body.blockHash);
  t.notMatch(JSON.stringify(body), panOf(1), "no card number is told");
});

t.test("what there is no decision of", async (t) => {
  const { use, outcome } = cases[0]!;
  const last = engine.state.registers.position;
  const queries = [
    `rrn=${last + 1}`,
    `rrn=${Number.MAX_SAFE_INTEGER}`,
    `rrn=${outcome.rrn + 1}`,
    "rrn=1",
    byUse({ ...use, stan: 999_999 }),
    byUse({ ...use, terminalId: GATE_FIRST + 1 }),
    byUse({ ...use, terminalId: 77_777 }),
    byUse({ ...use, businessDate: 20_260_101 }),
    byUse({ ...use, businessDate: 20_200_101 }),
    byUse({ ...use, businessDate: 20_290_101 }),
    byUse({ ...cases.at(-1)!.use, stan: 999_999 }),
  ];
  for (const query of queries) t.equal((await inquire(query)).status, 404, query);
  nowMs = Date.UTC(2026, 3, 30, 4);
  await put(core, COMMAND.CATALOGUE, document(catalogue(50)));
  t.equal(engine.state.businessDate, 20_260_430);
  for (const businessDate of [20_260_431, 20_260_231, 20_269_999]) {
    const { status } = await inquire(byUse({ ...use, businessDate }));
    t.ok(status === 404 || status === 422 || status === 400, `${businessDate}: ${status}`);
    const decisions = new Decisions(engine.state, journal, () => core.committedPosition);
    t.equal(await decisions.byStan(GATE_FIRST, businessDate, use.stan), null);
  }
  t.equal((await inquire(byUse(use))).status, 200, "still there two months later");
});

t.test(
  "a reversal that came first, a repeat, and a message refused before it was known",
  async (t) => {
    const terminal = new RawTerminal(GATE_FIRST + 1);
    terminal.businessDate = engine.state.businessDate;
    await terminal.signOn(socket.exchange);
    const ask = async (mti: number, use: UseRecord) =>
      (await terminal.ask(socket.exchange, terminal.uses(mti, [use]))).outcomes[0]!;
    const { businessDate } = terminal;
    const late = terminal.use(panOf(20));
    const undo = terminal.use(panOf(20), {
      originalStan: late.stan,
      originalBusinessDate: businessDate,
    });
    const reversal = await ask(MTI_REVERSAL_REQUEST, undo);
    t.equal(reversal.responseCode, "25");
    t.equal((await inquire(byUse(late))).status, 404, "the original has not come");
    t.equal((await inquire(byUse(undo))).body.rrn, reversal.rrn);
    const declined = await ask(MTI_USE_REQUEST, late);
    t.match((await inquire(byUse(late))).body, {
      rrn: declined.rrn,
      answered: { reason: "REVERSAL_CAME_FIRST" },
    });
    t.same(await ask(MTI_USE_REQUEST, late), declined, "a repeat is no decision");
    const differs = await ask(MTI_USE_REQUEST, { ...late, amountMinor: 7 });
    t.match((await inquire(`rrn=${differs.rrn}`)).body, {
      asked: { amountMinor: 7 },
      answered: { responseCode: "94", reason: "DUPLICATE_DIFFERS" },
    });
    t.equal((await inquire(byUse(late))).body.rrn, declined.rrn, "the first decision stays");
    const odd = terminal.use("123", { amountMinor: -5 });
    const { rrn } = await ask(MTI_USE_REQUEST, odd);
    t.match((await inquire(`rrn=${rrn}`)).body, { answered: { responseCode: "13" } });
  },
);
