// Uses through the engine: repeats, business dates, memory that is full, reversals and advices.
// What a use may do at all is in ladder.test.ts.

import t, { type Test } from "tap";
import { addDays, dayOfDate } from "../engine/calendar.js";
import { COMMAND, LIST_ADD, LIST_ENTRY_SIZE, writeListEntry } from "../engine/commands.js";
import { CARD_EVENT, LIST_CAUSE, LIST_SUBJECT, PARTY_STATUS } from "../engine/domain.js";
import { State } from "../engine/state.js";
import { formatValid, readUse, USE_WORD, Use } from "../engine/use.js";
import {
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
} from "../protocol/mti.js";
import { DIFFERING_FIELDS } from "../protocol/outcome-record.js";
import {
  type Answer,
  BLOCK_SIZE_MAX,
  DAY_MS,
  EngineKit,
  ITEM,
  itemOf,
  pan,
  SENDER,
  START_MS,
  TODAY,
  tokenOf,
  type UseFields,
} from "./engine-kit.js";

const YESTERDAY = addDays(TODAY, -1);
const TOMORROW = addDays(TODAY, 1);
const MTIS = [MTI_USE_REQUEST, MTI_USE_ADVICE, MTI_REVERSAL_REQUEST, MTI_REVERSAL_ADVICE];

function counters(kit: EngineKit, index = 1, state = kit.state): [number, number] {
  const token = new Int32Array(tokenOf(pan(index)).buffer);
  const row = state.cards.index.find(token[0]!, token[1]!, token[2]!, token[3]!);
  return [state.cards.useCount(row), state.cards.amountMinorTotal(row)];
}

/** The kit's engine must be where its blocks alone lead to. */
function checkReplay(t: Test, kit: EngineKit): void {
  const replayed = kit.replayed();
  t.equal(replayed.hash(), kit.state.hash(), "the blocks lead to the same state");
}

t.test("a repeat gets the first outcome record, byte for byte", async (t) => {
  const kit = new EngineKit().usual();
  kit.use({ stan: 5 });
  const uses: UseFields[] = [
    { stan: 100 },
    { stan: 101, itemCode: 99 },
    { stan: 102, pan: pan(77) },
    { stan: 103, pan: pan(1).replace(/.$/, "x") },
    { stan: 104, amountMinor: -1 },
    { stan: 105, amountMinor: 50_001 },
    { stan: 106, mti: MTI_USE_ADVICE },
    { stan: 107, mti: MTI_USE_ADVICE, itemCode: 99 },
    { stan: 108, mti: MTI_REVERSAL_REQUEST, originalStan: 5, originalBusinessDate: TODAY },
    { stan: 109, mti: MTI_REVERSAL_REQUEST, originalStan: 5, originalBusinessDate: TODAY },
    { stan: 110, mti: MTI_REVERSAL_ADVICE, originalStan: 6, originalBusinessDate: TODAY },
  ].map((use) => ({ localTime: 9, ...use }));
  const first = uses.map((use) => kit.use(use));
  t.same(
    first.map((answer) => answer.responseCode),
    ["00", "12", "14", "14", "13", "61", "00", "00", "00", "94", "00"],
  );
  const before = kit.state.registers.position;
  checkRepeats(t, kit, uses, first);
  t.equal(kit.state.registers.position, before + uses.length, "a frame of repeats takes one place");
  kit.changeTerminal({ status: PARTY_STATUS.CLOSED });
  checkRepeats(t, kit, uses, first);
  checkReplay(t, kit);
  kit.moveTo(START_MS + DAY_MS);
  checkRepeats(t, kit.restarted(), uses, first);
});

function checkRepeats(t: Test, kit: EngineKit, uses: UseFields[], first: Answer[]): void {
  for (const [i, use] of uses.entries()) {
    const answer = kit.use({ businessDate: TODAY, ...use });
    t.equal(answer.hex, first[i]!.hex, `${first[i]!.name} again`);
  }
}

t.test("a repeat within the same frame is one, too", async (t) => {
  const kit = new EngineKit().usual();
  const [first, second] = kit.frame([{ stan: 1 }, { stan: 1 }]);
  t.equal(second!.hex, first!.hex);
  t.same(counters(kit), [1, 200]);
  checkReplay(t, kit);
});

t.test("other content under the same name is 94 with the first field that differs", async (t) => {
  const changes: [string, UseFields][] = [
    ["mti", { mti: MTI_USE_ADVICE }],
    ["pan", { pan: pan(2) }],
    ["itemCode", { itemCode: 98 }],
    ["amountMinor", { amountMinor: 3 }],
    ["amountMinor", { amountMinor: 2 ** 32 + 200 }],
    ["localTime", { localTime: 8 }],
    ["medium", { medium: 2 }],
  ];
  for (const first of [{ itemCode: ITEM }, { itemCode: 99 }]) {
    const kit = new EngineKit().usual();
    kit.use({ stan: 7, localTime: 9, ...first });
    const before = [counters(kit), kit.state.duplicates.count];
    for (const [field, change] of changes) {
      checkDiffers(t, kit.use({ stan: 7, localTime: 9, ...first, ...change }), field);
      const later = kit.use({ stan: 7, localTime: 7, medium: 2, ...first, ...change });
      checkDiffers(t, later, field === "medium" ? "localTime" : field);
    }
    const later = kit.restarted().use({ stan: 7, localTime: 9, ...first, amountMinor: 4 });
    checkDiffers(t, later, "amountMinor");
    t.same([counters(kit), kit.state.duplicates.count], before, "nothing changed");
    checkReplay(t, kit);
  }
});

function checkDiffers(t: Test, answer: Answer, field: string): void {
  t.equal(answer.responseCode, "94");
  t.equal(DIFFERING_FIELDS[answer.differingField], field);
  t.equal(answer.authorizationId, 0);
}

t.test("a reversal under the same name differs by its original, too", async (t) => {
  const kit = new EngineKit().usual();
  kit.use({ stan: 5 });
  const reversal = { mti: MTI_REVERSAL_REQUEST, stan: 7, localTime: 9 };
  kit.use({ ...reversal, originalStan: 5, originalBusinessDate: TODAY });
  const stan = kit.use({ ...reversal, originalStan: 6, originalBusinessDate: TODAY });
  checkDiffers(t, stan, "originalStan");
  const date = kit.use({ ...reversal, originalStan: 5, originalBusinessDate: YESTERDAY });
  checkDiffers(t, date, "originalBusinessDate");
  const old = kit.use({ ...reversal, originalStan: 5, originalBusinessDate: 20_240_101 });
  checkDiffers(t, old, "originalBusinessDate");
});

t.test("dates of the calendar are told from all other numbers", async (t) => {
  const use = new Use();
  const words = new Int32Array(16).fill(1, 4, 8);
  words[USE_WORD.KINDS] = 1;
  const wrong: number[] = [];
  for (let date = 20_230_000; date < 20_250_000; date++) check(date);
  for (const date of [-1, 0, 19_000_229, 19_691_231, 21_000_229, 24_000_229, 2 ** 31 - 1]) {
    check(date);
  }
  t.same(wrong, []);

  function check(date: number): void {
    words[USE_WORD.DATE] = date;
    readUse(use, MTI_USE_REQUEST, words, 0);
    if (formatValid(use) !== dayOfDate(date) >= 0) wrong.push(date);
  }
});

t.test("dates: those kept and the next are taken, and they roll over", async (t) => {
  const kit = new EngineKit().usual();
  const at = (businessDate: number, stan = 1) => kit.use({ businessDate, stan, localTime: 9 });
  const first = [YESTERDAY, TODAY, TOMORROW].map((date) => at(date));
  t.same(
    first.map((answer) => answer.responseCode),
    ["00", "00", "00"],
  );
  t.equal(at(addDays(TODAY, -2)).name, "DATE_TOO_OLD");
  t.equal(at(addDays(TODAY, 2)).name, "DATE_AHEAD");
  kit.moveTo(START_MS + DAY_MS);
  t.equal(at(YESTERDAY).responseCode, "68", "the oldest is dropped");
  t.equal(at(TODAY).hex, first[1]!.hex);
  t.equal(at(TOMORROW).hex, first[2]!.hex);
  t.equal(at(addDays(TODAY, 2)).responseCode, "00");
  t.equal(kit.state.duplicates.count, 3);
  kit.moveTo(START_MS + 30 * DAY_MS);
  t.equal(kit.state.duplicates.count, 3, "an empty block forgets nothing");
  t.equal(at(addDays(TODAY, 30)).responseCode, "00");
  t.equal(kit.state.duplicates.count, 1, "after a month nothing else is remembered");
  kit.moveTo(START_MS);
  t.equal(kit.state.businessDate, addDays(TODAY, 30), "time never goes back");
  checkReplay(t, kit);
});

t.test("as many dates are kept as configured, and the cutover is the operator's", async (t) => {
  for (const businessDatesKept of [1, 2, 7]) {
    const kit = new EngineKit({ businessDatesKept }).usual();
    for (let back = 0; back < 9; back++) {
      const { responseCode } = kit.use({ businessDate: addDays(TODAY, -back), stan: 1 });
      t.equal(responseCode, back < businessDatesKept ? "00" : "68", `${back} days back`);
    }
    checkReplay(t, kit);
  }
  const late = { utcOffsetMinutes: 480, cutoverMinutes: 240 };
  const kit = new EngineKit({ businessDay: late }, Date.UTC(2025, 1, 28, 16));
  t.equal(kit.state.businessDate, YESTERDAY, "it is midnight, but before the cutover");
  kit.moveTo(Date.UTC(2025, 1, 28, 20));
  t.equal(kit.state.businessDate, TODAY);
});

t.test("every day of four years has a table for each of its dates", async (t) => {
  const state = new State(new EngineKit().limits);
  for (let day = 0; day < 4 * 366; day++) {
    state.advanceTime(Date.UTC(2023, 0, 1) + day * DAY_MS);
    const { businessDate, duplicates } = state;
    const dates = [-1, 0, 1].map((n) => addDays(businessDate, n));
    const kept = dates.every((date) => duplicates.of(date).businessDate === date);
    if (!kept) t.fail(`dates around ${businessDate}`);
  }
  t.equal(state.businessDate, 20_270_103);
});

t.test("with no room to remember, 91 and nothing changes", async (t) => {
  const kit = new EngineKit({ usesPerDateMax: 4 }).usual();
  const first = [1, 2, 3, 4].map((stan) => kit.use({ stan, localTime: 9 }));
  const before = counters(kit);
  for (const mti of MTIS) {
    const original = { originalStan: mti >= 0x400 ? 90 : 0 };
    const originalBusinessDate = mti >= 0x400 ? TODAY : 0;
    const answer = kit.use({ mti, stan: 5, ...original, originalBusinessDate });
    t.same([answer.name, answer.responseCode], ["DUPLICATES_FULL", "91"]);
    t.equal(answer.flags, 0);
  }
  t.same(counters(kit), before);
  t.equal(kit.state.duplicates.count, 4);
  t.equal(kit.use({ stan: 1, localTime: 9 }).hex, first[0]!.hex, "repeats are answered");
  t.equal(kit.use({ stan: 5, businessDate: TOMORROW }).responseCode, "00", "other dates go on");
  checkReplay(t, kit);
});

t.test("a full date's uses can still be reversed", async (t) => {
  const kit = new EngineKit({ usesPerDateMax: 3 }).usual();
  const reversal = { mti: MTI_REVERSAL_REQUEST, originalBusinessDate: TODAY };
  kit.use({ stan: 1 });
  kit.use({ stan: 2 });
  t.equal(kit.use({ ...reversal, stan: 8, originalStan: 90 }).responseCode, "91", "needs two rows");
  t.equal(kit.use({ ...reversal, stan: 9, originalStan: 1 }).responseCode, "00", "needs one row");
  const later = { ...reversal, businessDate: TOMORROW };
  t.equal(kit.use({ ...later, stan: 1, originalStan: 2 }).responseCode, "00");
  t.equal(kit.use({ ...later, stan: 2, originalStan: 91 }).responseCode, "91");
  t.same(counters(kit), [0, 0]);
  checkReplay(t, kit);
});

t.test("a reversal undoes once", async (t) => {
  const kit = new EngineKit().usual();
  kit.use({ stan: 1, amountMinor: 500 });
  kit.use({ stan: 2, amountMinor: 70 });
  const reversal = { mti: MTI_REVERSAL_REQUEST, originalStan: 1, originalBusinessDate: TODAY };
  const first = kit.use({ ...reversal, stan: 3, amountMinor: 500, localTime: 9 });
  t.same([first.name, first.responseCode], ["APPROVED", "00"]);
  t.ok(first.authorizationId > 0);
  t.same(counters(kit), [1, 70]);
  const again = kit.use({ ...reversal, stan: 3, amountMinor: 500, localTime: 9 });
  t.equal(again.hex, first.hex, "sent again it is a repeat");
  const other = kit.use({ ...reversal, stan: 4, amountMinor: 500 });
  t.same([other.name, other.responseCode], ["ALREADY_REVERSED", "94"]);
  const advice = kit.use({ ...reversal, mti: MTI_REVERSAL_ADVICE, stan: 5, amountMinor: 500 });
  t.same([advice.name, advice.responseCode, advice.flags], ["ALREADY_REVERSED", "00", 1]);
  const ofReversal = kit.use({ ...reversal, stan: 6, originalStan: 3, amountMinor: 500 });
  t.equal(ofReversal.name, "ORIGINAL_DECLINED", "a reversal is no use to undo");
  t.same(counters(kit), [1, 70]);
  checkReplay(t, kit);
});

t.test("a reversal advice undoes; so does a reversal of an advice", async (t) => {
  const kit = new EngineKit().usual();
  const original = { originalBusinessDate: TODAY };
  kit.use({ stan: 1 });
  const advice = kit.use({ ...original, mti: MTI_REVERSAL_ADVICE, stan: 2, originalStan: 1 });
  t.same([advice.name, advice.flags], ["APPROVED", 0]);
  t.same(counters(kit), [0, 0]);
  kit.use({ mti: MTI_USE_ADVICE, stan: 3, amountMinor: 60_000 });
  t.same(counters(kit), [1, 60_000], "declined, and yet it has happened");
  const of = { ...original, stan: 4, originalStan: 3, amountMinor: 60_000 };
  t.equal(kit.use({ ...of, mti: MTI_REVERSAL_REQUEST }).name, "APPROVED");
  t.same(counters(kit), [0, 0]);
  checkReplay(t, kit);
});

t.test("a reversal on the day after, and its repeat when the original is forgotten", async (t) => {
  const kit = new EngineKit().usual();
  kit.use({ stan: 1, businessDate: YESTERDAY });
  const reversal = {
    mti: MTI_REVERSAL_REQUEST,
    stan: 2,
    localTime: 9,
    businessDate: TODAY,
    originalStan: 1,
    originalBusinessDate: YESTERDAY,
  };
  const first = kit.use(reversal);
  t.equal(first.name, "APPROVED");
  kit.moveTo(START_MS + DAY_MS);
  t.equal(kit.use(reversal).hex, first.hex, "the reversal is remembered, if not its original");
  t.equal(kit.use({ ...reversal, stan: 3 }).name, "DATE_TOO_OLD");
  checkReplay(t, kit);
});

t.test("a reversal that comes first is remembered and its original declined", async (t) => {
  let kit = new EngineKit().usual();
  const reversal = { mti: MTI_REVERSAL_REQUEST, originalStan: 50, originalBusinessDate: TODAY };
  t.equal(kit.use({ ...reversal, stan: 1, localTime: 9 }).name, "ORIGINAL_NOT_FOUND");
  t.equal(kit.use({ ...reversal, stan: 2 }).name, "ORIGINAL_NOT_FOUND", "by another STAN again");
  t.equal(kit.state.duplicates.count, 3, "two reversals and one row that waits");
  kit = kit.restarted();
  const original = kit.use({ stan: 50, localTime: 9 });
  t.same([original.name, original.responseCode], ["REVERSAL_CAME_FIRST", "68"]);
  t.equal(kit.use({ stan: 50, localTime: 9 }).hex, original.hex);
  t.equal(kit.use({ stan: 50, localTime: 8 }).name, "DUPLICATE_DIFFERS");
  t.equal(kit.use({ ...reversal, stan: 1, localTime: 9 }).responseCode, "25", "its first answer");
  t.equal(kit.use({ ...reversal, stan: 3 }).name, "ALREADY_REVERSED");
  t.same(counters(kit), [0, 0]);
  checkReplay(t, kit);
});

t.test("an awaited original that comes as an advice is taken and not counted", async (t) => {
  const kit = new EngineKit().usual();
  const reversal = { originalStan: 50, originalBusinessDate: TODAY, mti: MTI_REVERSAL_ADVICE };
  kit.use({ ...reversal, stan: 1 });
  const advice = kit.use({ stan: 50, mti: MTI_USE_ADVICE });
  t.same([advice.name, advice.responseCode, advice.flags], ["REVERSAL_CAME_FIRST", "00", 1]);
  t.same(counters(kit), [0, 0]);
  checkReplay(t, kit);
});

t.test("reversals that name themselves or wait in a circle change nothing", async (t) => {
  const kit = new EngineKit().usual();
  const reversal = { mti: MTI_REVERSAL_REQUEST, originalBusinessDate: TODAY };
  t.equal(kit.use({ ...reversal, stan: 1, originalStan: 1 }).name, "ORIGINAL_NOT_FOUND");
  t.equal(kit.use({ ...reversal, stan: 2, originalStan: 3 }).name, "ORIGINAL_NOT_FOUND");
  t.equal(kit.use({ ...reversal, stan: 3, originalStan: 2 }).name, "ORIGINAL_DECLINED");
  t.equal(kit.use({ ...reversal, stan: 4, originalStan: 5 }).name, "ORIGINAL_NOT_FOUND");
  t.equal(kit.use({ ...reversal, stan: 5, originalStan: 5 }).name, "ORIGINAL_NOT_FOUND");
  t.equal(kit.use({ ...reversal, stan: 6, originalStan: 5 }).name, "ALREADY_REVERSED");
  t.same(counters(kit), [0, 0]);
  checkReplay(t, kit);
});

t.test("another terminal's reversal does not find the original", async (t) => {
  const kit = new EngineKit().usual();
  const terminalId = SENDER + 1;
  kit.terminal({ terminalId });
  kit.session({ terminalId });
  kit.use({ stan: 1 });
  const reversal = { mti: MTI_REVERSAL_REQUEST, originalStan: 1, originalBusinessDate: TODAY };
  const answer = kit.use({ ...reversal, stan: 2, terminalId, senderId: terminalId });
  t.equal(answer.name, "ORIGINAL_NOT_FOUND");
  t.same(counters(kit), [1, 200]);
});

t.test("an advice is recorded, counted when the card is known, and flagged", async (t) => {
  const kit = new EngineKit().usual();
  kit.expectDone(kit.card(2, CARD_EVENT.LOAD, { status: 4 }));
  const advice = (fields: UseFields) => kit.use({ mti: MTI_USE_ADVICE, ...fields });
  const told: [UseFields, string, [number, number]][] = [
    [{}, "APPROVED", [1, 200]],
    [{ itemCode: 99 }, "ITEM_UNKNOWN", [2, 400]],
    [{ amountMinor: 10 ** 12 }, "AMOUNT_INVALID", [2, 400]],
    [{ amountMinor: -5 }, "AMOUNT_INVALID", [2, 400]],
    [{ pan: pan(9) }, "CARD_UNKNOWN", [2, 400]],
    [{ medium: 2 }, "MEDIUM_DIFFERS", [3, 600]],
  ];
  for (const [fields, name, counted] of told) {
    const answer = advice(fields);
    t.same([answer.responseCode, answer.name], ["00", name]);
    t.equal(answer.flags, name === "APPROVED" ? 0 : 1);
    t.equal(answer.authorizationId > 0, name === "APPROVED");
    t.same(counters(kit), counted);
  }
  t.equal(advice({ pan: pan(2) }).name, "CARD_LOST");
  t.same(counters(kit, 2), [1, 200]);
  checkReplay(t, kit);
});

t.test("a concentrator speaks for its terminals, and no other", async (t) => {
  const kit = new EngineKit().usual();
  const [gate, stranger] = [SENDER + 1, SENDER + 2];
  kit.expectDone(kit.terminal({ terminalId: gate, concentratorId: SENDER }));
  kit.expectDone(kit.terminal({ terminalId: stranger }));
  kit.expectDone(kit.session({ terminalId: stranger }));
  const [own, forGate] = kit.frame([{ stan: 1 }, { stan: 1, terminalId: gate, localTime: 9 }]);
  t.same([own!.name, forGate!.name], ["APPROVED", "APPROVED"]);
  t.not(own!.rrn, forGate!.rrn, "a STAN is unique by terminal");
  const other = kit.use({ stan: 2, terminalId: gate, senderId: stranger });
  t.equal(other.name, "TERMINAL_NOT_OF_SENDER");
  kit.expectDone(kit.session({ terminalId: gate }));
  const itself = kit.use({ stan: 1, terminalId: gate, senderId: gate, localTime: 9 });
  t.equal(itself.hex, forGate!.hex, "the repeat may come by another way");
  kit.expectDone(kit.changeTerminal({ terminalId: gate }));
  t.equal(kit.use({ stan: 3, terminalId: gate }).name, "TERMINAL_NOT_OF_SENDER");
  checkReplay(t, kit);
});

t.test("a use is stamped with the catalogue in force and the card's last use", async (t) => {
  const kit = new EngineKit().usual();
  kit.use({ stan: 1 });
  kit.expectDone(kit.catalogue(2, [itemOf({ itemCode: 5 })]));
  t.equal(kit.use({ stan: 2 }).name, "ITEM_UNKNOWN", "the new version binds the next use");
  t.equal(kit.use({ stan: 3, itemCode: 5 }).name, "APPROVED");
  t.equal(kit.state.cards.lastUseTime(1), START_MS / 1000);
  t.equal(kit.state.cards.lastUseTerminalId(1), SENDER);
  checkReplay(t, kit);
});

t.test("what the shell must not do fails at once", async (t) => {
  const kit = new EngineKit().usual();
  const { engine, state } = kit;
  kit.seal();
  t.ok(engine.idle);
  t.throws(() => engine.closeBlock(), /something to close/);
  t.throws(() => engine.sealed(), /a block was closed/);
  const row = state.parties.find(SENDER);
  const base = state.sessions.find(row, 1, state.nowSeconds);
  kit.use();
  t.throws(() => engine.beginFrame(MTI_USE_REQUEST, row, 1, base, 1), /a sequence is taken once/);
  kit.seal();
  for (const timeMs of [Number.NaN, 1.5, -1, 0]) {
    kit.timeMs = START_MS;
    t.throws(() => kit.moveTo(timeMs), /whole milliseconds/, String(timeMs));
  }
});

t.test("a block takes what fits it and no more", async (t) => {
  const kit = new EngineKit().usual();
  kit.seal();
  const sizeMax = BLOCK_SIZE_MAX;
  t.ok(kit.engine.fits(sizeMax - 128 - 24 - 8));
  t.notOk(kit.engine.fits(sizeMax - 128 - 24 - 7));
  kit.frame(Array.from({ length: 4096 }, () => ({})));
  t.equal(kit.state.cards.useCount(1), 4096);
  t.equal(kit.state.registers.position, kit.positions() + 4096, "each use takes one position");
  checkReplay(t, kit);
});

t.test("a command may come in a Buffer, whose slice is no copy", async (t) => {
  const kit = new EngineKit().usual();
  const bytes = Buffer.alloc(LIST_ENTRY_SIZE);
  const subject = { subjectToken: tokenOf(pan(1)), subjectId: 0, subjectKind: LIST_SUBJECT.CARD };
  const terms = { scopeKind: 0, cause: LIST_CAUSE.FRAUD, scopeValue: 0, prefixDigits: 0 };
  const times = { entryId: 0, fromTime: 0, untilTime: 0, organisationId: 0 };
  writeListEntry(bytes, 0, { ...subject, ...terms, ...times, action: LIST_ADD });
  kit.expectDone(kit.command(COMMAND.LIST_ENTRY, bytes));
  t.equal(kit.use({ stan: 1 }).name, "CARD_LISTED");
  checkReplay(t, kit);
});
