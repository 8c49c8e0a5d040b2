// An engine to try things on: the commands and uses of the tests, straight into the real engine,
// in blocks that are kept. There is no shell and no key: a token is a hash of the number's block,
// as opaque to the engine as the true one.

import { createHash } from "node:crypto";
import { BlockReader, BlockWriter, blockProblem, sealBlock } from "../engine/block.js";
import { dayOfDate } from "../engine/calendar.js";
import {
  CARD_EVENT_SIZE,
  type CardEventCommand,
  type CatalogueItem,
  COMMAND,
  COMMAND_OUTCOMES,
  type CommandOutcomeName,
  LIST_ADD,
  LIST_ENTRY_SIZE,
  LIST_REMOVE,
  type ListEntryCommand,
  type Organisation,
  SESSION_SIGN_ON,
  SESSION_SIZE,
  type SessionCommand,
  TERMINAL_SIZE,
  type TerminalCommand,
  writeCardEvent,
  writeListEntry,
  writeSession,
  writeTerminal,
} from "../engine/commands.js";
import { CARD_EVENT, LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "../engine/domain.js";
import { Engine } from "../engine/engine.js";
import { replayBlock } from "../engine/replay.js";
import { State, type StateLimits } from "../engine/state.js";
import { readUse, USE_WORD, Use } from "../engine/use.js";
import { type Outcome, readOutcome, type UseRecord } from "../protocol/decode.js";
import { writeUseRecord } from "../protocol/encode.js";
import { MTI_USE_REQUEST } from "../protocol/mti.js";
import {
  luhnDigit,
  PAN_BLOCK_SIZE,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  PAN_KIND_PREFIX,
  panBlockValid,
  panPrefixBlock,
  writePanBlock,
} from "../protocol/pan.js";
import { REASON_NAMES, type ReasonName } from "../protocol/reason.js";

export const DAY_MS = 86_400_000;
/** 2025-03-01 10:00 in UTC+8: the day before is the last of February. */
export const START_MS = Date.UTC(2025, 2, 1, 2);
export const TODAY = 20_250_301;
export const SENDER = 46_000_001;
export const ITEM = 3_010_001;
/** Most bytes of a block. */
export const BLOCK_SIZE_MAX = 1 << 20;

export const LIMITS: StateLimits = {
  cardsMax: 5000,
  holdersMax: 5000,
  terminalsMax: 300,
  blacklistMax: 2000,
  usesPerDateMax: 5000,
  businessDatesKept: 2,
  sessionsMax: 300,
  keyOverlapSeconds: 60,
  businessDay: { utcOffsetMinutes: 480, cutoverMinutes: 0 },
};

/** What a test says of a use; the rest is that of a use which is approved. */
export interface UseFields extends Partial<UseRecord> {
  mti?: number;
  /** Words of the record to set after all else, by index: what no terminal should send. */
  raw?: Record<number, number>;
  senderId?: number;
}

/** An outcome with its reason by name and its bytes, which repeats must have again. */
export interface Answer extends Outcome {
  name: ReasonName;
  hex: string;
}

/** A card number with a correct check digit. */
export function pan(index: number): string {
  const digits = `62307146${String(index).padStart(10, "0")}`;
  return digits + luhnDigit(digits);
}

/** The token of a number, kinds kept apart as in its block. */
export function tokenOf(digits: string, kind: number = PAN_KIND_CARD): Uint8Array {
  const block = new Uint8Array(PAN_BLOCK_SIZE);
  writePanBlock(block, 0, digits, kind);
  return hashed(block);
}

export const holderToken = (index: number) => {
  return tokenOf(`4601051990${String(index).padStart(8, "0")}`, PAN_KIND_ID_NUMBER);
};

export const prefixToken = (digits: string) => tokenOf(digits, PAN_KIND_PREFIX);

export function organisationOf(fields: Partial<Organisation> = {}): Organisation {
  return {
    organisationId: 1,
    name: "transport office",
    regionCode: 460_000,
    parentId: 0,
    domains: ["transport", "health"],
    status: "open",
    ...fields,
  };
}

export function itemOf(fields: Partial<CatalogueItem> = {}): CatalogueItem {
  const itemCode = fields.itemCode ?? ITEM;
  return {
    itemCode,
    name: `item ${itemCode}`,
    nameEn: `item ${itemCode}`,
    function: `function ${itemCode}`,
    kind: "identity",
    domain: "transport",
    organisationId: 1,
    regions: [46],
    media: ["chip", "electronic"],
    startDate: 20_200_101,
    endDate: 0,
    amountMinorMax: 50_000,
    ...fields,
  };
}

export class EngineKit {
  readonly engine: Engine;
  readonly limits: StateLimits;
  /** Sealed blocks in order. */
  readonly blocks: Uint8Array[] = [];
  timeMs: number;
  private readonly writer = new BlockWriter(BLOCK_SIZE_MAX);
  private readonly scratch = new Use();
  private readonly sequences = new Map<number, number>();
  private stan = 0;

  constructor(limits: Partial<StateLimits> = {}, startMs = START_MS) {
    this.limits = { ...LIMITS, ...limits };
    this.engine = new Engine(this.limits, this.writer);
    this.timeMs = startMs;
    this.open();
  }

  get state(): State {
    return this.engine.state;
  }

  /** Seals the open block, if it holds anything, and goes on at `timeMs`. */
  moveTo(timeMs: number): void {
    this.seal();
    this.timeMs = timeMs;
    this.open();
  }

  /** Seals the open block, if it holds anything, and opens another at the same time. */
  seal(): void {
    if (!this.engine.idle) {
      const { written } = this.engine.closeBlock();
      sealBlock(written);
      this.engine.sealed();
      const bytes = Uint8Array.from(written);
      if (blockProblem(bytes) !== "") throw new Error(`sealed block: ${blockProblem(bytes)}`);
      this.blocks.push(bytes);
    }
    this.state.invariants();
    this.open();
  }

  /** Executes one command as an entry of its own. */
  command(kind: number, bytes: Uint8Array): CommandOutcomeName {
    if (!this.engine.fits(bytes.length)) this.seal();
    this.engine.beginCommands(kind);
    const outcome = this.engine.command(kind, bytes);
    this.engine.endCommands();
    return COMMAND_OUTCOMES[outcome]!;
  }

  document(kind: number, value: unknown): CommandOutcomeName {
    return this.command(kind, new TextEncoder().encode(JSON.stringify(value)));
  }

  organisation(fields: Partial<Organisation> = {}): CommandOutcomeName {
    return this.document(COMMAND.ORGANISATION, organisationOf(fields));
  }

  catalogue(version: number, items: CatalogueItem[], effectiveDate = 20_200_101) {
    return this.document(COMMAND.CATALOGUE, { version, effectiveDate, items });
  }

  terminal(fields: Partial<TerminalCommand> = {}): CommandOutcomeName {
    const bytes = new Uint8Array(TERMINAL_SIZE);
    writeTerminal(bytes, 0, {
      terminalId: SENDER,
      organisationId: 1,
      regionCode: 460_105,
      domains: 0b1100,
      concentratorId: 0,
      status: 1,
      macAlgorithm: 1,
      masterKeyVersion: 1,
      checkValue: Uint8Array.of(1, 2, 3),
      wrappedKey: new Uint8Array(24).fill(7),
      ...fields,
    });
    return this.command(COMMAND.TERMINAL, bytes);
  }

  /** A change of a terminal that leaves its master key as it is. */
  changeTerminal(fields: Partial<TerminalCommand> = {}): CommandOutcomeName {
    return this.terminal({ masterKeyVersion: 0, checkValue: null, wrappedKey: null, ...fields });
  }

  session(fields: Partial<SessionCommand> = {}): CommandOutcomeName {
    const terminalId = fields.terminalId ?? SENDER;
    const row = this.state.parties.find(terminalId);
    const bytes = new Uint8Array(SESSION_SIZE);
    const command = {
      terminalId,
      keyGeneration: this.state.sessions.lastGeneration(row) + 1,
      expiresAt: this.state.nowSeconds + 365 * 86_400,
      action: SESSION_SIGN_ON,
      macAlgorithm: 1,
      terminalNonce: new Uint8Array(16).fill(1),
      serverNonce: new Uint8Array(16).fill(2),
      masterKeyVersion: 1,
      ...fields,
    };
    writeSession(bytes, 0, command);
    const outcome = this.command(COMMAND.SESSION, bytes);
    if (outcome === "DONE") this.sequences.set(terminalId, 0);
    return outcome;
  }

  card(index: number, event: number, fields: Partial<CardEventCommand> = {}): CommandOutcomeName {
    const isNew = [CARD_EVENT.LOAD, CARD_EVENT.ISSUE, CARD_EVENT.REPLACE].some((e) => e === event);
    const bytes = new Uint8Array(CARD_EVENT_SIZE);
    writeCardEvent(bytes, 0, {
      token: tokenOf(pan(index)),
      holderToken: isNew ? holderToken(index) : null,
      previousToken: null,
      regionCode: isNew ? 460_105 : 0,
      event,
      medium: isNew ? 1 : 0,
      status: event === CARD_EVENT.LOAD ? 2 : 0,
      expiryDay: isNew ? dayOfDate(20_301_231) : 0,
      organisationId: 0,
      ...fields,
    });
    return this.command(COMMAND.CARD_EVENT, bytes);
  }

  list(fields: Partial<ListEntryCommand>): CommandOutcomeName {
    const bytes = new Uint8Array(LIST_ENTRY_SIZE);
    writeListEntry(bytes, 0, {
      subjectToken: null,
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
      organisationId: 0,
      ...fields,
    });
    return this.command(COMMAND.LIST_ENTRY, bytes);
  }

  unlist(entryId: number): CommandOutcomeName {
    return this.list({ action: LIST_REMOVE, subjectKind: 0, cause: 0, entryId });
  }

  /** One organisation, one terminal signed on, one item, card 1 in use. */
  usual(): this {
    this.expectDone(this.organisation());
    this.expectDone(this.terminal());
    this.expectDone(this.catalogue(1, [itemOf()]));
    this.expectDone(this.card(1, CARD_EVENT.LOAD));
    this.expectDone(this.session());
    return this;
  }

  expectDone(outcome: CommandOutcomeName): void {
    if (outcome !== "DONE") throw new Error(`the kit's command is ${outcome}`);
  }

  /** The fields of a use which is approved after `usual`, with a new STAN unless one is given. */
  fill(fields: UseFields = {}): UseFields {
    return {
      pan: pan(1),
      terminalId: SENDER,
      stan: ++this.stan,
      businessDate: this.state.businessDate,
      itemCode: ITEM,
      amountMinor: 200,
      localTime: this.state.nowSeconds,
      medium: 1,
      originalStan: 0,
      originalBusinessDate: 0,
      ...fields,
    };
  }

  /** Sends one use in a frame of its own. */
  use(fields: UseFields = {}): Answer {
    return this.frame([fields])[0]!;
  }

  /** Sends a frame of uses; all have the mti and sender of the first. */
  frame(uses: UseFields[]): Answer[] {
    if (!this.engine.fits(uses.length * USE_WORD.COUNT * 4)) this.seal();
    const { mti = MTI_USE_REQUEST, senderId = SENDER } = uses[0]!;
    const row = this.beginFrame(mti, senderId);
    const answers = uses.map((fields) => this.one(this.fill(fields), mti, row));
    this.engine.endFrame();
    return answers;
  }

  /** Begins a frame with the sender's next sequence; returns the sender's row. */
  private beginFrame(mti: number, senderId: number): number {
    const { parties, sessions, nowSeconds } = this.state;
    const row = parties.find(senderId);
    const generation = sessions.lastGeneration(row);
    const base = sessions.find(row, generation, nowSeconds);
    if (base === 0) throw new Error("the kit's sender is not signed on");
    const sequence = (this.sequences.get(senderId) ?? 0) + 1;
    this.sequences.set(senderId, sequence);
    this.engine.beginFrame(mti, row, generation, base, sequence);
    return row;
  }

  private one(fields: UseFields, mti: number, senderRow: number): Answer {
    const bytes = new Uint8Array(USE_WORD.COUNT * 4);
    const words = new Int32Array(bytes.buffer);
    writeUseRecord(bytes, 0, fields as UseRecord);
    for (const [word, value] of Object.entries(fields.raw ?? {})) words[Number(word)] = value;
    const use = this.scratch;
    readUse(use, mti, words, 0);
    use.senderRow = senderRow;
    use.panValid = panBlockValid(words, 0);
    use.tokens = tokensOf(bytes, this.state.blacklist.prefixLengths);
    use.tokenBase = 0;
    use.tokenRow = this.state.cards.index.findAt(use.tokens, 0);
    use.prefixCount = use.tokens.length / 4 - 1;
    const out = new Int32Array(8);
    this.engine.use(use, out, 0);
    const outcome = readOutcome(new DataView(out.buffer), 0);
    const hex = Buffer.from(out.buffer).toString("hex");
    return { ...outcome, name: REASON_NAMES[outcome.reason]!, hex };
  }

  /** The state that the blocks alone lead to, at the time of the open block. */
  replayed(decideAgain = true, limits = this.limits): State {
    this.seal();
    const state = new State(limits);
    for (const bytes of this.blocks) replayBlock(state, new BlockReader(bytes), { decideAgain });
    state.tryTime(this.timeMs);
    state.invariants();
    return state;
  }

  /** Positions that the sealed blocks take. */
  positions(): number {
    return this.blocks.reduce((sum, bytes) => sum + new BlockReader(bytes).positionCount, 0);
  }

  /** Goes on where another kit is, in an engine of its own that has replayed its blocks. */
  restarted(): EngineKit {
    const state = this.replayed();
    const other = new EngineKit(this.limits, this.timeMs);
    Object.assign(other.engine, { state });
    other.blocks.push(...this.blocks);
    for (const [terminalId, sequence] of this.sequences) other.sequences.set(terminalId, sequence);
    other.stan = this.stan;
    other.moveTo(this.timeMs);
    return other;
  }

  private open(): void {
    this.engine.openBlock(this.writer, this.timeMs);
  }
}

function tokensOf(record: Uint8Array, prefixLengths: readonly number[]): Int32Array {
  const tokens = new Uint8Array(PAN_BLOCK_SIZE * (1 + prefixLengths.length));
  tokens.set(hashed(record.subarray(0, PAN_BLOCK_SIZE)));
  const block = new Uint8Array(PAN_BLOCK_SIZE);
  prefixLengths.forEach((digits, i) => {
    panPrefixBlock(record, 0, digits, block, 0);
    tokens.set(hashed(block), PAN_BLOCK_SIZE * (i + 1));
  });
  return new Int32Array(tokens.buffer);
}

function hashed(block: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(block).digest()).slice(0, PAN_BLOCK_SIZE);
}
