// The world in an engine of this process, with no disk and no socket: for what is measured in
// nanoseconds. Blocks are filled and sealed as ever, and then forgotten.

import { randomBytes } from "node:crypto";
import { BlockWriter, sealBlock } from "../engine/block.js";
import { COMMAND, SESSION_SIGN_ON, SESSION_SIZE, writeSession } from "../engine/commands.js";
import { Engine, REPEATED } from "../engine/engine.js";
import { prepareMemory } from "../engine/memory.js";
import { readUse, USE_WORD, Use } from "../engine/use.js";
import { assert } from "../protocol/assert.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import { MTI_USE_REQUEST } from "../protocol/mti.js";
import { OUTCOME_RECORD_SIZE } from "../protocol/outcome-record.js";
import { PAN_BLOCK_SIZE } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import { STAN_MAX } from "../protocol/use-record.js";
import type { CommandBatch, CommandResult, CommandSink } from "../src/command-sink.js";
import { inlineMore } from "../src/inlining.js";
import { giveMemory, prepareWords } from "../src/kernel-memory.js";
import { deriveVaultKeys, KeyVault, ROOT_KEY_SIZE } from "../src/vault.js";
import { recordTemplate } from "./frames.js";
import { businessDateNow } from "./server.js";
import {
  MASTER_KEY_VERSION,
  seedCards,
  seedParties,
  terminalIdOf,
  writeCardBlock,
} from "./world.js";

const BLOCK_SIZE = 64 * 1024 * 1024;
const USES_PER_FRAME = 128;
const TERMINALS = 64;
const OUTCOME_WORDS = OUTCOME_RECORD_SIZE / 4;

/** Uses ready to be decided: wire records and tokens. */
export interface UseSet {
  words: Int32Array;
  tokens: Int32Array;
  count: number;
}

export class EngineWorld implements CommandSink {
  readonly engine: Engine;
  readonly vault = new KeyVault(deriveVaultKeys(randomBytes(ROOT_KEY_SIZE)));
  readonly block = new BlockWriter(BLOCK_SIZE);
  readonly use = new Use();
  senderRow = 0;
  private readonly rows = new Int32Array(USES_PER_FRAME);
  private readonly out = new Int32Array(USES_PER_FRAME * OUTCOME_WORDS);
  sessionBase = 0;
  private sequence = 0;
  private terminalIndex = -1;
  private stan = 0;

  private constructor(
    readonly cardCount: number,
    usesMax: number,
  ) {
    this.engine = new Engine(
      {
        cardsMax: cardCount,
        holdersMax: cardCount,
        terminalsMax: 1000,
        blacklistMax: 1000,
        usesPerDateMax: usesMax,
        businessDatesKept: 1,
        sessionsMax: 1000,
        keyOverlapSeconds: 60,
        businessDay: { utcOffsetMinutes: 480, cutoverMinutes: 0 },
      },
      this.block,
    );
  }

  /** Makes a world of `cardCount` cards with room for `usesMax` uses. */
  static async make(cardCount: number, usesMax: number): Promise<EngineWorld> {
    inlineMore();
    prepareMemory(prepareWords);
    const world = new EngineWorld(cardCount, usesMax);
    await seedParties(world, world.vault, TERMINALS);
    await seedCards(world, world.vault, cardCount);
    world.nextTerminal();
    // As a server has it given by a thread beside, ahead of its uses (src/memory-ahead.ts).
    const { table, slots } = world.engine.state.duplicates.of(businessDateNow());
    giveMemory(slots);
    giveMemory(table.words);
    return world;
  }

  async execute({ kind, count, bytes }: CommandBatch): Promise<CommandResult> {
    const outcomes = new Uint8Array(count);
    const size = bytes.length / count;
    this.open();
    this.engine.beginCommands(kind);
    for (let i = 0; i < count; i++) {
      outcomes[i] = this.engine.command(kind, bytes.subarray(i * size, (i + 1) * size));
    }
    this.engine.endCommands();
    this.seal();
    return { outcomes, positions: new Float64Array(count) };
  }

  /**
   * `count` uses that no call has made before, of cards that `nextCard` picks. They are to be used
   * before more are made: a terminal whose STANs are used up makes way for the next.
   */
  makeUses(count: number, nextCard: () => number): UseSet {
    assert(count <= STAN_MAX, "a set is of one terminal");
    if (this.stan + count > STAN_MAX) this.nextTerminal();
    const bytes = new Uint8Array(count * USE_WORD.COUNT * 4);
    const blocks = new Uint8Array(count * PAN_BLOCK_SIZE);
    const words = new Int32Array(bytes.buffer);
    const record = recordTemplate({
      terminalId: terminalIdOf(this.terminalIndex),
      businessDate: businessDateNow(),
    });
    for (let i = 0; i < count; i++) {
      bytes.set(record, i * record.length);
      writeCardBlock(blocks, i * PAN_BLOCK_SIZE, nextCard());
      bytes.set(blocks.subarray(i * PAN_BLOCK_SIZE, (i + 1) * PAN_BLOCK_SIZE), i * record.length);
      words[i * USE_WORD.COUNT + USE_WORD.STAN] = ++this.stan;
    }
    const tokens = this.vault.tokenize(blocks);
    const tokenWords = new Int32Array(tokens.buffer, tokens.byteOffset, tokens.length >> 2);
    return { words, tokens: tokenWords, count };
  }

  /** Fills `use` with use `i` of a set, as the core does; they are read in order from the first. */
  read(set: UseSet, i: number): Use {
    if (i % USES_PER_FRAME === 0) {
      const count = Math.min(USES_PER_FRAME, set.count - i);
      this.engine.state.findCards(set.tokens, i * 4, 4, count, this.rows);
    }
    const { use } = this;
    use.senderRow = this.senderRow;
    use.tokens = set.tokens;
    use.tokenBase = i * 4;
    use.tokenRow = this.rows[i % USES_PER_FRAME]!;
    use.prefixCount = 0;
    use.panValid = true;
    readUse(use, MTI_USE_REQUEST, set.words, i * USE_WORD.COUNT);
    return use;
  }

  /** Takes all uses of a set through the engine, 128 to a frame. Throws unless all are approved. */
  decideAll(set: UseSet): void {
    for (let from = 0; from < set.count; from += USES_PER_FRAME) {
      const end = Math.min(from + USES_PER_FRAME, set.count);
      this.sequence++;
      this.engine.beginFrame(MTI_USE_REQUEST, this.senderRow, 1, this.sessionBase, this.sequence);
      for (let i = from; i < end; i++) {
        const use = this.read(set, i);
        const reason = this.engine.use(use, this.out, (i - from) * OUTCOME_WORDS);
        if (reason === REPEATED || reason !== REASON.APPROVED)
          throw new Error("a use was declined");
      }
      this.engine.endFrame();
    }
  }

  open(): void {
    this.engine.openBlock(this.block, Date.now());
  }

  seal(): void {
    if (this.engine.idle) return;
    sealBlock(this.engine.closeBlock().written);
    this.engine.sealed();
  }

  /** Signs the next terminal on, which sends from now on. */
  nextTerminal(): void {
    const { state } = this.engine;
    const terminalId = terminalIdOf(++this.terminalIndex);
    assert(this.terminalIndex < TERMINALS, "there are terminals for all uses");
    this.stan = 0;
    this.sequence = 0;
    const bytes = new Uint8Array(SESSION_SIZE);
    writeSession(bytes, 0, {
      terminalId,
      keyGeneration: 1,
      expiresAt: state.nowSeconds + 86_400,
      action: SESSION_SIGN_ON,
      macAlgorithm: MAC_ALGORITHM.AES_128_CMAC,
      terminalNonce: randomBytes(16),
      serverNonce: randomBytes(16),
      masterKeyVersion: MASTER_KEY_VERSION,
    });
    this.open();
    this.engine.beginCommands(COMMAND.SESSION);
    this.engine.command(COMMAND.SESSION, bytes);
    this.engine.endCommands();
    this.seal();
    this.senderRow = state.parties.find(terminalId);
    this.sessionBase = state.sessions.find(this.senderRow, 1, state.nowSeconds);
  }
}
