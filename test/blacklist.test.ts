// The blacklist through the engine, against a plain model: entries in a Map, looked at one by one.

import t, { type Test } from "tap";
import type { ListEntryCommand } from "../engine/commands.js";
import { CARD_EVENT, LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "../engine/domain.js";
import {
  EngineKit,
  holderToken,
  ITEM,
  itemOf,
  pan,
  prefixToken,
  SENDER,
  START_MS,
  tokenOf,
} from "./engine-kit.js";
import { type Random, seeded } from "./random.js";

const NOW = START_MS / 1000;
const HEALTH_ITEM = 2_010_001;
const TRANSPORT = 3;
const HEALTH = 2;

/** A kit with two items, of transport and of health. */
function kitOf(blacklistMax = 2000): EngineKit {
  const kit = new EngineKit({ blacklistMax }).usual();
  kit.expectDone(kit.catalogue(2, [itemOf(), itemOf({ itemCode: HEALTH_ITEM, domain: "health" })]));
  return kit;
}

function checkReplay(t: Test, kit: EngineKit): void {
  const replayed = kit.replayed();
  t.equal(replayed.hash(), kit.state.hash(), "the blocks lead to the same state");
  t.same(replayed.blacklist.prefixLengths, kit.state.blacklist.prefixLengths);
}

const SUBJECTS: [string, string, Partial<ListEntryCommand>][] = [
  ["card", "CARD_LISTED", { subjectKind: LIST_SUBJECT.CARD, subjectToken: tokenOf(pan(1)) }],
  ["holder", "HOLDER_LISTED", { subjectKind: LIST_SUBJECT.HOLDER, subjectToken: holderToken(1) }],
  ["range of 1", "NUMBER_RANGE_LISTED", range(pan(1).slice(0, 1))],
  ["range of 8", "NUMBER_RANGE_LISTED", range(pan(1).slice(0, 8))],
  ["range of 19", "NUMBER_RANGE_LISTED", range(pan(1))],
  ["terminal", "TERMINAL_LISTED", { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: SENDER }],
  ["organisation", "ORGANISATION_LISTED", { subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: 1 }],
];
const SCOPES: [string, Partial<ListEntryCommand>, boolean, boolean][] = [
  ["all", { scopeKind: LIST_SCOPE.ALL, scopeValue: 0 }, true, true],
  ["transport", { scopeKind: LIST_SCOPE.DOMAIN, scopeValue: TRANSPORT }, true, false],
  ["health", { scopeKind: LIST_SCOPE.DOMAIN, scopeValue: HEALTH }, false, true],
  ["the item", { scopeKind: LIST_SCOPE.ITEM, scopeValue: ITEM }, true, false],
  ["another item", { scopeKind: LIST_SCOPE.ITEM, scopeValue: 99 }, false, false],
];
const TIMES: [string, Partial<ListEntryCommand>, boolean][] = [
  ["open-ended", { fromTime: 0, untilTime: 0 }, true],
  ["from this second", { fromTime: NOW, untilTime: NOW + 1 }, true],
  ["from the next second", { fromTime: NOW + 1, untilTime: 0 }, false],
  ["until this second", { fromTime: 1, untilTime: NOW }, false],
];

function range(digits: string): Partial<ListEntryCommand> {
  return {
    subjectKind: LIST_SUBJECT.NUMBER_RANGE,
    subjectToken: prefixToken(digits),
    prefixDigits: digits.length,
  };
}

t.test("every subject, scope and date binds the next use, and its removal, too", async (t) => {
  const kit = kitOf();
  let entryId = 0;
  for (const [subject, reason, subjectFields] of SUBJECTS) {
    for (const [scope, scopeFields, transport, health] of SCOPES) {
      for (const [time, timeFields, now] of TIMES) {
        const what = `${subject}, ${scope}, ${time}`;
        entryId++;
        kit.expectDone(kit.list({ ...subjectFields, ...scopeFields, ...timeFields, entryId }));
        const [bus, clinic] = [kit.use().name, kit.use({ itemCode: HEALTH_ITEM }).name];
        t.equal(bus, transport && now ? reason : "APPROVED", what);
        t.equal(clinic, health && now ? reason : "APPROVED", what);
        kit.expectDone(kit.unlist(entryId));
        t.equal(kit.use().name, "APPROVED", `${what}, removed`);
      }
    }
  }
  t.equal(kit.state.blacklist.count, 0);
  checkReplay(t, kit);
});

t.test("an entry begins and ends with the time of the block", async (t) => {
  const kit = kitOf();
  kit.expectDone(kit.list({ ...SUBJECTS[0]![2], fromTime: NOW + 60, untilTime: NOW + 120 }));
  for (const [seconds, name] of [
    [59, "APPROVED"],
    [60, "CARD_LISTED"],
    [119, "CARD_LISTED"],
    [120, "APPROVED"],
  ] as const) {
    kit.moveTo(START_MS + seconds * 1000);
    t.equal(kit.use().name, name, `after ${seconds} s`);
  }
  checkReplay(t, kit);
});

t.test("what is listed before it is there is listed when it comes", async (t) => {
  const kit = kitOf();
  const gate = SENDER + 7;
  kit.expectDone(kit.list({ subjectToken: tokenOf(pan(5)) }));
  kit.expectDone(kit.list({ subjectKind: LIST_SUBJECT.HOLDER, subjectToken: holderToken(6) }));
  kit.expectDone(kit.list({ subjectKind: LIST_SUBJECT.TERMINAL, subjectId: gate }));
  kit.expectDone(kit.list({ subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: 8 }));
  kit.expectDone(kit.card(5, CARD_EVENT.LOAD));
  kit.expectDone(kit.card(6, CARD_EVENT.LOAD));
  kit.expectDone(kit.organisation({ organisationId: 8 }));
  kit.expectDone(kit.terminal({ terminalId: gate, concentratorId: SENDER }));
  const other = SENDER + 8;
  const concentratorId = SENDER;
  kit.expectDone(kit.terminal({ terminalId: other, organisationId: 8, concentratorId }));
  for (const at of [kit, kit.restarted()]) {
    t.equal(at.use({ pan: pan(5) }).name, "CARD_LISTED");
    t.equal(at.use({ pan: pan(6) }).name, "HOLDER_LISTED");
    t.equal(at.use({ terminalId: gate }).name, "TERMINAL_LISTED");
    t.equal(at.use({ terminalId: other }).name, "ORGANISATION_LISTED");
  }
  kit.expectDone(kit.changeTerminal({ terminalId: gate, concentratorId, regionCode: 460_000 }));
  t.equal(kit.use({ terminalId: gate }).name, "TERMINAL_LISTED", "a change does not free it");
  kit.expectDone(kit.organisation({ organisationId: 8, name: "renamed" }));
  t.equal(kit.use({ terminalId: other }).name, "ORGANISATION_LISTED");
  checkReplay(t, kit);
});

t.test("a card that is listed twice stays listed until both are removed", async (t) => {
  const kit = kitOf();
  const card = { subjectToken: tokenOf(pan(1)) };
  kit.expectDone(kit.list({ ...card, entryId: 1, untilTime: NOW, fromTime: 1 }));
  kit.expectDone(kit.list({ ...card, entryId: 2, cause: LIST_CAUSE.STOLEN }));
  t.equal(kit.use().name, "CARD_STOLEN", "an entry that is over hides none");
  kit.expectDone(kit.unlist(1));
  t.equal(kit.use().name, "CARD_STOLEN");
  kit.expectDone(kit.unlist(2));
  t.equal(kit.use().name, "APPROVED");
  checkReplay(t, kit);
});

t.test("stolen is told before other causes, whichever was listed first", async (t) => {
  for (const causes of [
    [LIST_CAUSE.STOLEN, LIST_CAUSE.DEBT, LIST_CAUSE.FRAUD],
    [LIST_CAUSE.DEBT, LIST_CAUSE.FRAUD, LIST_CAUSE.STOLEN],
    [LIST_CAUSE.DEBT, LIST_CAUSE.STOLEN, LIST_CAUSE.FRAUD],
  ]) {
    const kit = kitOf();
    for (const cause of causes) kit.expectDone(kit.list({ subjectToken: tokenOf(pan(1)), cause }));
    t.equal(kit.use().responseCode, "43");
    checkReplay(t, kit);
  }
});

t.test("entries: numbers, repeats and what is refused", async (t) => {
  const kit = kitOf(3);
  const card = { subjectToken: tokenOf(pan(1)) };
  t.equal(kit.list({ ...card, entryId: 2 ** 53 - 1 }), "DONE");
  t.equal(kit.list({ ...card, entryId: 2 ** 53 - 1 }), "UNCHANGED");
  t.equal(kit.list({ ...card, entryId: 2 ** 53 - 1, cause: LIST_CAUSE.DEBT }), "ENTRY_EXISTS");
  t.equal(kit.list({ ...card, entryId: 2 ** 53 - 1, untilTime: 5 }), "ENTRY_EXISTS");
  const other = { subjectToken: tokenOf(pan(2)) };
  t.equal(kit.list({ ...other, entryId: 2 ** 53 - 1 }), "ENTRY_EXISTS");
  t.equal(kit.unlist(7), "ENTRY_UNKNOWN");
  t.equal(kit.unlist(0), "ENTRY_UNKNOWN");
  const before = kit.state.hash();
  const wrong: Partial<ListEntryCommand>[] = [
    { subjectKind: 0 },
    { subjectKind: 6 },
    { subjectToken: null },
    { action: 0 },
    { action: 3 },
    { cause: 0 },
    { cause: 7 },
    { scopeKind: 3 },
    { scopeValue: 1 },
    { scopeKind: LIST_SCOPE.DOMAIN, scopeValue: 0 },
    { scopeKind: LIST_SCOPE.DOMAIN, scopeValue: 11 },
    { scopeKind: LIST_SCOPE.ITEM, scopeValue: 0 },
    { prefixDigits: 6 },
    { ...range("623"), prefixDigits: 0 },
    { ...range("623"), prefixDigits: 20 },
    { fromTime: 10, untilTime: 10 },
    { fromTime: 10, untilTime: 9 },
    { entryId: 2 ** 53 },
    { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: 0, subjectToken: null },
  ];
  for (const fields of wrong) {
    t.equal(kit.list({ ...card, ...fields }), "COMMAND_INVALID", JSON.stringify(fields));
  }
  t.equal(kit.state.hash(), before);
  t.equal(kit.list({ ...card }), "DONE", "numbered by the engine");
  t.equal(kit.list({ ...card }), "DONE", "and again: another entry");
  t.equal(kit.list({ ...card }), "TABLE_FULL");
  t.equal(kit.unlist(2 ** 53 - 1), "DONE");
  t.equal(kit.list({ ...card }), "DONE", "a removed row is used again");
  checkReplay(t, kit);
});

t.test("a range of several prefixes is one entry", async (t) => {
  const kit = kitOf();
  const prefixes = [pan(1).slice(0, 17), pan(2).slice(0, 18), pan(3), "9"];
  for (const digits of prefixes) kit.expectDone(kit.list({ ...range(digits), entryId: 5 }));
  t.equal(kit.list({ ...range("9"), entryId: 5 }), "UNCHANGED");
  t.equal(kit.list({ ...range("8"), entryId: 5, cause: LIST_CAUSE.DEBT }), "ENTRY_EXISTS");
  t.same(kit.state.blacklist.prefixLengths, [1, 17, 18, 19]);
  for (const index of [2, 3, 50]) kit.expectDone(kit.card(index, CARD_EVENT.LOAD));
  const names = () => [1, 2, 3, 50].map((index) => kit.use({ pan: pan(index) }).name);
  const listed = "NUMBER_RANGE_LISTED";
  t.same(names(), [listed, listed, listed, "APPROVED"]);
  checkReplay(t, kit);
  kit.expectDone(kit.unlist(5));
  t.same(names(), ["APPROVED", "APPROVED", "APPROVED", "APPROVED"]);
  t.same(kit.state.blacklist.prefixLengths, []);
  checkReplay(t, kit);
});

/** One entry of the model: who, for what, when. */
interface Entry {
  reason: string;
  /** Numbers of cards it holds for; null all. */
  cards: number[] | null;
  items: number[] | null;
  from: number;
  until: number;
}

const CARDS = [1, 2, 3, 4];

/** Of an entry's fields, whom it holds for in the model. */
function randomEntry(random: Random): { fields: Partial<ListEntryCommand>; entry: Entry } {
  const card = random.pick(CARDS);
  const subject = random.below(5);
  const digits = random.pick([10, 17, 18, 19]);
  const kinds: [string, Partial<ListEntryCommand>, number[] | null][] = [
    ["CARD_LISTED", { subjectToken: tokenOf(pan(card)) }, [card]],
    ["HOLDER_LISTED", { ...SUBJECTS[1]![2], subjectToken: holderToken(card) }, [card]],
    ["NUMBER_RANGE_LISTED", range(pan(card).slice(0, digits)), sharing(card, digits)],
    ["TERMINAL_LISTED", SUBJECTS[5]![2], null],
    ["ORGANISATION_LISTED", SUBJECTS[6]![2], null],
  ];
  const [reason, subjectFields, cards] = kinds[subject]!;
  const [, scopeFields, transport, health] = random.pick(SCOPES);
  const items = [...(transport ? [ITEM] : []), ...(health ? [HEALTH_ITEM] : [])];
  const from = NOW + random.below(200) - 100;
  const until = random.below(3) === 0 ? 0 : from + 1 + random.below(100);
  const fields = { ...subjectFields, ...scopeFields, fromTime: from, untilTime: until };
  return { fields, entry: { reason, cards, items, from, until } };
}

/** Cards whose numbers begin with the same digits as that of `card`. */
function sharing(card: number, digits: number): number[] {
  return CARDS.filter((other) => pan(other).slice(0, digits) === pan(card).slice(0, digits));
}

const ORDER = [
  "TERMINAL_LISTED",
  "ORGANISATION_LISTED",
  "CARD_LISTED",
  "NUMBER_RANGE_LISTED",
  "HOLDER_LISTED",
];

function expected(entries: Map<number, Entry>, card: number, item: number, now: number): string {
  const holding = [...entries.values()].filter((entry) => {
    if (entry.cards !== null && !entry.cards.includes(card)) return false;
    if (entry.items !== null && !entry.items.includes(item)) return false;
    return now >= entry.from && (entry.until === 0 || now < entry.until);
  });
  return ORDER.find((reason) => holding.some((entry) => entry.reason === reason)) ?? "APPROVED";
}

t.test("random changes: every use is answered as the model says", async (t) => {
  for (const seed of [1, 2, 3]) {
    const random = seeded(seed);
    const kit = kitOf(40);
    for (const card of CARDS.slice(1)) kit.expectDone(kit.card(card, CARD_EVENT.LOAD));
    const entries = new Map<number, Entry>();
    let wrong = 0;
    for (let step = 0; step < 1500; step++) {
      changeList(t, kit, entries, random);
      if (step % 10 === 0) kit.moveTo(kit.timeMs + random.below(2000));
      const card = random.pick(CARDS);
      const itemCode = random.pick([ITEM, HEALTH_ITEM]);
      const { name } = kit.use({ pan: pan(card), itemCode });
      if (name !== expected(entries, card, itemCode, kit.state.nowSeconds)) wrong++;
    }
    t.equal(wrong, 0, `seed ${seed}`);
    t.equal(kit.state.blacklist.count, entries.size);
    checkReplay(t, kit);
  }
});

/** Adds an entry (one of few numbers, so that many are used again) or removes one. */
function changeList(t: Test, kit: EngineKit, entries: Map<number, Entry>, random: Random): void {
  const entryId = 1 + random.below(60);
  if (random.below(100) < 45) {
    const outcome = kit.unlist(entryId);
    const right = entries.delete(entryId) ? "DONE" : "ENTRY_UNKNOWN";
    if (outcome !== right) t.equal(outcome, right);
    return;
  }
  const { fields, entry } = randomEntry(random);
  const outcome = kit.list({ ...fields, entryId });
  const known = entries.has(entryId);
  const right = known ? ["ENTRY_EXISTS", "DONE", "UNCHANGED"] : ["DONE", "TABLE_FULL"];
  if (!right.includes(outcome)) t.fail(`${outcome} for entry ${entryId}`);
  if (outcome === "TABLE_FULL" && entries.size !== 40) t.fail("the table is not full");
  if (outcome === "DONE" && !known) entries.set(entryId, entry);
}
