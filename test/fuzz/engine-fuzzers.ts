// Fuzzers of what the engine reads: blocks of the journal, commands, catalogues and organisations,
// the head of a checkpoint.

import fc from "fast-check";
import {
  BlockReader,
  BlockWriter,
  blockProblem,
  chainProblem,
  sealBlock,
} from "../../engine/block.js";
import { addDays } from "../../engine/calendar.js";
import { catalogueProblem, parseCatalogue } from "../../engine/catalogue.js";
import { checkpointHead, parseHead } from "../../engine/checkpoint.js";
import {
  CARD_EVENT_SIZE,
  type CatalogueItem,
  COMMAND,
  COMMAND_OUTCOMES,
  commandSize,
  LIST_ENTRY_SIZE,
  readCardEvent,
  readListEntry,
  readSession,
  readTerminal,
  SESSION_SIZE,
  TERMINAL_SIZE,
  writeCardEvent,
  writeListEntry,
  writeSession,
  writeTerminal,
} from "../../engine/commands.js";
import { CARD_EVENT } from "../../engine/domain.js";
import { MEDIUM_CHIP } from "../../protocol/index.js";
import { EngineKit, itemOf, organisationOf, SENDER } from "../engine-kit.js";
import { errorOf, type Fuzzer, holds, readWithin, same, spoilt, tellsNothing } from "./fuzzer.js";
import type { GrowingWork } from "./growth.js";

const START = { position: 0, timeMs: 0, blockHash: "0".repeat(64) };

/** A sealed block of entries with records of random bytes, whole words each. */
const block = fc
  .array(
    fc.tuple(fc.constantFrom(1, 5, 0x0100, 0x0800), fc.array(fc.uint8Array(), { maxLength: 4 })),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((entries) => {
    const writer = new BlockWriter(4096);
    writer.begin(1, 1_767_000_000_000, 1, 0);
    for (const [kind, records] of entries) {
      writer.beginEntry(kind, 7, 1, 1);
      for (const record of records) writer.addBytes(record.subarray(0, record.length & ~3));
      writer.endEntry();
    }
    return sealed(writer, START.blockHash);
  });

/** A copy that is aligned as those of the store are, with a hash that holds again. */
function sealedAgain(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length < 128) return copy;
  const writer = new BlockWriter(Math.max(136, (copy.length + 7) & ~7));
  writer.bytes.set(copy);
  Object.assign(writer, { size: copy.length });
  const words = new Int32Array(copy.buffer, 0, copy.length >> 2);
  Object.assign(writer, { positionCount: words[4], entryCount: words[5] });
  return sealed(writer, Buffer.from(copy.subarray(48, 80)).toString("hex"));
}

/** The bytes of a block that follows that with `previousHash`. */
function sealed(writer: BlockWriter, previousHash: string): Uint8Array {
  writer.close(previousHash);
  sealBlock(writer.written);
  return writer.written.slice();
}

const BLOCK: Fuzzer = {
  name: "block",
  about: "journal blocks: entries read back; what is changed has a problem; no entry lies outside",
  properties: () => [
    fc.property(block, (bytes) => {
      holds(blockProblem(bytes) === "", "a sealed block has a problem");
      const reader = new BlockReader(bytes);
      holds(chainProblem(bytes, START) === "", "the first block follows nothing");
      let position = reader.firstPosition;
      for (const entry of reader.entries()) {
        holds(entry.position === position, "entries follow each other");
        position += Math.max(entry.count, 1);
      }
      holds(position === reader.lastPosition + 1, "a block takes its positions");
    }),
    fc.property(block, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, change) => {
      bytes[at % bytes.length]! ^= change;
      holds(blockProblem(bytes) !== "", "a changed byte is not seen");
    }),
    fc.property(spoilt(block), (spoiltBytes) => {
      const bytes = Uint8Array.from(spoiltBytes);
      holds(tellsNothing(blockProblem(bytes)), "a problem tells content");
    }),
    // Whoever can write the file can make the hash hold: sizes are checked all the same.
    fc.property(spoilt(block), (spoiltBytes) => {
      const bytes = sealedAgain(spoiltBytes);
      if (blockProblem(bytes) !== "") return;
      for (const { offset, size } of new BlockReader(bytes).entries()) {
        holds(offset >= 0 && offset + size <= bytes.length, "an entry lies outside its block");
      }
      chainProblem(bytes, START);
    }),
  ],
  growth: [
    {
      what: "entries of a block",
      size: 256,
      prepare: (count) => {
        const writer = new BlockWriter(count * 64 + 4096);
        writer.begin(1, 1, 1, 0);
        for (let i = 0; i < count; i++) {
          writer.beginEntry(1, 7, 1, 1);
          writer.addBytes(new Uint8Array(32));
          writer.endEntry();
        }
        const bytes = sealed(writer, START.blockHash);
        return () => {
          holds(blockProblem(bytes) === "", "the block is sound");
          let found = 0;
          for (const _ of new BlockReader(bytes).entries()) found++;
          holds(found === count, "the block has its entries");
        };
      },
    },
  ],
};

/** Bytes of a command read, written and read again are the same command. */
function stable<T>(
  size: number,
  read: (bytes: Uint8Array, offset: number) => T,
  write: (bytes: Uint8Array, offset: number, value: T) => number,
) {
  return fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
    const first = readWithin(bytes, read);
    const again = new Uint8Array(size + 2).fill(0xee);
    holds(write(again, 1, first) === size, "a writer returns the size");
    holds(again[0] === 0xee && again[size + 1] === 0xee, "bytes outside the command are written");
    holds(same(read(again, 1), first), "what is written does not read back");
  });
}

/** A number over 2^53 - 1 is no entryId, and is refused: here it is made one. */
function readListEntryShort(bytes: Uint8Array, offset: number) {
  const entry = readListEntry(bytes, offset);
  return { ...entry, entryId: entry.entryId % 2 ** 53 };
}

const RECORDS: Fuzzer = {
  name: "commands",
  about: "binary commands: any bytes read; what is read is written and read again",
  properties: () => [
    stable(CARD_EVENT_SIZE, readCardEvent, writeCardEvent),
    stable(LIST_ENTRY_SIZE, readListEntryShort, writeListEntry),
    stable(TERMINAL_SIZE, readTerminal, writeTerminal),
    stable(SESSION_SIZE, readSession, writeSession),
  ],
  growth: { fixedSize: `${CARD_EVENT_SIZE} or ${TERMINAL_SIZE} bytes, as the kind says` },
};

const FIXED_KINDS = [COMMAND.CARD_EVENT, COMMAND.LIST_ENTRY, COMMAND.TERMINAL, COMMAND.SESSION];

/** Commands of which many are done: small numbers where ids and kinds stand. */
const command = fc.constantFrom(...FIXED_KINDS).chain((kind) => {
  const size = commandSize(kind);
  const byte = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: size, maxLength: size }),
    fc.uint8Array({ maxLength: 200 }),
    fc.array(byte, { minLength: size, maxLength: size }).map((each) => Uint8Array.from(each)),
    soundCommand(kind),
  );
  return bytes.map((each): [number, Uint8Array] => [kind, each]);
});

/** A command that is done after `usual`. */
function soundBytes(kind: number): Uint8Array {
  const bytes = new Uint8Array(commandSize(kind));
  const view = new DataView(bytes.buffer);
  if (kind === COMMAND.CARD_EVENT) {
    bytes.set([9, 9, 9], 0);
    bytes.set([8, 8, 8], 16);
    view.setUint32(48, 460_105, true);
    bytes.set([CARD_EVENT.ISSUE, MEDIUM_CHIP, 0, 0, 0xff, 0x7f], 52);
  } else if (kind === COMMAND.LIST_ENTRY) {
    bytes.set([9, 9, 9], 0);
    bytes.set([1, 1, 0, 3], 20);
  } else if (kind === COMMAND.TERMINAL) {
    for (const [i, value] of [1001, 1, 460_105, 8].entries()) view.setUint32(4 * i, value, true);
    bytes.set([1, 1, 24, 0, 1, 0, 0, 0, 1, 2, 3], 20);
  } else {
    for (const [i, value] of [SENDER, 2, 2e9].entries()) view.setUint32(4 * i, value, true);
    bytes.set([1, 1], 12);
    bytes.set([1], 48);
  }
  return bytes;
}

/** The same with up to three bytes changed. */
function soundCommand(kind: number): fc.Arbitrary<Uint8Array> {
  const bytes = soundBytes(kind);
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }));
  return fc.array(change, { maxLength: 3 }).map((changes) => {
    const copy = bytes.slice();
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  });
}

const EXECUTE: Fuzzer = {
  name: "execute",
  about: "commands through the engine: refused ones change nothing, done ones replay to the same",
  properties: () => [
    fc.property(fc.array(command, { minLength: 1, maxLength: 12 }), (commands) => {
      const kit = new EngineKit().usual();
      for (const [kind, bytes] of commands) {
        const before = kit.state.hash();
        const outcome = kit.command(kind, bytes);
        holds(COMMAND_OUTCOMES.includes(outcome), "an outcome is one of the table");
        if (outcome === "DONE") kit.state.invariants();
        else holds(kit.state.hash() === before, "a refused command changes the state");
      }
      kit.seal();
      holds(kit.replayed().hash() === kit.state.hash(), "replay leads elsewhere");
    }),
    fc.property(fc.constantFrom(...FIXED_KINDS), fc.nat(), (kind, index) => {
      const outcome = new EngineKit().usual().command(kind, numbered(kind, index));
      holds(outcome === "DONE", "what is changed from a sound command was none");
    }),
  ],
  growth: [COMMAND.CARD_EVENT, COMMAND.LIST_ENTRY].map(
    (kind): GrowingWork => ({
      what: kind === COMMAND.CARD_EVENT ? "cards" : "entries of the blacklist",
      size: 1000,
      prepare: (count) => {
        const commands = Array.from({ length: count }, (_, i) => numbered(kind, i));
        return () => {
          const kit = new EngineKit({
            cardsMax: 20_000,
            holdersMax: 20_000,
            blacklistMax: 20_000,
          }).usual();
          for (const bytes of commands) {
            holds(kit.command(kind, bytes) === "DONE", "a sound command is done");
          }
          kit.seal();
          kit.replayed();
        };
      },
    }),
  ),
};

/** A sound command, of a card about one of its own. */
function numbered(kind: number, index: number): Uint8Array {
  const bytes = soundBytes(kind);
  if (kind !== COMMAND.CARD_EVENT && kind !== COMMAND.LIST_ENTRY) return bytes;
  const view = new DataView(bytes.buffer);
  view.setUint32(4, index, true);
  if (kind === COMMAND.CARD_EVENT) view.setUint32(20, index, true);
  return bytes;
}

const item = fc.record({
  itemCode: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.anything()),
  name: fc.oneof(fc.constant("x"), fc.anything()),
  function: fc.oneof(fc.constantFrom("a", "b"), fc.anything()),
  regions: fc.oneof(fc.constantFrom([46], [4601], [4602], [460_105]), fc.anything()),
  media: fc.oneof(fc.constant(["chip"]), fc.anything()),
  organisationId: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, fc.anything()),
  startDate: fc.oneof(fc.constant(20_200_101), fc.anything()),
  endDate: fc.oneof(fc.constantFrom(0, 20_201_231), fc.anything()),
});
const document = fc.oneof(
  fc.record({
    version: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.anything()),
    effectiveDate: fc.oneof(fc.constant(20_200_101), fc.anything()),
    items: fc.oneof(
      fc.array(
        fc.tuple(item, fc.subarray(Object.keys(itemOf()), { maxLength: 2 })).map(spoilItem),
        { maxLength: 3 },
      ),
      fc.anything(),
    ),
  }),
  fc.anything(),
);

/** Functions, regions within each other and days close to each other. */
const claim = fc.record({
  function: fc.constantFrom("a", "a", "b"),
  regions: fc.array(fc.constantFrom(46, 460_000, 4601, 460_101, 460_102, 4602, 45, 450_100), {
    minLength: 1,
    maxLength: 3,
  }),
  startDate: fc.integer({ min: 20_200_101, max: 20_200_106 }),
  endDate: fc.constantFrom(0, 20_200_106, 20_200_107, 20_200_131),
});

/** Article 8, each region and day of one item against each of the other. */
function claimsTheSame(a: CatalogueItem, b: CatalogueItem): boolean {
  const last = (item: CatalogueItem) => item.endDate || 99_991_231;
  const within = (region: number) => String(region).replace(/(00)+$/, "");
  const overlap = a.regions
    .map(within)
    .some((x) => b.regions.map(within).some((y) => x.startsWith(y) || y.startsWith(x)));
  return a.function === b.function && overlap && a.startDate <= last(b) && b.startDate <= last(a);
}

/** A good item in which only some fields are what `fields` say. */
function spoilItem([fields, spoiltNames]: [Record<string, unknown>, string[]]): object {
  const taken = Object.entries(fields).filter(([name]) => spoiltNames.includes(name));
  return { ...itemOf(), ...Object.fromEntries(taken), itemCode: fields.itemCode };
}

function bytesOf(value: unknown): Uint8Array {
  // What JSON cannot say (BigInt) is left out of a document.
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? 0 : each));
  return new TextEncoder().encode(text ?? "null");
}

const DOCUMENTS: Fuzzer = {
  name: "documents",
  about: "catalogues and organisations as JSON: any bytes are done or refused, and replay agrees",
  properties: () => [
    fc.property(fc.oneof(document.map(bytesOf), fc.uint8Array()), (bytes) => {
      const kit = new EngineKit().usual();
      for (const kind of [COMMAND.CATALOGUE, COMMAND.ORGANISATION]) {
        const before = kit.state.hash();
        const outcome = kit.command(kind, bytes);
        if (outcome === "DONE") kit.state.invariants();
        else holds(kit.state.hash() === before, "a refused document changes the state");
      }
      kit.seal();
      holds(kit.replayed().hash() === kit.state.hash(), "replay leads elsewhere");
      holds(kit.restarted().state.hash() === kit.state.hash(), "a restart leads elsewhere");
    }),
    fc.property(document.map(bytesOf), (bytes) => {
      const parsed = parseCatalogue(bytes);
      if (typeof parsed !== "object" || parsed === null) return;
      holds(tellsNothing(catalogueProblem(parsed)), "a problem tells content");
    }),
    fc.property(fc.array(claim, { minLength: 1, maxLength: 8 }), (claims) => {
      const items = claims.map((each, i) => itemOf({ itemCode: 1 + i, ...each }));
      const twice = items.some((a, i) => items.slice(0, i).some((b) => claimsTheSame(a, b)));
      const problem = catalogueProblem({ version: 1, effectiveDate: 20_200_101, items });
      const told = problem === "a function stands twice for the same region and time (article 8)";
      holds(twice ? told : problem === "", "article 8 is not kept, or finds what is not there");
    }),
    fc.property(
      fc.record({ name: fc.string(), status: fc.constantFrom("open", "closed") }),
      (o) => {
        const kit = new EngineKit();
        const outcome = kit.organisation(
          organisationOf({ name: o.name, status: o.status as "open" }),
        );
        holds(outcome === (o.name === "" ? "COMMAND_INVALID" : "DONE"), "a name is any text");
      },
    ),
  ],
  growth: [
    soundCatalogue("items", 150, (count) => many(count, (i) => ({ function: `function ${i}` }))),
    soundCatalogue("items of one function, each for a day", 150, (count) =>
      many(count, (i) => ({
        function: "x",
        startDate: addDays(20_200_101, i),
        endDate: addDays(20_200_101, i),
      })),
    ),
    soundCatalogue("items of one function, each for a region", 150, (count) =>
      many(count, (i) => ({
        function: "x",
        regions: [(110_101 + 10_000 * (i % 70) + i / 70) | 0],
      })),
    ),
    soundCatalogue("regions of two items", 500, (count) => [
      { function: "x", regions: many(count, () => 46) },
      { function: "x", regions: many(count, () => 45) },
    ]),
  ],
};

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** Work on a catalogue whose items take time to be told apart (article 8). */
function soundCatalogue(
  what: string,
  size: number,
  fields: (size: number) => Partial<CatalogueItem>[],
): GrowingWork {
  return {
    what,
    size,
    prepare: (count) => {
      const items = fields(count).map((each, i) => itemOf({ itemCode: 1 + i, ...each }));
      const bytes = bytesOf({ version: 1, effectiveDate: 20_200_101, items });
      return () => {
        holds(catalogueProblem(parseCatalogue(bytes)) === "", "the catalogue is sound");
      };
    },
  };
}

const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const head = fc.record({
  registers: fc.record({
    position: fc.maxSafeNat(),
    timeMs: fc.maxSafeNat(),
    blacklistPosition: fc.maxSafeNat(),
    blockHash: hash,
  }),
  rowCounts: fc.dictionary(fc.integer({ min: 1, max: 20 }).map(String), fc.nat()),
});

const HEAD: Fuzzer = {
  name: "head",
  about: "the head of a checkpoint: reads back; else one line that tells no content",
  properties: () => [
    fc.property(head, (original) => {
      holds(same(parseHead(checkpointHead(original)), original), "what is written reads back");
    }),
    fc.property(spoilt(head.map(checkpointHead)), (bytes) => {
      const error = errorOf(() => parseHead(bytes));
      holds(error === null || tellsNothing(error.message), "an error tells content");
    }),
    fc.property(fc.anything().map(bytesOf), (bytes) => {
      const error = errorOf(() => parseHead(bytes));
      holds(error === null || tellsNothing(error.message), "an error tells content");
    }),
  ],
  growth: [
    {
      what: "tables of a head",
      size: 500,
      prepare: (count) => {
        const rowCounts = Object.fromEntries(many(count, (i) => [`${i}`, i]));
        const registers = { position: 1, timeMs: 1, blacklistPosition: 1 };
        const blockHash = START.blockHash;
        const bytes = checkpointHead({ registers: { ...registers, blockHash }, rowCounts });
        return () => parseHead(bytes);
      },
    },
  ],
};

export const ENGINE_FUZZERS: readonly Fuzzer[] = [BLOCK, RECORDS, EXECUTE, DOCUMENTS, HEAD];
