// Commands through the engine: card events, catalogue, organisations, terminals and sessions.
// The blacklist has a file of its own.

import fc from "fast-check";
import t, { type Test } from "tap";
import { BlockReader, BlockWriter, sealBlock } from "../engine/block.js";
import { catalogueProblem, regionRange } from "../engine/catalogue.js";
import {
  CARD_EVENT_SIZE,
  type CatalogueItem,
  type CatalogueVersion,
  COMMAND,
  DOCUMENT_SIZE_MAX,
  type Organisation,
  type TerminalCommand,
  writeCardEvent,
} from "../engine/commands.js";
import { CARD_EVENT, CARD_STATUS } from "../engine/domain.js";
import { replayBlock } from "../engine/replay.js";
import {
  DAY_MS,
  EngineKit,
  holderToken,
  itemOf,
  organisationOf,
  pan,
  SENDER,
  START_MS,
  tokenOf,
} from "./engine-kit.js";

type EventName = keyof typeof CARD_EVENT;
type StatusName = keyof typeof CARD_STATUS;

/** Rows: the state before. Cells: the state after, "=" unchanged, "-" not allowed. */
const CARD_EVENTS = `
  before          ACTIVATE  LOSE_TEMPORARY  LOSE  RELEASE  CANCEL     REPLACED-BY
  ISSUED          ACTIVE    LOST_TEMPORARY  LOST  =        CANCELLED  REPLACED
  ACTIVE          =         LOST_TEMPORARY  LOST  =        CANCELLED  REPLACED
  LOST_TEMPORARY  -         =               LOST  ACTIVE   CANCELLED  REPLACED
  LOST            -         -               =     ACTIVE   CANCELLED  REPLACED
  SEALED          -         -               -     -        CANCELLED  REPLACED
  LOCKED          -         -               -     -        CANCELLED  REPLACED
  REPLACED        -         -               -     -        -          -
  CANCELLED       -         -               -     -        =          -
`;

function statusOf(kit: EngineKit, index: number): StatusName | "" {
  const token = new Int32Array(tokenOf(pan(index)).buffer);
  const row = kit.state.cards.index.find(token[0]!, token[1]!, token[2]!, token[3]!);
  if (row === 0) return "";
  const names = Object.keys(CARD_STATUS) as StatusName[];
  return names.find((name) => CARD_STATUS[name] === kit.state.cards.status(row))!;
}

function checkReplay(t: Test, kit: EngineKit): void {
  t.equal(kit.replayed().hash(), kit.state.hash(), "the blocks lead to the same state");
}

t.test("card events: every event from every state", async (t) => {
  const [head, ...rows] = CARD_EVENTS.trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  for (const [before, ...cells] of rows) {
    for (const [i, cell] of cells.entries()) {
      const kit = new EngineKit();
      const status = CARD_STATUS[before as StatusName];
      kit.expectDone(kit.card(1, CARD_EVENT.LOAD, { status }));
      checkEvent(t, kit, before as StatusName, head![i + 1]!, cell);
    }
  }
});

function checkEvent(t: Test, kit: EngineKit, before: StatusName, event: string, cell: string) {
  const outcome =
    event === "REPLACED-BY"
      ? kit.card(2, CARD_EVENT.REPLACE, {
          previousToken: tokenOf(pan(1)),
          holderToken: holderToken(1),
        })
      : kit.card(1, CARD_EVENT[event as EventName]);
  const what = `${event} from ${before}`;
  const expected = cell === "=" ? "UNCHANGED" : cell === "-" ? "TRANSITION_NOT_ALLOWED" : "DONE";
  t.equal(outcome, expected, what);
  t.equal(statusOf(kit, 1), expected === "DONE" ? cell : before, what);
  const replaced = event === "REPLACED-BY" && expected === "DONE";
  t.equal(statusOf(kit, 2), replaced ? "ISSUED" : "", what);
  kit.state.invariants();
  if (expected === "DONE") checkReplay(t, kit);
}

t.test("card events: a release goes back to where the card was", async (t) => {
  const kit = new EngineKit();
  kit.expectDone(kit.card(1, CARD_EVENT.ISSUE));
  kit.expectDone(kit.card(1, CARD_EVENT.LOSE_TEMPORARY));
  kit.expectDone(kit.card(1, CARD_EVENT.LOSE));
  kit.expectDone(kit.card(1, CARD_EVENT.RELEASE));
  t.equal(statusOf(kit, 1), "ISSUED", "never active: it still needs activation");
  kit.expectDone(kit.card(1, CARD_EVENT.ACTIVATE));
  kit.expectDone(kit.card(1, CARD_EVENT.LOSE));
  kit.expectDone(kit.card(1, CARD_EVENT.RELEASE));
  t.equal(statusOf(kit, 1), "ACTIVE");
  checkReplay(t, kit);
});

t.test("card events: issue, load and replace again", async (t) => {
  const kit = new EngineKit();
  for (const event of ["ACTIVATE", "LOSE_TEMPORARY", "LOSE", "RELEASE", "CANCEL"] as const) {
    t.equal(kit.card(1, CARD_EVENT[event]), "CARD_UNKNOWN", event);
  }
  t.equal(kit.card(1, CARD_EVENT.ISSUE), "DONE");
  t.equal(kit.card(1, CARD_EVENT.ISSUE), "UNCHANGED");
  t.equal(kit.card(1, CARD_EVENT.LOAD), "UNCHANGED");
  t.equal(kit.card(1, CARD_EVENT.ISSUE, { expiryDay: 1 }), "CARD_EXISTS");
  t.equal(kit.card(1, CARD_EVENT.ISSUE, { holderToken: holderToken(2) }), "HOLDER_DIFFERS");
  const replace = { previousToken: tokenOf(pan(1)), holderToken: holderToken(1) };
  const wrongHolder = { ...replace, holderToken: holderToken(2) };
  t.equal(kit.card(2, CARD_EVENT.REPLACE, wrongHolder), "HOLDER_DIFFERS");
  t.equal(kit.card(2, CARD_EVENT.REPLACE, { ...replace, medium: 2 }), "TRANSITION_NOT_ALLOWED");
  const unknown = { ...replace, previousToken: tokenOf(pan(9)) };
  t.equal(kit.card(2, CARD_EVENT.REPLACE, unknown), "PREVIOUS_CARD_UNKNOWN");
  t.equal(kit.card(2, CARD_EVENT.REPLACE, replace), "DONE");
  t.equal(kit.card(2, CARD_EVENT.REPLACE, replace), "UNCHANGED");
  t.equal(kit.card(3, CARD_EVENT.REPLACE, replace), "TRANSITION_NOT_ALLOWED", "replaced once");
  checkReplay(t, kit);
});

t.test("card events: a command may begin at any byte", async (t) => {
  const kit = new EngineKit();
  const bounds = { regionCode: 999_999, expiryDay: 65_535, organisationId: 4_294_967_295 };
  for (let offset = 0; offset < 8; offset++) {
    const bytes = new Uint8Array(CARD_EVENT_SIZE + 8).fill(0xff);
    writeCardEvent(bytes, offset, {
      token: tokenOf(pan(offset)),
      holderToken: holderToken(offset),
      previousToken: null,
      event: CARD_EVENT.LOAD,
      medium: 1,
      status: CARD_STATUS.CANCELLED,
      ...bounds,
    });
    const command = bytes.subarray(offset, offset + CARD_EVENT_SIZE);
    t.equal(kit.command(COMMAND.CARD_EVENT, command), "DONE", `at byte ${offset}`);
    const { cards } = kit.state;
    const row = offset + 1;
    t.equal(statusOf(kit, offset), "CANCELLED", "found by its token");
    t.equal(cards.expiryDay(row), bounds.expiryDay);
    t.equal(cards.regionCode(row), bounds.regionCode);
  }
  t.equal(kit.card(9, CARD_EVENT.LOAD, { regionCode: 4_294_967_295 }), "COMMAND_INVALID");
  checkReplay(t, kit);
});

t.test("card events: an electronic card is for a holder with a card", async (t) => {
  const kit = new EngineKit();
  const electronic = { medium: 2, holderToken: holderToken(1) };
  t.equal(kit.card(5, CARD_EVENT.ISSUE, electronic), "HOLDER_WITHOUT_CARD");
  t.equal(kit.card(6, CARD_EVENT.LOAD, electronic), "DONE", "what exists is taken over");
  t.equal(kit.card(5, CARD_EVENT.ISSUE, electronic), "HOLDER_WITHOUT_CARD");
  kit.expectDone(kit.card(1, CARD_EVENT.ISSUE));
  kit.expectDone(kit.card(1, CARD_EVENT.LOSE));
  t.equal(kit.card(5, CARD_EVENT.ISSUE, electronic), "DONE");
  kit.expectDone(kit.card(1, CARD_EVENT.CANCEL));
  t.equal(kit.card(7, CARD_EVENT.ISSUE, electronic), "HOLDER_WITHOUT_CARD");
  kit.expectDone(kit.card(2, CARD_EVENT.LOAD, { holderToken: holderToken(1), status: 8 }));
  t.equal(kit.card(7, CARD_EVENT.ISSUE, electronic), "HOLDER_WITHOUT_CARD", "ended cards are none");
  checkReplay(t, kit);
});

t.test("card events: commands that are invalid change nothing", async (t) => {
  const kit = new EngineKit({ cardsMax: 2 });
  const zero = new Uint8Array(16);
  const before = kit.state.hash();
  for (const fields of [
    { medium: 0 },
    { medium: 3 },
    { regionCode: 46 },
    { regionCode: 1_000_000 },
    { status: 2 },
    { token: zero },
    { holderToken: zero },
  ]) {
    t.equal(kit.card(1, CARD_EVENT.ISSUE, fields), "COMMAND_INVALID", JSON.stringify(fields));
  }
  t.equal(kit.card(1, CARD_EVENT.LOAD, { status: 0 }), "COMMAND_INVALID");
  t.equal(kit.card(1, CARD_EVENT.LOAD, { status: 9 }), "COMMAND_INVALID");
  t.equal(kit.card(1, CARD_EVENT.REPLACE, {}), "COMMAND_INVALID", "replaces nothing");
  t.equal(kit.card(1, 8), "COMMAND_INVALID");
  t.equal(kit.card(1, 255), "COMMAND_INVALID");
  t.equal(kit.state.hash(), before);
  kit.expectDone(kit.card(1, CARD_EVENT.ISSUE));
  kit.expectDone(kit.card(2, CARD_EVENT.ISSUE));
  t.equal(kit.card(3, CARD_EVENT.ISSUE), "TABLE_FULL");
  const replace = { previousToken: tokenOf(pan(1)), holderToken: holderToken(1) };
  t.equal(kit.card(3, CARD_EVENT.REPLACE, replace), "TABLE_FULL");
  t.equal(statusOf(kit, 1), "ISSUED", "and the card that was to end has not");
  checkReplay(t, kit);
});

t.test("any bytes of any kind of command are judged, and replayed if done", async (t) => {
  const kit = new EngineKit().usual();
  const sizes = { 1: 64, 2: 64, 3: 96, 4: 0, 5: 0, 6: 64, 7: 64 } as Record<number, number>;
  const commands = fc.integer({ min: 1, max: 7 }).chain((kind) => {
    const size = sizes[kind]!;
    const lengths = size === 0 ? { maxLength: 40 } : { minLength: size, maxLength: size };
    const small = fc.constantFrom(0, 0, 0, 0, 1, 2, 4, 7, 255);
    return fc.tuple(fc.constant(kind), fc.uint8Array({ ...lengths }), fc.array(small, lengths));
  });
  fc.assert(
    fc.property(commands, ([kind, bytes, small]) => {
      kit.command(kind, bytes);
      kit.command(kind, Uint8Array.from(small));
    }),
    { seed: 3, numRuns: 2000 },
  );
  checkReplay(t, kit);
});

const item = (fields: Partial<Record<keyof CatalogueItem, unknown>>) => [
  itemOf(fields as Partial<CatalogueItem>),
];
const [bus, other] = [itemOf({ function: "bus" }), itemOf({ itemCode: 4, function: "bus" })];
/** What the problem says, and what makes it so; "" no problem. */
const CATALOGUES: [string, Partial<Record<keyof CatalogueVersion, unknown>>][] = [
  ["version", { version: 0 }],
  ["version", { version: 1.5 }],
  ["version", { version: "2" }],
  ["version", { version: 2 ** 31 }],
  ["effectiveDate is not", { effectiveDate: 20_250_229 }],
  ["effectiveDate is not", { effectiveDate: "20250301" }],
  ["article 19", { effectiveDate: 20_191_231 }],
  ["items is not a list", { items: {} }],
  ["1 to 10000", { items: [] }],
  ["not an object", { items: [null] }],
  ["itemCode", { items: item({ itemCode: 0 }) }],
  ["itemCode", { items: item({ itemCode: 10 ** 8 }) }],
  ["no name", { items: item({ name: "" }) }],
  ["no function", { items: item({ function: 3 }) }],
  ["domain", { items: item({ domain: "" }) }],
  ["domain", { items: item({ domain: "tramway" }) }],
  ["kind", { items: item({ kind: "toll" }) }],
  ["no regions", { items: item({ regions: [] }) }],
  ["2, 4 or 6 digits", { items: item({ regions: [46, 460] }) }],
  ["no media", { items: item({ media: [] }) }],
  ["no media", { items: item({ media: ["paper"] }) }],
  ["startDate", { items: item({ startDate: 20_240_230 }) }],
  ["startDate", { items: item({ startDate: "20240201" }) }],
  ["startDate", { items: item({ startDate: undefined }) }],
  ["endDate", { items: item({ startDate: 20_240_201, endDate: 20_240_131 }) }],
  ["endDate", { items: item({ endDate: "20240131" }) }],
  ["endDate", { items: item({ endDate: undefined }) }],
  ["amountMinorMax", { items: item({ amountMinorMax: -1 }) }],
  ["amountMinorMax", { items: item({ amountMinorMax: 10 ** 12 }) }],
  ["amountMinorMax", { items: item({ amountMinorMax: 0.5 }) }],
  ["itemCode stands twice", { items: [bus, { ...bus, function: "x" }] }],
  ["article 8", { items: [bus, other] }],
  ["article 8", { items: [bus, { ...other, regions: [460_105] }] }],
  [
    "article 8",
    {
      items: [
        { ...bus, endDate: 20_240_101 },
        { ...other, startDate: 20_240_101 },
      ],
    },
  ],
  [
    "",
    {
      items: [
        { ...bus, endDate: 20_240_101 },
        { ...other, startDate: 20_240_102 },
      ],
    },
  ],
  [
    "",
    {
      items: [
        { ...bus, regions: [4601] },
        { ...other, regions: [4602, 4603] },
      ],
    },
  ],
  ["", { items: [bus, { ...other, function: "tram" }] }],
];

t.test("catalogue: what may not be published", async (t) => {
  const valid = { version: 1, effectiveDate: 20_200_101, items: item({}) };
  for (const [problem, fields] of CATALOGUES) {
    const catalogue = { ...valid, ...fields } as CatalogueVersion;
    const found = catalogueProblem(catalogue);
    t.ok(problem === "" ? found === "" : found.includes(problem), `${problem}: ${found}`);
    const kit = new EngineKit();
    kit.expectDone(kit.organisation());
    const outcome = kit.document(COMMAND.CATALOGUE, catalogue);
    t.equal(outcome, problem === "" ? "DONE" : "CATALOGUE_INVALID");
  }
});

t.test("commands of a wrong size or kind are invalid", async (t) => {
  const kit = new EngineKit().usual();
  const before = kit.state.hash();
  for (const kind of [COMMAND.CARD_EVENT, COMMAND.LIST_ENTRY, COMMAND.TERMINAL, COMMAND.SESSION]) {
    for (const size of [0, 1, 63, 65, 95, 97, 200]) {
      t.equal(kit.command(kind, new Uint8Array(size)), "COMMAND_INVALID", `${kind}: ${size} bytes`);
    }
  }
  t.equal(kit.command(0, new Uint8Array(64)), "COMMAND_INVALID");
  t.equal(kit.command(0x800, new Uint8Array(64)), "COMMAND_INVALID");
  t.equal(kit.state.hash(), before);
});

t.test("commands: an entry holds many of one size, or one document", async (t) => {
  const kit = new EngineKit();
  const document = (organisationId: number) =>
    new TextEncoder().encode(JSON.stringify(organisationOf({ organisationId })));
  kit.engine.beginCommands(COMMAND.ORGANISATION);
  t.equal(kit.engine.command(COMMAND.ORGANISATION, document(1)), 0);
  t.throws(() => kit.engine.command(COMMAND.ORGANISATION, document(2)), /its own entry/);
  kit.engine.endCommands();
  checkReplay(t, kit);
});

t.test("catalogue: texts that are no catalogue", async (t) => {
  const kit = new EngineKit();
  for (const text of ["", "{", "null", "[]", "7", '"x"', "\u0000", "{}", "[[[["]) {
    const bytes = new TextEncoder().encode(text);
    t.equal(kit.command(COMMAND.CATALOGUE, bytes), "CATALOGUE_INVALID", text);
    t.equal(kit.command(COMMAND.ORGANISATION, bytes), "COMMAND_INVALID", text);
  }
  const long = new Uint8Array(DOCUMENT_SIZE_MAX + 1).fill(32);
  kit.engine.beginCommands(COMMAND.CATALOGUE);
  t.equal(kit.engine.command(COMMAND.CATALOGUE, long), 17);
  kit.engine.endCommands();
  t.ok(kit.engine.idle);
});

t.test("catalogue: versions go up and come into force on their day", async (t) => {
  const kit = new EngineKit().usual();
  const two = [itemOf({ itemCode: 5 })];
  t.equal(kit.catalogue(3, two, 20_250_303), "DONE");
  t.equal(kit.catalogue(3, two, 20_250_303), "UNCHANGED");
  t.equal(kit.catalogue(3, two, 20_250_304), "CATALOGUE_VERSION_EXISTS", "versions never change");
  t.equal(kit.catalogue(2, two), "CATALOGUE_VERSION_EXISTS", "nor come between");
  t.equal(kit.state.catalogue.version, 1);
  t.same(kit.state.catalogue.versions(), [1, 3]);
  kit.moveTo(START_MS + DAY_MS);
  t.equal(kit.use({ itemCode: 5 }).name, "ITEM_UNKNOWN");
  kit.moveTo(Date.UTC(2025, 2, 2, 16));
  t.equal(kit.state.catalogue.version, 3, "from midnight in UTC+8");
  t.equal(kit.use({ itemCode: 5 }).name, "APPROVED");
  t.equal(kit.catalogue(4, [itemOf()], 20_250_303), "DONE");
  t.equal(kit.state.catalogue.version, 4, "of two for one day, the later");
  t.equal(kit.use({ itemCode: 5 }).name, "ITEM_UNKNOWN");
  t.same(kit.state.catalogue.document(3)?.items, two);
  checkReplay(t, kit);
  t.equal(kit.restarted().state.catalogue.version, 4);
});

t.test("catalogue: organisations must be there, and old journals stay readable", async (t) => {
  const kit = new EngineKit().usual();
  const strange = [itemOf(), itemOf({ itemCode: 5, function: "f", organisationId: 9 })];
  t.equal(kit.catalogue(2, strange), "ORGANISATION_UNKNOWN");
  t.equal(kit.state.catalogue.version, 1);
  kit.expectDone(kit.organisation({ organisationId: 9 }));
  t.equal(kit.catalogue(2, strange), "DONE");
  checkReplay(t, kit);
  // A block of a version that did not ask for them: it was answered, so it is applied.
  const { registers, catalogue } = kit.state;
  kit.seal();
  const block = new BlockWriter(65_536);
  block.begin(registers.position + 1, registers.timeMs, 2, registers.blacklistPosition);
  block.beginEntry(COMMAND.CATALOGUE, 0, 0, 0);
  const items = [itemOf({ organisationId: 77 })];
  const old = { version: 3, effectiveDate: 20_200_101, items };
  block.addBytes(new TextEncoder().encode(JSON.stringify(old)));
  block.endEntry();
  block.close(registers.blockHash);
  sealBlock(block.written);
  const bytes = block.written.slice();
  replayBlock(kit.state, new BlockReader(bytes), { decideAgain: true });
  t.equal(catalogue.version, 3);
});

t.test("regions are half-open ranges of six-digit codes", async (t) => {
  t.same(regionRange(46), [460_000, 470_000]);
  t.same(regionRange(4601), [460_100, 460_200]);
  t.same(regionRange(460_000), [460_000, 470_000]);
  t.same(regionRange(460_100), [460_100, 460_200]);
  t.same(regionRange(469_005), [469_005, 469_006]);
  for (const code of [0, 9, 460, 46_010, 1_000_000, -46, 46.5, Number.NaN]) {
    t.equal(regionRange(code), null, String(code));
  }
});

t.test("organisations", async (t) => {
  const kit = new EngineKit().usual();
  t.equal(kit.organisation(), "UNCHANGED");
  t.equal(kit.organisation({ organisationId: 2, parentId: 9 }), "ORGANISATION_UNKNOWN");
  t.equal(kit.organisation({ organisationId: 2, parentId: 1 }), "DONE");
  t.equal(kit.organisation({ organisationId: 3, parentId: 2 }), "DONE");
  const wrong: Partial<Record<keyof Organisation, unknown>>[] = [
    { organisationId: 0 },
    { organisationId: 2 ** 31 },
    { organisationId: "4" },
    { name: "" },
    { regionCode: 46 },
    { regionCode: 460_000.5 },
    { parentId: 4, organisationId: 4 },
    { domains: "transport" },
    { domains: [""] },
    { domains: ["tramway"] },
    { status: "ajar" },
  ];
  for (const fields of wrong) {
    const outcome = kit.organisation(fields as Partial<Organisation>);
    t.equal(outcome, "COMMAND_INVALID", JSON.stringify(fields));
  }
  t.equal(kit.organisation({ parentId: 3 }), "COMMAND_INVALID", "a tree has no circles");
  t.equal(kit.organisation({ organisationId: 2, parentId: 3 }), "COMMAND_INVALID");
  t.equal(kit.organisation({ domains: ["health"] }), "DONE");
  t.equal(kit.use().name, "DOMAIN_NOT_ALLOWED", "a change binds its terminals' next use");
  t.equal(kit.organisation({ status: "closed" }), "DONE");
  t.equal(kit.use().name, "ORGANISATION_CLOSED");
  checkReplay(t, kit);
});

t.test("terminals", async (t) => {
  const kit = new EngineKit({ terminalsMax: 2 }).usual();
  t.equal(kit.terminal(), "UNCHANGED");
  t.equal(kit.changeTerminal(), "UNCHANGED");
  const wrong: Partial<TerminalCommand>[] = [
    { terminalId: 0 },
    { terminalId: 10 ** 8 },
    { regionCode: 46 },
    { domains: 1 },
    { domains: 1 << 11 },
    { status: 0 },
    { status: 3 },
    { macAlgorithm: 0 },
    { macAlgorithm: 5 },
    { macAlgorithm: 3 },
    { wrappedKey: new Uint8Array(40) },
    { masterKeyVersion: 0 },
    { masterKeyVersion: 2 ** 23 },
    { concentratorId: SENDER },
    { concentratorId: 10 ** 8 },
  ];
  for (const fields of wrong) {
    t.equal(kit.terminal(fields), "COMMAND_INVALID", JSON.stringify(fields));
  }
  t.equal(
    kit.changeTerminal({ masterKeyVersion: 1 }),
    "COMMAND_INVALID",
    "a version without a key",
  );
  t.equal(kit.terminal({ organisationId: 9 }), "ORGANISATION_UNKNOWN");
  t.equal(kit.terminal({ concentratorId: 9 }), "CONCENTRATOR_UNKNOWN");
  t.equal(kit.changeTerminal({ terminalId: 5 }), "MASTER_KEY_MISSING");
  t.equal(kit.changeTerminal({ macAlgorithm: 2 }), "MASTER_KEY_MISSING");
  t.equal(kit.terminal({ terminalId: 5 }), "DONE");
  t.equal(kit.terminal({ terminalId: 6 }), "TABLE_FULL");
  kit.organisation({ organisationId: 2, domains: ["health"] });
  t.equal(kit.changeTerminal({ organisationId: 2 }), "DONE");
  t.equal(kit.use().name, "DOMAIN_NOT_ALLOWED");
  t.equal(kit.changeTerminal({ regionCode: 110_000 }), "DONE");
  checkReplay(t, kit);
});
