// Replay: the same changes again from a sealed block. Uses are not decided a second time (their
// reason stands in the block) unless asked to, which is how verification finds a block whose
// decisions do not follow from the state.

import { assert } from "../protocol/assert.js";
import { readU64 } from "../protocol/endian.js";
import { isUseMti, MTI_MANAGEMENT_REQUEST } from "../protocol/mti.js";
import { REASON } from "../protocol/reason.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import { apply } from "./apply.js";
import type { BlockReader, EntryView } from "./block.js";
import { OUTCOME } from "./commands.js";
import { decide, findFirst } from "./decide.js";
import { isRemembered, recordSize } from "./engine.js";
import { executeCommand } from "./execute.js";
import type { State } from "./state.js";
import { readUse, USE_WORD, Use } from "./use.js";

/** Reasons that hang on what the journal does not hold: the clear card number. */
const NOT_DECIDED_AGAIN = new Set<number>([REASON.CARD_NUMBER_INVALID, REASON.NUMBER_RANGE_LISTED]);

export interface ReplayOptions {
  /** Decide each use again and compare. */
  decideAgain: boolean;
}

/** Applies a block that follows the state. Throws when it does not. */
export function replayBlock(state: State, block: BlockReader, options: ReplayOptions): void {
  const { registers } = state;
  assert(block.firstPosition === registers.position + 1, "blocks follow each other");
  assert(block.previousHash === registers.blockHash, "each block carries the hash before it");
  assert(block.timeMs >= registers.timeMs, "time does not go back");
  state.advanceTime(block.timeMs);
  assert(block.catalogueVersion === state.catalogue.version, "the catalogue in force agrees");
  assert(block.blacklistPosition === registers.blacklistPosition, "the blacklist agrees");
  for (const entry of block.entries()) {
    if (isUseMti(entry.kind)) replayUses(state, block, entry, options);
    else if (entry.kind === MTI_MANAGEMENT_REQUEST) takeSequence(state, entry);
    else replayCommands(state, block, entry);
    if (entry.count === 0) registers.position++;
  }
  assert(registers.position === block.lastPosition, "a block takes its positions");
  registers.blockHash = block.hash;
}

const use = new Use();

function replayUses(
  state: State,
  block: BlockReader,
  entry: EntryView,
  options: ReplayOptions,
): void {
  assert(entry.size === entry.count * USE_RECORD_SIZE, "an entry has the size of its records");
  takeSequence(state, entry);
  use.senderRow = state.parties.find(entry.senderId);
  for (let i = 0; i < entry.count; i++) {
    const word = (entry.offset >> 2) + i * USE_WORD.COUNT;
    const reason = block.words[word + USE_WORD.KINDS]! >>> 16;
    readUse(use, entry.kind, block.words, word);
    use.tokens = block.words;
    use.tokenBase = word;
    use.panValid = reason !== REASON.CARD_NUMBER_INVALID;
    use.cardRow = block.words[word + USE_WORD.CARD_ROW]!;
    use.terminalRow = state.parties.find(use.terminalId);
    state.registers.position++;
    assert(
      block.words[word + USE_WORD.CATALOGUE] === state.catalogue.version,
      "a use was decided under the catalogue in force",
    );
    if (!isRemembered(reason)) continue;
    assert(findFirst(state, use) === 0, "a use is recorded once");
    if (options.decideAgain) decideAgain(state, reason, block.words, word);
    apply(state, use, reason, state.registers.position);
  }
}

function decideAgain(state: State, reason: number, words: Int32Array, word: number): void {
  if (NOT_DECIDED_AGAIN.has(reason)) return;
  assert(use.prefixCount === 0, "the journal holds no prefix tokens");
  const { cardRow } = use;
  use.tokenRow = state.cards.index.findAt(words, word);
  const again = decide(state, use);
  assert(again === reason, "a decision follows from the state");
  assert(use.cardRow === cardRow, "a decision names its card");
  if (use.listRow === 0) return;
  const entryId = readU64(words, word + USE_WORD.REFERENCE);
  assert(entryId === state.blacklist.entryId(use.listRow), "a decision names its entry");
}

function takeSequence(state: State, entry: EntryView): void {
  const row = state.parties.find(entry.senderId);
  const base = state.sessions.find(row, entry.keyGeneration, state.nowSeconds);
  assert(base !== 0, "a frame belongs to a session");
  state.sessions.takeSequence(row, base, entry.sequence);
}

function replayCommands(state: State, block: BlockReader, entry: EntryView): void {
  const size = recordSize(entry.kind, entry.size);
  assert(entry.size === entry.count * size, "an entry has the size of its records");
  for (let i = 0; i < entry.count; i++) {
    const start = entry.offset + i * size;
    const bytes = Uint8Array.from(block.bytes.subarray(start, start + size));
    const position = state.registers.position + 1;
    const outcome = executeCommand(state, entry.kind, bytes, position, true);
    assert(outcome === OUTCOME.DONE, "a recorded command is done again");
    state.registers.position = position;
  }
}
