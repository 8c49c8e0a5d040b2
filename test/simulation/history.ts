// The auditor's history: it reads every block that became durable and holds each entry against the
// frame or command that it must come from, by the model. What it cannot explain breaks a promise.
//
// The twist: blocks found after a kill may be visible and not durable yet. They are taken like the
// others, and when a power cut takes them away again, the history is made anew without them.

import { Model, type ModelGeneration, type ModelOutcome, type ModelRules } from "./model.js";
import { execute, type Intent } from "./model-commands.js";
import { judgeUse, takeUse, useKey } from "./model-uses.js";
import { Broken } from "./trace.js";
import { hexOf, readBlock, type SeenBlock, type SeenEntry, type SentUse } from "./wire.js";

const MANAGEMENT = 0x0800;
const SESSION = 6;
const KEY_CHANGE = 101;
const SIGN_OFF = 2;

/** A frame that a terminal made. */
export interface SentFrame {
  senderId: number;
  keyGeneration: number;
  sequence: number;
  mti: number;
  uses: SentUse[];
  /** Function code of an 0800, else 0. */
  functionCode: number;
}

/** What a frame must be answered, once its block is durable. */
export interface Expected {
  timeMs: number;
  outcomes: ModelOutcome[];
  /** Generation whose key signs. */
  signer: ModelGeneration;
  /** What a sign-on or key change opened. */
  opened: { generation: number; expiresAt: number; serverNonce: Uint8Array } | null;
}

interface QueuedCommand {
  bytesHex: string;
  /** Told which outcome and position the command must have had. */
  settle(outcome: string, position: number): void;
}

export function frameKey(frame: {
  senderId: number;
  keyGeneration: number;
  sequence: number;
}): string {
  return `${frame.senderId}/${frame.keyGeneration}/${frame.sequence}`;
}

export class History {
  model: Model;
  readonly expected = new Map<string, Expected>();
  /** Every block taken, in order. */
  readonly blocks: Uint8Array[] = [];
  readonly sent = new Map<string, SentFrame>();
  /** By the bytes of a command, as it was given. */
  private readonly intents = new Map<string, Intent>();
  /** Commands handed to the node that lives, in order. */
  private queue: QueuedCommand[] = [];
  /** Nonces of challenges that were answered: terminal, its nonce, the server's. */
  readonly challenges = new Set<string>();
  private readonly tokens = new Map<string, string>();
  private remaking = false;
  /** The frame of the entry before, when it was an 0800, and under which generation it came. */
  private management: { frame: SentFrame; generation: ModelGeneration } | null = null;

  constructor(
    private readonly rules: ModelRules,
    private readonly latestMs: () => number,
  ) {
    this.model = new Model(rules);
  }

  noteIntent(bytes: Uint8Array, intent: Intent): void {
    this.intents.set(hexOf(bytes), intent);
  }

  /** A command was handed to the core; `settle` is told what must become of it. */
  enqueue(bytes: Uint8Array, settle: QueuedCommand["settle"]): void {
    this.queue.push({ bytesHex: hexOf(bytes), settle });
  }

  /** Settles commands up to `count` that are left in the queue: none of them may be done. */
  settleRefused(count: number): void {
    for (let i = 0; i < count; i++) {
      const command = this.queue.shift()!;
      const outcome = execute(this.model, this.intentOf(command.bytesHex), -1);
      if (outcome === "DONE") throw new Broken("a command that must be done is not", "command");
      command.settle(outcome, 0);
    }
  }

  /** The process is gone, and what it had not written of its queue. */
  dropQueue(): void {
    this.queue = [];
  }

  /** Whether a change of a terminal is on its way. */
  changing(terminalId: number): boolean {
    return this.queue.some(({ bytesHex }) => {
      const intent = this.intents.get(bytesHex);
      return intent?.kind === "terminal" && intent.terminalId === terminalId;
    });
  }

  /** Takes the next block. */
  take(bytes: Uint8Array): void {
    this.blocks.push(Uint8Array.from(bytes));
    this.read(bytes);
  }

  /** Keeps the first `count` blocks only: the others were never durable. */
  remake(count: number): void {
    if (count === this.blocks.length) return;
    this.blocks.length = count;
    this.model = new Model(this.rules);
    this.expected.clear();
    this.remaking = true;
    for (const bytes of this.blocks) this.read(bytes);
    this.remaking = false;
  }

  private read(bytes: Uint8Array): void {
    const block = readBlock(bytes);
    if (typeof block === "string") throw new Broken(`a durable block is bad: ${block}`, "block");
    const { model } = this;
    this.checkChain(block);
    model.moveTo(block.timeMs);
    const inForce = model.catalogue?.version ?? 0;
    check(block.catalogueVersion === inForce, "a block names the catalogue in force", "block");
    const { blacklistPosition } = model;
    check(block.blacklistPosition === blacklistPosition, "a block names the blacklist", "block");
    for (const entry of block.entries) this.readEntry(entry);
    const last = block.firstPosition + block.positionCount - 1;
    check(model.position === last, "a block takes its positions", "block");
    model.blockHash = block.hash;
  }

  private checkChain(block: SeenBlock): void {
    const { model } = this;
    check(block.firstPosition === model.position + 1, "blocks follow each other", "block");
    check(block.previousHash === model.blockHash, "blocks are chained", "block");
    check(block.timeMs >= model.timeMs, "time does not go back", "block");
    check(block.timeMs <= this.latestMs(), "a block's time has been told by a clock", "block");
  }

  private readEntry(entry: SeenEntry): void {
    if (entry.kind !== SESSION) this.management = null;
    if (entry.kind >= 0x0100 && entry.kind !== MANAGEMENT) this.readUses(entry);
    else if (entry.kind === MANAGEMENT) this.readManagement(entry);
    else if (entry.kind === SESSION) this.readSession(entry);
    else this.readCommands(entry);
  }

  /** The frame behind an entry, its session and sequence as they must be. */
  private accepted(entry: SeenEntry): { frame: SentFrame; generation: ModelGeneration } {
    const key = frameKey(entry);
    const frame = this.sent.get(key);
    if (frame === undefined) throw new Broken("a frame that was never sent is recorded", key);
    check(frame.mti === entry.kind, "an entry is of its frame's type", key);
    const { model } = this;
    const generation = model.generation(entry.senderId, entry.keyGeneration);
    if (generation === null) throw new Broken("a frame without a session was taken", key);
    check(model.fresh(generation, entry.sequence), "a sequence number is taken once", key);
    generation.sequences.add(entry.sequence);
    generation.highest = Math.max(generation.highest, entry.sequence);
    return { frame, generation };
  }

  private readUses(entry: SeenEntry): void {
    const { frame, generation } = this.accepted(entry);
    let recorded = 0;
    const outcomes = frame.uses.map((use) => {
      const key = useKey(use);
      const judgement = judgeUse(this.model, entry.senderId, use);
      if (judgement.repeatOf !== null) return judgement.repeatOf;
      if (recorded === entry.count) throw new Broken("a use must be recorded and is not", key);
      const record = entry.records.subarray(recorded * 64, ++recorded * 64);
      const reason = new DataView(record.buffer, record.byteOffset).getUint16(46, true);
      if (!judgement.reasons.includes(reason)) {
        const right = judgement.reasons.join(" or ");
        throw new Broken(`a use is judged ${reason} and must be ${right}`, key);
      }
      this.checkRecord(use, record, reason);
      const position = ++this.model.position;
      return takeUse(this.model, use, reason, judgement.differing, position);
    });
    check(recorded === entry.count, "only what was asked and is no repeat is recorded", "use");
    if (entry.count === 0) this.model.position++;
    this.expect(entry, generation, outcomes, null);
  }

  private checkRecord(use: SentUse, record: Uint8Array, reason: number): void {
    const key = useKey(use);
    const view = new DataView(record.buffer, record.byteOffset);
    check(hexOf(record.subarray(16, 45)) === hexOf(use.bytes.subarray(16, 45)), "as sent", key);
    check(record[45] === use.mti >> 4, "a record names its message", key);
    check(
      view.getUint32(56, true) === (this.model.catalogue?.version ?? 0),
      "a record names its catalogue",
      key,
    );
    const token = hexOf(record.subarray(0, 16));
    check(token !== use.panHex, "no card number stands in the journal", key);
    const before = this.tokens.get(use.panHex);
    check(before === undefined || before === token, "a card has one token", key);
    this.tokens.set(use.panHex, token);
    if ([10, 11, 30, 31, 32, 33].includes(reason)) {
      const entryId = Number(view.getBigUint64(48, true));
      check(this.model.entries.has(entryId), "a decline names its entry", key);
    } else if (use.mti >= 0x0400) {
      check(view.getUint32(48, true) === use.originalStan, "a record names its original", key);
      check(view.getUint32(52, true) === use.originalDate, "a record names its original", key);
    }
  }

  private readManagement(entry: SeenEntry): void {
    const { frame, generation } = this.accepted(entry);
    check(entry.count === 0, "an 0800 entry holds no record", frameKey(entry));
    this.model.position++;
    this.management = { frame, generation };
    if (frame.functionCode !== KEY_CHANGE) this.expect(entry, generation, [], null);
  }

  private expect(
    entry: { senderId: number; keyGeneration: number; sequence: number },
    signer: ModelGeneration,
    outcomes: ModelOutcome[],
    opened: ModelGeneration | null,
  ): void {
    const { timeMs } = this.model;
    const asOpened = opened === null ? null : { ...opened };
    this.expected.set(frameKey(entry), { timeMs, outcomes, signer, opened: asOpened });
  }

  private readSession(entry: SeenEntry): void {
    const view = new DataView(entry.records.buffer, entry.records.byteOffset, 64);
    const terminalId = view.getUint32(0, true);
    const action = view.getUint8(12);
    check(entry.count === 1, "a session entry holds one record", "session");
    this.model.position++;
    const before = this.management;
    this.management = null;
    if (action !== 1) {
      const { senderId, functionCode } = before?.frame ?? { senderId: 0, functionCode: 0 };
      const code = senderId === terminalId ? functionCode : 0;
      check(
        code === (action === 2 ? KEY_CHANGE : SIGN_OFF),
        "a session changes as asked",
        "session",
      );
    }
    if (action === 3) this.signOff(terminalId);
    else this.open(terminalId, action, view, entry.records, before);
  }

  private signOff(terminalId: number): void {
    const session = this.model.sessions.get(terminalId)!;
    for (const each of [session.current, session.previous]) if (each) each.expiresAt = 0;
  }

  private open(
    terminalId: number,
    action: number,
    view: DataView,
    record: Uint8Array,
    asked: { frame: SentFrame; generation: ModelGeneration } | null,
  ): void {
    const { model, rules } = this;
    const terminal = model.terminals.get(terminalId);
    const key = `session ${terminalId}`;
    if (terminal === undefined) throw new Broken("a session of no terminal", key);
    const opened: ModelGeneration = {
      generation: view.getUint32(4, true),
      expiresAt: view.getUint32(8, true),
      macAlgorithm: view.getUint8(13),
      keyVersion: view.getUint32(48, true),
      keyHex: "",
      terminalNonce: record.slice(16, 32),
      serverNonce: record.slice(32, 48),
      sequences: new Set(),
      highest: 0,
    };
    const before = model.sessions.get(terminalId)?.current ?? null;
    check(opened.generation === (before?.generation ?? 0) + 1, "generations follow", key);
    check(opened.macAlgorithm === terminal.macAlgorithm, "the profile names the algorithm", key);
    check(opened.expiresAt === model.nowSeconds + rules.sessionSeconds, "a session ends", key);
    const kept = terminal.keys.find(({ version }) => version === opened.keyVersion);
    if (kept === undefined) throw new Broken("a session has a key that is kept", key);
    opened.keyHex = kept.hex;
    if (action === 1) this.checkProof(terminalId, opened);
    if (before !== null) {
      before.expiresAt = Math.min(before.expiresAt, model.nowSeconds + rules.keyOverlapSeconds);
    }
    model.sessions.set(terminalId, { current: opened, previous: before });
    this.checkRoom(terminalId);
    if (action === 2) this.expect(asked!.frame, asked!.generation, [], opened);
    else {
      const answer = { senderId: terminalId, keyGeneration: opened.generation, sequence: 0 };
      this.expect(answer, opened, [], opened);
    }
  }

  private checkProof(terminalId: number, opened: ModelGeneration): void {
    const nonces = `${hexOf(opened.terminalNonce)}/${hexOf(opened.serverNonce)}`;
    const given = this.challenges.has(`${terminalId}/${nonces}`);
    check(given, "a sign-on is proved", `session ${terminalId}`);
  }

  /** Terminals whose session has not come to its end are no more than may be. */
  private checkRoom(terminalId: number): void {
    const { model, rules } = this;
    const open = [...model.sessions.values()].filter(({ current }) => {
      return current !== null && current.expiresAt > model.nowSeconds;
    });
    const fits = open.length <= rules.sessionsMax;
    check(fits, "a session over the limit is refused", `session ${terminalId}`);
  }

  private readCommands(entry: SeenEntry): void {
    const size = entry.records.length / entry.count;
    for (let i = 0; i < entry.count; i++) {
      this.readCommand(entry.records.subarray(i * size, (i + 1) * size));
    }
  }

  private readCommand(bytes: Uint8Array): void {
    const bytesHex = hexOf(bytes);
    const intent = this.intentOf(bytesHex);
    const position = this.model.position + 1;
    if (!this.remaking) this.skipRefused(bytesHex);
    const outcome = execute(this.model, intent, position);
    check(outcome === "DONE", `a command is recorded that must be ${outcome}`, "command");
    this.model.position = position;
    if (!this.remaking) this.queue.shift()!.settle("DONE", position);
  }

  /** Commands before the one recorded must have been refused. */
  private skipRefused(bytesHex: string): void {
    for (;;) {
      const next = this.queue[0];
      if (next === undefined) throw new Broken("a command that no one gave is recorded", "command");
      if (sameCommand(next.bytesHex, bytesHex, this.model.position + 1)) return;
      this.settleRefused(1);
    }
  }

  private intentOf(bytesHex: string): Intent {
    const exact = this.intents.get(bytesHex);
    if (exact !== undefined) return exact;
    const numbered = this.intents.get(withEntryId(bytesHex, 0));
    if (numbered === undefined)
      throw new Broken("a command that no one gave is recorded", "command");
    return numbered;
  }
}

/** The engine numbers an entry that came with no number by its position. */
function sameCommand(given: string, recorded: string, position: number): boolean {
  if (given === recorded) return true;
  return withEntryId(given, 0) === given && recorded === withEntryId(given, position);
}

function withEntryId(commandHex: string, entryId: number): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt(entryId));
  return commandHex.slice(0, 64) + number.toString("hex") + commandHex.slice(80);
}

function check(holds: boolean, promise: string, key: string): void {
  if (!holds) throw new Broken(promise, key);
}
