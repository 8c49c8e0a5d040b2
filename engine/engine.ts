// The engine: a deterministic state machine behind a journal. The shell hands it frames, records
// and commands in order; it decides, applies, and writes what it did into the block being filled.
// It reads no clock, socket, disk or random number: a block brings its time.
//
// Order of calls: openBlock, then for each frame beginFrame, use..., endFrame, or command, then
// closeBlock, and sealed when the block has its hash, which may be made by another thread while the
// next block fills. Replay applies sealed blocks to the same end.

import { assert } from "../protocol/assert.js";
import { copyFour, WORD, writeU64 } from "../protocol/endian.js";
import { isAdviceMti } from "../protocol/mti.js";
import {
  OUTCOME_AUTHORIZATION_ID_OFFSET,
  OUTCOME_FLAG_WOULD_DECLINE,
  OUTCOME_RESPONSE_CODE_OFFSET,
  OUTCOME_RRN_OFFSET,
} from "../protocol/outcome-record.js";
import { REASON, RESPONSE_CODE_WORDS } from "../protocol/reason.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import { apply } from "./apply.js";
import type { BlockWriter } from "./block.js";
import { warmCardEvents } from "./card-events.js";
import { COMMAND, commandSize, OUTCOME } from "./commands.js";
import { admit, admitFirst, decide, findFirst, repeatDiffers } from "./decide.js";
import { executeCommand } from "./execute.js";
import { State, type StateLimits } from "./state.js";
import { classMti, messageClass, USE_WORD, type Use } from "./use.js";

const { APPROVED } = REASON;
const AUTHORIZATION_ID_RANGE = 999_999;
const RESPONSE_WORD = OUTCOME_RESPONSE_CODE_OFFSET >> 2;
const RRN_WORD = OUTCOME_RRN_OFFSET >> 2;
const AUTHORIZATION_WORD = OUTCOME_AUTHORIZATION_ID_OFFSET >> 2;
const FLAGS_WORD = 7;
const APPROVED_CODE = RESPONSE_CODE_WORDS[APPROVED]!;
/** Returned by `use` for a repeat, which is answered and not recorded. */
export const REPEATED = -1;

export class Engine {
  readonly state: State;
  private block: BlockWriter;
  private open = false;
  /** Closed, and without its hash as far as is known here. */
  private unsealed: BlockWriter | null = null;

  constructor(limits: StateLimits, block: BlockWriter) {
    this.state = new State(limits);
    this.block = block;
  }

  /** Whether a block is open and holds nothing yet, or none is open. */
  get idle(): boolean {
    return !this.open || this.block.empty;
  }

  /**
   * Opens a block in `block`; `timeMs` is its time. One that is open goes on, and while it is
   * empty it takes the new time: what is not journaled moves nothing on.
   */
  openBlock(block: BlockWriter, timeMs: number): void {
    if (this.open && !this.block.empty) return;
    assert(Number.isSafeInteger(timeMs) && timeMs > 0, "a block has a time in whole milliseconds");
    const { registers } = this.state;
    this.state.tryTime(timeMs);
    this.block = block;
    this.block.begin(
      registers.position + 1,
      registers.timeMs,
      this.state.catalogue.version,
      registers.blacklistPosition,
    );
    this.open = true;
  }

  /** Whether an entry with `size` bytes of records fits the open block. */
  fits(size: number): boolean {
    return this.block.fits(size);
  }

  /** Starts the entry of an authenticated frame, whose sequence `sessionBase` has not seen. */
  beginFrame(
    mti: number,
    senderRow: number,
    keyGeneration: number,
    sessionBase: number,
    sequence: number,
  ): void {
    assert(this.open, "a block is open");
    this.state.settleTime();
    this.state.sessions.takeSequence(senderRow, sessionBase, sequence);
    const senderId = this.state.parties.terminalId(senderRow);
    this.block.beginEntry(mti, senderId, keyGeneration, sequence);
  }

  endFrame(): void {
    if (this.block.endEntry()) this.state.registers.position++;
  }

  /**
   * Answers one use of the frame begun: decides, applies and records it, or finds its first
   * answer. Writes the outcome record at word `outBase` of `out`. Returns the reason, or REPEATED.
   */
  use(use: Use, out: Int32Array, outBase: number): number {
    const admitted = admit(this.state, use);
    if (admitted !== APPROVED) return this.refuse(use, admitted, 0, out, outBase);
    const first = findFirst(this.state, use);
    if (first !== 0) {
      const differing = repeatDiffers(use);
      if (differing === 0) return this.repeat(use, first, out, outBase);
      return this.refuse(use, REASON.DUPLICATE_DIFFERS, differing, out, outBase);
    }
    const refused = admitFirst(this.state, use);
    if (refused !== APPROVED) return this.refuse(use, refused, 0, out, outBase);
    const reason = decide(this.state, use);
    const position = this.record(use, reason);
    apply(this.state, use, reason, position);
    writeOutcome(out, outBase, use, use.mti, reason, position, 0);
    return reason;
  }

  /**
   * Executes one command as an entry of its own kind begun by `beginCommands`. Returns its OUTCOME;
   * it is recorded when that is DONE.
   */
  command(kind: number, bytes: Uint8Array): number {
    assert(this.block.entryEmpty || commandSize(kind) !== 0, "a document has its own entry");
    const position = this.state.registers.position + 1;
    const outcome = executeCommand(this.state, kind, bytes, position, false);
    if (outcome !== OUTCOME.DONE) return outcome;
    this.state.registers.position = position;
    this.block.addBytes(bytes);
    return outcome;
  }

  /** Brings into the cache what `count` commands of `kind`, back to back in `bytes`, look up. */
  warm(kind: number, bytes: Uint8Array, count: number): void {
    if (kind === COMMAND.CARD_EVENT && bytes.byteOffset % WORD.SIZE === 0) {
      warmCardEvents(this.state, new Int32Array(bytes.buffer, bytes.byteOffset), count);
    }
  }

  /** Starts an entry of commands of one kind. */
  beginCommands(kind: number): void {
    assert(this.open, "a block is open");
    this.block.beginEntry(kind, 0, 0, 0);
  }

  /** Ends it; an entry in which no command was done is taken back. */
  endCommands(): void {
    this.block.endEntryUnlessEmpty();
  }

  /** Closes the open block and returns its writer, whose block is to be sealed and committed. */
  closeBlock(): BlockWriter {
    assert(this.open && !this.block.empty, "there is something to close");
    assert(this.unsealed === null, "the block before has its hash");
    const { registers } = this.state;
    this.state.settleTime();
    this.block.close(registers.blockHash);
    this.open = false;
    this.unsealed = this.block;
    assert(
      this.block.firstPosition + this.block.positionCount - 1 === registers.position,
      "the block ends at the last position",
    );
    return this.block;
  }

  /** The block that was closed last has its hash (sealBlock). */
  sealed(): void {
    assert(this.unsealed !== null, "a block was closed");
    this.state.registers.blockHash = this.unsealed.hash;
    this.unsealed = null;
  }

  /** Records a use that is declined before it can be remembered. */
  private refuse(
    use: Use,
    reason: number,
    differing: number,
    out: Int32Array,
    outBase: number,
  ): number {
    const position = this.record(use, reason);
    writeOutcome(out, outBase, use, use.mti, reason, position, differing);
    return reason;
  }

  private repeat(use: Use, row: number, out: Int32Array, outBase: number): number {
    const uses = this.state.duplicates.of(use.businessDate);
    const mti = classMti(uses.messageClass(row));
    writeOutcome(out, outBase, use, mti, uses.reason(row), uses.position(row), 0);
    return REPEATED;
  }

  /** Writes the journal record of a use and takes its position. */
  private record(use: Use, reason: number): number {
    const word = this.block.addRecord(USE_RECORD_SIZE);
    const words = this.block.words;
    const from = use.words;
    const base = use.base;
    copyFour(words, word, use.tokens, use.tokenBase);
    copyFour(words, word + USE_WORD.TERMINAL, from, base + USE_WORD.TERMINAL);
    words[word + USE_WORD.AMOUNT] = from[base + USE_WORD.AMOUNT]!;
    words[word + USE_WORD.AMOUNT + 1] = from[base + USE_WORD.AMOUNT + 1]!;
    words[word + USE_WORD.LOCAL_TIME] = from[base + USE_WORD.LOCAL_TIME]!;
    words[word + USE_WORD.KINDS] = use.medium | (messageClass(use.mti) << 8) | (reason << 16);
    words[word + USE_WORD.REFERENCE] = use.originalStan;
    words[word + USE_WORD.REFERENCE + 1] = use.originalDate;
    if (use.listRow !== 0) {
      writeU64(words, word + USE_WORD.REFERENCE, this.state.blacklist.entryId(use.listRow));
    }
    words[word + USE_WORD.CATALOGUE] = this.state.catalogue.version;
    words[word + USE_WORD.CARD_ROW] = use.cardRow;
    // From here on the use is read from its record, in replay as now.
    use.words = words;
    use.base = word;
    return ++this.state.registers.position;
  }
}

/** Whether a reason leaves its use remembered under terminal, date and STAN. */
export function isRemembered(reason: number): boolean {
  return !NOT_REMEMBERED.has(reason);
}

const NOT_REMEMBERED = new Set<number>([
  REASON.FORMAT_INVALID,
  REASON.TERMINAL_UNKNOWN,
  REASON.TERMINAL_NOT_OF_SENDER,
  REASON.DATE_TOO_OLD,
  REASON.DATE_AHEAD,
  REASON.DUPLICATE_DIFFERS,
  REASON.DUPLICATES_FULL,
]);

/** An advice that is remembered is accepted, whatever we would have answered. */
export function responseCodeWord(mti: number, reason: number): number {
  if (isAdviceMti(mti) && isRemembered(reason)) return APPROVED_CODE;
  return RESPONSE_CODE_WORDS[reason]!;
}

/** The authorization number of an approved use at `position`: 1..999,999. */
export function authorizationId(position: number): number {
  return (position % AUTHORIZATION_ID_RANGE) + 1;
}

function writeOutcome(
  out: Int32Array,
  base: number,
  use: Use,
  mti: number,
  reason: number,
  position: number,
  differing: number,
): void {
  const code = reason === APPROVED ? APPROVED_CODE : responseCodeWord(mti, reason);
  const wouldDecline = code === APPROVED_CODE && reason !== APPROVED;
  out[base] = use.words[use.base + USE_WORD.TERMINAL]!;
  out[base + 1] = use.words[use.base + USE_WORD.STAN]!;
  out[base + 2] = use.words[use.base + USE_WORD.DATE]!;
  out[base + RESPONSE_WORD] = code | (reason << 16);
  writeU64(out, base + RRN_WORD, position);
  out[base + AUTHORIZATION_WORD] = reason === APPROVED ? authorizationId(position) : 0;
  out[base + FLAGS_WORD] = (wouldDecline ? OUTCOME_FLAG_WOULD_DECLINE : 0) | (differing << 8);
}

/** Records of a command kind in an entry: their one size, or the whole entry for JSON kinds. */
export function recordSize(kind: number, entrySize: number): number {
  const size = commandSize(kind);
  return size === 0 ? entrySize : size;
}
