// Blacklist rows: a subject, a scope, a cause and the time in force. A range of card numbers
// becomes one entry for each decimal prefix, all under one entryId.
//
// A row without entryId gets one drawn from its content, so that the same row is the same entry
// when it comes again. It is drawn from the tokens and never from the numbers themselves: the
// entryId stands in the journal, and a plain hash of an ID number would give the number away.

import { createHash } from "node:crypto";
import {
  COMMAND,
  LIST_ADD,
  LIST_ENTRY_SIZE,
  type ListEntryCommand,
  readListEntry,
  TOKEN_SIZE,
  writeListEntry,
} from "../../engine/commands.js";
import { DOMAINS, LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "../../engine/domain.js";
import {
  PAN_BLOCK_SIZE,
  PAN_DIGITS_MAX,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  PAN_KIND_PREFIX,
  writePanBlock,
} from "../../protocol/pan.js";
import { ITEM_CODE_MAX } from "../../protocol/use-record.js";
import { idNumberFault } from "../id-number.js";
import type { KeyVault } from "../vault.js";
import { type Assembly, fieldsOf } from "./assembly.js";
import {
  BAD,
  type Checked,
  type Fields,
  fault,
  good,
  momentOf,
  namesOf,
  panFault,
  textOf,
  wholeOf,
} from "./fields.js";
import { prefixesOfRange } from "./prefixes.js";

const COLUMNS = [
  "subjectKind",
  "subject",
  "scope",
  "cause",
  "from",
  "until",
  "entryId",
  "organisationId",
] as const;
const ENTRY_ID_LOW_OFFSET = 32;
const ENTRY_ID_HIGH_OFFSET = 36;
/** Entry identifiers drawn from content have 52 bits: 32 low and 20 high. */
const ENTRY_ID_HIGH_MASK = 0xfffff;

interface Subject {
  /** LIST_SUBJECT. */
  subjectKind: number;
  /** Card number, ID number or prefixes; none for terminals and organisations. */
  numbers: readonly string[];
  subjectId: number;
}
interface Scope {
  scopeKind: number;
  scopeValue: number;
}
interface Listing extends Subject, Scope {
  cause: number;
  fromTime: number;
  untilTime: number;
  /** 0: to be drawn from the content. */
  entryId: number;
  organisationId: number;
}

const CAUSES = namesOf(LIST_CAUSE);
const NUMBER_KINDS: Readonly<Record<number, number>> = {
  [LIST_SUBJECT.CARD]: PAN_KIND_CARD,
  [LIST_SUBJECT.HOLDER]: PAN_KIND_ID_NUMBER,
  [LIST_SUBJECT.NUMBER_RANGE]: PAN_KIND_PREFIX,
};

export const LIST_ASSEMBLY: Assembly<Listing> = {
  kind: COMMAND.LIST_ENTRY,
  columns: COLUMNS,
  required: ["subjectKind", "subject", "scope", "cause"],
  check,
  blockCount: (listing) => listing.numbers.length,
  writeBlocks(listing, blocks, offset) {
    const kind = NUMBER_KINDS[listing.subjectKind]!;
    listing.numbers.forEach((number, i) => {
      writePanBlock(blocks, offset + i * PAN_BLOCK_SIZE, number, kind);
    });
  },
  commandCount: (listing) => Math.max(1, listing.numbers.length),
  writeCommands(listing, tokens, tokenOffset, bytes, offset) {
    const count = LIST_ASSEMBLY.commandCount(listing);
    for (let i = 0; i < count; i++) {
      const at = tokenOffset + i * TOKEN_SIZE;
      const token = listing.numbers.length === 0 ? null : tokens.subarray(at, at + TOKEN_SIZE);
      writeListEntry(bytes, offset + i * LIST_ENTRY_SIZE, commandOf(listing, token, i));
    }
    if (listing.entryId === 0) drawEntryId(bytes, offset, count);
  },
};

/** A blacklist row as the commands that add it: one, or one for each prefix of a range. */
export function toListCommands(
  row: Readonly<Record<string, unknown>>,
  vault: KeyVault,
): Checked<ListEntryCommand[]> {
  const checked = check(fieldsOf(COLUMNS, row));
  if (!checked.ok) return checked;
  const listing = checked.value;
  const blocks = new Uint8Array(listing.numbers.length * PAN_BLOCK_SIZE);
  LIST_ASSEMBLY.writeBlocks(listing, blocks, 0);
  const tokens = vault.tokenize(blocks);
  const bytes = new Uint8Array(LIST_ASSEMBLY.commandCount(listing) * LIST_ENTRY_SIZE);
  LIST_ASSEMBLY.writeCommands(listing, tokens, 0, bytes, 0);
  const commands: ListEntryCommand[] = [];
  for (let offset = 0; offset < bytes.length; offset += LIST_ENTRY_SIZE) {
    const command = readListEntry(bytes, offset);
    commands.push(listing.numbers.length === 0 ? { ...command, subjectToken: null } : command);
  }
  return good(commands);
}

function check(fields: Fields): Checked<Listing> {
  const subject = subjectOf(textOf(fields[0]), fields[1]);
  if (!subject.ok) return subject;
  const scope = scopeOf(textOf(fields[2]));
  if (!scope.ok) return scope;
  const cause = CAUSES.get(textOf(fields[3]));
  if (cause === undefined) return fault("cause", "is no cause of the blacklist");
  const fromTime = momentOf(fields[4], false);
  if (fromTime === BAD) return fault("from", "is no date or time with zone");
  const untilTime = momentOf(fields[5], true);
  if (untilTime === BAD) return fault("until", "is no date or time with zone");
  if (untilTime !== 0 && untilTime <= fromTime) return fault("until", "is not after from");
  const entryId = entryIdOf(fields[6]);
  if (entryId === BAD) return fault("entryId", "is no whole number up to 9007199254740991");
  const organisationId = wholeOf(fields[7], 0);
  if (organisationId === BAD) return fault("organisationId", "is no whole number");
  return good({
    ...subject.value,
    ...scope.value,
    cause,
    fromTime,
    untilTime,
    entryId,
    organisationId,
  });
}

function subjectOf(kind: string, value: unknown): Checked<Subject> {
  switch (kind) {
    case "card": {
      const problem = panFault(value);
      if (problem !== "") return fault("subject", problem);
      return numbered(LIST_SUBJECT.CARD, [textOf(value)]);
    }
    case "holder": {
      const problem = idNumberFault(textOf(value));
      if (problem !== "") return fault("subject", problem);
      return numbered(LIST_SUBJECT.HOLDER, [textOf(value)]);
    }
    case "range":
      return rangeOf(textOf(value));
    case "terminal":
      return identified(LIST_SUBJECT.TERMINAL, value);
    case "organisation":
      return identified(LIST_SUBJECT.ORGANISATION, value);
    default:
      return fault("subjectKind", "is none of card, holder, range, terminal, organisation");
  }
}

function numbered(subjectKind: number, numbers: readonly string[]): Checked<Subject> {
  return good({ subjectKind, numbers, subjectId: 0 });
}

function identified(subjectKind: number, value: unknown): Checked<Subject> {
  const subjectId = wholeOf(value, BAD);
  if (subjectId < 1) return fault("subject", "is no identifier");
  return good({ subjectKind, numbers: [], subjectId });
}

function rangeOf(text: string): Checked<Subject> {
  const [from, to, ...rest] = text.split("-");
  if (from === undefined || to === undefined || rest.length > 0) {
    return fault("subject", "is not two numbers with a hyphen between");
  }
  if (!isDigits(from) || !isDigits(to))
    return fault("subject", "is not 1 to 19 digits on each side");
  if (from.length !== to.length) return fault("subject", "has two numbers of different length");
  if (from > to) return fault("subject", "runs downwards");
  return numbered(LIST_SUBJECT.NUMBER_RANGE, prefixesOfRange(from, to));
}

function isDigits(text: string): boolean {
  return text.length <= PAN_DIGITS_MAX && /^[0-9]+$/.test(text);
}

function scopeOf(text: string): Checked<Scope> {
  if (text === "all") return good({ scopeKind: LIST_SCOPE.ALL, scopeValue: 0 });
  if (text.startsWith("domain:")) {
    const domain = (DOMAINS as readonly string[]).indexOf(text.slice("domain:".length));
    if (domain < 1) return fault("scope", "names an unknown domain");
    return good({ scopeKind: LIST_SCOPE.DOMAIN, scopeValue: domain });
  }
  if (text.startsWith("item:")) {
    const itemCode = wholeOf(text.slice("item:".length), BAD);
    if (itemCode < 1 || itemCode > ITEM_CODE_MAX) return fault("scope", "names no item code");
    return good({ scopeKind: LIST_SCOPE.ITEM, scopeValue: itemCode });
  }
  return fault("scope", "is none of all, domain:NAME, item:CODE");
}

function entryIdOf(value: unknown): number {
  const text = textOf(value);
  if (text === "") return 0;
  if (!/^[0-9]{1,16}$/.test(text)) return BAD;
  return Number(text) <= Number.MAX_SAFE_INTEGER ? Number(text) : BAD;
}

function commandOf(listing: Listing, token: Uint8Array | null, index: number): ListEntryCommand {
  const isRange = listing.subjectKind === LIST_SUBJECT.NUMBER_RANGE;
  return {
    subjectToken: token,
    subjectId: listing.subjectId,
    subjectKind: listing.subjectKind,
    action: LIST_ADD,
    scopeKind: listing.scopeKind,
    cause: listing.cause,
    scopeValue: listing.scopeValue,
    prefixDigits: isRange ? listing.numbers[index]!.length : 0,
    entryId: listing.entryId,
    fromTime: listing.fromTime,
    untilTime: listing.untilTime,
    organisationId: listing.organisationId,
  };
}

/** Puts an entryId drawn from `count` entries, written with none, into each of them. */
function drawEntryId(bytes: Uint8Array, offset: number, count: number): void {
  const entries = bytes.subarray(offset, offset + count * LIST_ENTRY_SIZE);
  const digest = createHash("sha256").update(entries).digest();
  const low = Math.max(1, digest.readUInt32LE(0));
  const high = digest.readUInt32LE(4) & ENTRY_ID_HIGH_MASK;
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  for (let i = 0; i < count; i++) {
    view.setUint32(i * LIST_ENTRY_SIZE + ENTRY_ID_LOW_OFFSET, low, true);
    view.setUint32(i * LIST_ENTRY_SIZE + ENTRY_ID_HIGH_OFFSET, high, true);
  }
}
