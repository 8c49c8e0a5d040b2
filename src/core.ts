// The core: the way of a request on the main thread.
//
//   receive   frame copied into the batch being received; malformed, overloaded -> refused at once
//   verify    sessions found, MACs checked, inline or by the pool          97, A0 -> refused
//   decide    records through the engine into the block being filled       63 -> refused
//   commit    the block, one durable write; response MACs are made meanwhile
//   deliver   answers leave when their block is on disk and they are signed
//
// It never waits. A batch is what arrived in one turn of the event loop, or while the batch before
// was verified and decided; a block is what was decided while the block before was committed. A
// large batch is decided in slices: answers leave and a commit begins between two of them.
// Invariant: a frame's records count as in flight from receive to refuse or deliver.

import { type Engine, REPEATED } from "../engine/engine.js";
import { readUse, USE_WORD, Use } from "../engine/use.js";
import { assert } from "../protocol/assert.js";
import { requestFrameProblem } from "../protocol/decode.js";
import { WORD } from "../protocol/endian.js";
import { FRAME_HEADER_SIZE, FRAME_MAC_SIZE } from "../protocol/frame.js";
import { FRAME_PROBLEM } from "../protocol/frame-problem.js";
import { wipeScratch } from "../protocol/mac.js";
import { gatheredFrameSize } from "../protocol/message.js";
import { isUseMti } from "../protocol/mti.js";
import { OUTCOME_RECORD_SIZE } from "../protocol/outcome-record.js";
import { panBlockValid } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import { Admission } from "./admission.js";
import { type Batch, newBatches, newBlocks, type PendingBlock } from "./batch.js";
import type { BlockSink } from "./block-sink.js";
import { callAll } from "./call-all.js";
import { CommandQueue } from "./command-queue.js";
import type { CommandBatch, CommandResult, CommandSink } from "./command-sink.js";
import { CommitWatch } from "./commit-watch.js";
import type { Config } from "./config.js";
import { type FrameSlot, FrameSlots, type Reply, readSlot } from "./frame-slot.js";
import type { Host } from "./host.js";
import { MacStage } from "./mac-stage.js";
import { ANSWERED_AT_ONCE, Management } from "./management.js";
import type { Metrics } from "./metrics.js";
import { refuseAtOnce } from "./refuse-at-once.js";
import { beginResponse, refusalFrame, responseFrameSize } from "./responses.js";
import { SessionKeys } from "./session-keys.js";
import { UseTokens } from "./use-batch.js";
import type { KeyVault } from "./vault.js";

/** Key generations whose keys are kept ready, some 500 bytes each: two of 100,000 sessions fit. */
const KEY_PAIRS_MAX = 262_144;
/** What a turn decides at the most, some 2 ms: a record is 1, its frame FRAME_WORK more. */
const SLICE_WORK = 2048;
const FRAME_WORK = 3;
const OUTCOME_WORDS = OUTCOME_RECORD_SIZE / WORD.SIZE;

export interface CoreParts {
  config: Config;
  engine: Engine;
  journal: BlockSink;
  vault: KeyVault;
  metrics: Metrics;
  host: Host;
  /** In place of SLICE_WORK, for tests. */
  sliceWork?: number;
}

export class Core implements CommandSink {
  /** Records taken and not yet answered. */
  inFlight = 0;
  /** When a frame was last taken to be answered, by the host's monotonic clock. */
  lastTakenMs = Number.NEGATIVE_INFINITY;
  /** Position up to which the journal is on disk. */
  committedPosition: number;
  readonly keys: SessionKeys;
  readonly macs: MacStage;
  private readonly slots = new FrameSlots();
  private readonly commands: CommandQueue;
  private readonly management: Management;
  private readonly tokens: UseTokens;
  private readonly admission: Admission;
  private readonly use = new Use();
  private receiving: Batch;
  private spareBatch: Batch;
  private verifying: Batch | null = null;
  /** A batch whose frames from `resumeAt` on wait for the next turn, or for room in a block. */
  private stalled: Batch | null = null;
  private resumeAt = 0;
  private filling: PendingBlock;
  private committing: PendingBlock | null = null;
  private spareBlock: PendingBlock | null;
  private scheduled = false;
  private stopping = false;
  private boundaryTasks: (() => void)[] = [];
  private idleWaiters: (() => void)[] = [];
  private readonly watch: CommitWatch;

  constructor(private readonly parts: CoreParts) {
    const { config, engine, vault, metrics } = parts;
    const batches = newBatches(config);
    const blocks = newBlocks(config, parts.journal.memory);
    [this.receiving, this.spareBatch] = batches;
    [this.filling, this.spareBlock] = blocks;
    this.committedPosition = engine.state.registers.position;
    this.keys = new SessionKeys(engine.state, vault, KEY_PAIRS_MAX);
    this.macs = new MacStage(config.crypto.workers, [...batches, ...blocks], this.keys, metrics);
    const { recordsInFlightMax, answerMs } = config.limits;
    this.tokens = new UseTokens(vault, engine.state, recordsInFlightMax);
    this.admission = new Admission(recordsInFlightMax, answerMs);
    this.commands = new CommandQueue(engine, parts.host);
    this.management = new Management(config, engine, this.keys, parts.host);
    this.watch = new CommitWatch(parts.host, config.journal.commitSecondsMax, () =>
      this.committing === null || this.committing.durable ? null : this.committing.startedMs,
    );
  }

  /**
   * Takes the frames of a message. Returns FRAME_PROBLEM.NONE, or what is wrong with one of them:
   * then the connection is to be closed, and nothing from that frame on was taken. `message` is
   * zeroed, whatever becomes of it: it holds card numbers.
   */
  receive(reply: Reply, message: ArrayBuffer): number {
    const bytes = new Uint8Array(message);
    const problem = this.take(reply, bytes);
    bytes.fill(0);
    return problem;
  }

  private take(reply: Reply, bytes: Uint8Array): number {
    const size = bytes.length;
    if (size > this.parts.config.terminals.frameSizeMax) return FRAME_PROBLEM.TOO_LARGE;
    if (this.admission.refuses(this.inFlight)) {
      // What was taken does not wait for the rest to be refused, and may be refused itself.
      if (this.scheduled) this.turn();
      if (this.admission.refuses(this.inFlight)) return refuseAtOnce(reply, bytes, this.parts);
    }
    const { arena, frames } = this.receiving;
    assert(arena.fits(size), "the batch has room for one more message");
    let at = arena.take(size);
    const end = at + size;
    const nowMs = this.parts.host.monotonicMs();
    arena.bytes.set(bytes, at);
    // Where the next frame is to stand: a refused one leaves no gap.
    let to = at;
    let problem: number;
    do {
      const frameSize = reply.gathers ? gatheredFrameSize(arena.view, at, end) : size;
      if (to !== at) arena.bytes.copyWithin(to, at, at + frameSize);
      const count = frames.length;
      problem = this.takeFrame(reply, to, frameSize, nowMs);
      at += frameSize;
      if (frames.length > count) to += frameSize;
    } while (problem === FRAME_PROBLEM.NONE && at < end);
    arena.wipe(to);
    return problem;
  }

  /** Takes the frame at `start` of the batch being received, or refuses it. */
  private takeFrame(reply: Reply, start: number, size: number, nowMs: number): number {
    const { arena } = this.receiving;
    const problem = requestFrameProblem(arena.view, start, size);
    if (problem !== FRAME_PROBLEM.NONE) return problem;
    const frame = this.slots.take();
    frame.reply = reply;
    frame.receivedMs = nowMs;
    readSlot(frame, arena.view, start, size);
    this.inFlight += frame.count;
    const refusal = this.overload(frame);
    if (refusal === 0) {
      this.lastTakenMs = nowMs;
      this.receiving.frames.push(frame);
      this.schedule();
    } else this.refuse(frame, refusal);
    return FRAME_PROBLEM.NONE;
  }

  /** Executes commands; resolves when they are on disk. */
  execute(batch: CommandBatch): Promise<CommandResult> {
    const done = this.commands.add(batch);
    this.schedule();
    return done;
  }

  /** Runs `task` on the boundary between two blocks: the state is that of the last closed one. */
  atBoundary(task: () => void): void {
    if (this.parts.engine.idle) task();
    else this.boundaryTasks.push(task);
  }

  /** Runs `task` when the last closed block is sealed and on disk. */
  afterCommit(task: () => void): void {
    if (this.committing === null || this.committing.durable) task();
    else this.committing.committed.push(task);
  }

  /** From now on refuses frames with 91; resolves when all that was taken has been answered. */
  async drain(): Promise<void> {
    this.stopping = true;
    this.lastTakenMs = Number.NEGATIVE_INFINITY;
    if (!this.quiet) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  async close(): Promise<void> {
    await this.drain();
    this.watch.stop();
    await this.macs.close();
    this.keys.close();
  }

  private get quiet(): boolean {
    return (
      this.inFlight === 0 &&
      this.receiving.frames.length === 0 &&
      this.verifying === null &&
      this.stalled === null &&
      this.committing === null &&
      this.parts.engine.idle &&
      this.commands.empty
    );
  }

  private overload(frame: FrameSlot): number {
    const { limits, terminals } = this.parts.config;
    if (this.stopping) return REASON.STOPPING;
    if (frame.count > limits.recordsPerFrameMax) return REASON.OVERLOADED;
    if (this.inFlight > limits.recordsInFlightMax) return REASON.OVERLOADED;
    // Management frames can be larger than their one record: the next frame must find room, too.
    return this.receiving.arena.fits(terminals.frameSizeMax) ? 0 : REASON.OVERLOADED;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.parts.host.soon(this.turn);
  }

  /** A turn for what came while no turn could be taken. */
  private scheduleRest(): void {
    const waits = this.receiving.frames.length > 0 || !this.commands.empty;
    if (waits || this.stalled !== null) this.schedule();
  }

  private readonly turn = (): void => {
    this.scheduled = false;
    if (this.verifying !== null) return;
    this.openBlock();
    if (this.stalled !== null) {
      this.decideBatch(this.stalled, this.resumeAt);
      return;
    }
    this.runCommands();
    if (this.receiving.frames.length > 0) this.verify();
    else this.commit();
  };

  private openBlock(): void {
    this.parts.engine.openBlock(this.filling.writer, this.parts.host.nowMs());
  }

  private runCommands(): void {
    if (this.commands.empty) return;
    this.parts.metrics.countCommands(this.commands.run(this.filling.committed));
    if (!this.commands.empty) this.schedule();
  }

  private verify(): void {
    const batch = this.receiving;
    this.receiving = this.spareBatch;
    this.keys.findAll(batch.frames);
    const pooled = this.macs.verify(batch);
    if (pooled === null) {
      this.spareBatch = batch;
      this.decideBatch(batch, 0);
      return;
    }
    this.verifying = batch;
    pooled.then(() => this.verified(batch), this.poolFailed);
  }

  private verified(batch: Batch): void {
    this.verifying = null;
    this.spareBatch = batch;
    this.openBlock();
    this.decideBatch(batch, 0);
  }

  /** Decides a slice of a batch, from frame `from` on, as far as the block has room. */
  private decideBatch(batch: Batch, from: number): void {
    const { state } = this.parts.engine;
    if (from === 0) this.tokens.prepare(batch, state.blacklist.prefixLengths);
    else this.tokens.forgetRows();
    let work = 0;
    for (let i = from; i < batch.frames.length; i++) {
      const frame = batch.frames[i]!;
      const full = frame.refusal === 0 && !this.hasRoom(frame);
      if (full || work >= (this.parts.sliceWork ?? SLICE_WORK)) {
        this.stalled = batch;
        this.resumeAt = i;
        this.commit();
        // A full block is followed by the next one when it has been delivered.
        if (!full) this.schedule();
        return;
      }
      work += FRAME_WORK + frame.count;
      this.decideFrame(batch, frame);
    }
    this.stalled = null;
    batch.clear();
    this.commit();
    this.scheduleRest();
  }

  private hasRoom(frame: FrameSlot): boolean {
    if (!isUseMti(frame.mti)) return this.management.fits(this.filling);
    const responseSize = responseFrameSize(frame.count * OUTCOME_RECORD_SIZE);
    return (
      this.parts.engine.fits(frame.count * USE_RECORD_SIZE) && this.filling.arena.fits(responseSize)
    );
  }

  private decideFrame(batch: Batch, frame: FrameSlot): void {
    const { state } = this.parts.engine;
    if (frame.refusal === 0 && frame.sessionBase !== 0) {
      const { senderRow, keyGeneration } = frame;
      const base = state.sessions.find(senderRow, keyGeneration, state.nowSeconds);
      if (base === 0) frame.refusal = REASON.NOT_SIGNED_ON;
      else if (!state.sessions.sequenceFresh(base, frame.sequence)) {
        frame.refusal = REASON.SEQUENCE_REPEATED;
      }
      frame.sessionBase = base;
    }
    if (frame.refusal !== 0) {
      this.refuse(frame, frame.refusal);
    } else if (isUseMti(frame.mti)) {
      this.decideUses(batch, frame);
    } else {
      const refusal = this.management.handle(batch.arena, frame, this.filling);
      if (refusal === 0) this.answered(frame);
      else if (refusal === ANSWERED_AT_ONCE) this.finished(frame);
      else this.refuse(frame, refusal);
    }
  }

  private decideUses(batch: Batch, frame: FrameSlot): void {
    const { engine, metrics } = this.parts;
    const { arena } = this.filling;
    const bodySize = frame.count * OUTCOME_RECORD_SIZE;
    const timeMs = engine.state.registers.timeMs;
    const body = beginResponse(arena, frame, frame.count, bodySize, timeMs, REASON.APPROVED);
    const use = this.use;
    use.senderRow = frame.senderRow;
    use.tokens = this.tokens.words;
    use.prefixCount = this.tokens.stride - 1;
    const { mti, senderRow, keyGeneration, sessionBase, sequence, count, tokenIndex } = frame;
    engine.beginFrame(mti, senderRow, keyGeneration, sessionBase, sequence);
    const { words } = batch.arena;
    const tokenWords = this.tokens.stride * 4;
    let from = (frame.start + FRAME_HEADER_SIZE) >> 2;
    let to = body >> 2;
    for (let i = 0; i < count; i++) {
      readUse(use, mti, words, from);
      use.tokenBase = (tokenIndex + i) * tokenWords;
      use.tokenRow = this.tokens.cardRow(tokenIndex + i);
      use.panValid = panBlockValid(words, from);
      const reason = engine.use(use, arena.words, to);
      if (reason === REPEATED) metrics.countRepeat(1);
      else metrics.countDecision(reason, 1);
      from += USE_WORD.COUNT;
      to += OUTCOME_WORDS;
    }
    engine.endFrame();
    assert(USE_WORD.COUNT * WORD.SIZE === USE_RECORD_SIZE, "a use is as many words as bytes");
    frame.signer = frame.keys!.response;
    this.answered(frame);
  }

  /** The frame's answer waits for the block. */
  private answered(frame: FrameSlot): void {
    this.filling.frames.push(frame);
    this.filling.records += frame.count;
  }

  /** Answers a frame that is refused as a whole, at once: nothing of it needs to be durable. */
  private refuse(frame: FrameSlot, reason: number): void {
    const { metrics, host } = this.parts;
    metrics.countFrame(reason);
    const reply = frame.reply!;
    const answer = refusalFrame(frame, reason, host.nowMs());
    reply.queue(answer, 0, answer.length);
    reply.flush();
    this.finished(frame);
  }

  private finished(frame: FrameSlot): void {
    this.inFlight -= frame.count;
    this.slots.release(frame);
  }

  /** Commits the block that filled, unless one is being committed or there is nothing. */
  private commit(): void {
    const { engine, journal, metrics, host } = this.parts;
    if (this.committing !== null) return;
    if (engine.idle) {
      this.settle();
      return;
    }
    const block = this.filling;
    this.filling = this.spareBlock!;
    this.spareBlock = null;
    this.committing = block;
    const writer = engine.closeBlock();
    block.lastPosition = engine.state.registers.position;
    callAll(this.boundaryTasks);
    block.startedMs = host.monotonicMs();
    metrics.observeBatch(block.records);
    metrics.countJournalBytes(writer.size);
    journal
      .append(writer.firstPosition, writer.written)
      .then((commitMs) => this.durable(block, commitMs), this.commitFailed);
    // A turn of the event loop that reads much takes longer than a commit.
    host.soon(this.look);
    const pooled = this.macs.sign(block);
    if (pooled === null) block.signed = true;
    else pooled.then(() => this.signed(block), this.poolFailed);
  }

  private readonly look = (): void => this.parts.journal.poll();

  private signed(block: PendingBlock): void {
    block.signed = true;
    if (block.durable) this.deliver(block);
  }

  private durable(block: PendingBlock, commitMs: number): void {
    block.commitMs = commitMs;
    block.lateMs = this.parts.host.monotonicMs() - block.startedMs - commitMs;
    this.parts.metrics.observeCommitNs(commitMs * 1e6);
    this.parts.engine.sealed();
    this.committedPosition = block.lastPosition;
    block.durable = true;
    callAll(block.committed);
    if (block.signed) this.deliver(block);
  }

  /** Sends the answers of a block, connection by connection, and lets the next one be committed. */
  private deliver(block: PendingBlock): void {
    const { metrics, host } = this.parts;
    const nowMs = host.monotonicMs();
    const replies: Reply[] = [];
    const first = block.frames[0];
    if (first) {
      const waitMs = block.lateMs + nowMs - first.receivedMs;
      this.admission.answered({ waitMs, commitMs: block.commitMs, idleMs: host.idleMs() }, nowMs);
    }
    for (const frame of block.frames) {
      const reply = frame.reply!;
      const end = frame.responseStart + frame.responseSize + FRAME_MAC_SIZE;
      reply.queue(block.arena.bytes, frame.responseStart, end);
      if (!reply.dirty) {
        reply.dirty = true;
        replies.push(reply);
      }
      this.inFlight -= frame.count;
      metrics.observeLatencyNs((nowMs - frame.receivedMs) * 1e6, Math.max(frame.count, 1));
      this.slots.release(frame);
    }
    for (const reply of replies) {
      reply.dirty = false;
      reply.flush();
    }
    this.keys.delivered();
    block.clear();
    this.spareBlock = block;
    this.committing = null;
    this.commit();
    this.scheduleRest();
  }

  /** Everything that was taken has been answered, or soon will be told so. */
  private settle(): void {
    callAll(this.filling.committed);
    if (!this.quiet) return;
    this.keys.closeRetired();
    wipeScratch();
    callAll(this.idleWaiters);
  }

  private readonly commitFailed = (): void => {
    this.parts.host.failStop(
      "a commit of the journal failed: check the disk and its free space, then start again",
    );
  };

  private readonly poolFailed = (): void => {
    this.parts.host.failStop(
      "a thread of the MAC pool ended: start again, and report it if it comes back",
    );
  };
}
