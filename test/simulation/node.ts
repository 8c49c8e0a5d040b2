// The node of a run: alive or not, crashed and started again, with what each start must find.

import { frameProblem, readFrameHeader } from "../../protocol/decode.js";
import { FRAME_PROBLEM } from "../../protocol/frame-problem.js";
import type { Reply } from "../../src/frame-slot.js";
import { Inspection } from "./inspection.js";
import { Life } from "./life.js";
import { Broken } from "./trace.js";
import { framesIn } from "./wire.js";
import type { World } from "./world.js";

export class SimulatedNode {
  life: Life | null = null;
  crashes = 0;
  checkpoints = 0;
  private readonly inspection: Inspection;
  /** Blocks known to be on disk, by position. */
  private readonly durable = new Map<number, Uint8Array>();
  private tornKey = 0;
  private checkpointsOver = false;

  constructor(
    private readonly world: World,
    private readonly restarted: (life: Life) => void,
    private readonly gone: () => void,
  ) {
    const { config } = world.plan;
    const limits = {
      ...config.tables,
      businessDatesKept: config.duplicates.businessDatesKept,
      sessionsMax: config.limits.sessionsMax,
      keyOverlapSeconds: config.session.keyOverlapSeconds,
      businessDay: { ...config.businessDay },
    };
    this.inspection = new Inspection(limits, world.auditor.history, world.vault);
    world.journalFile.flushed = (operations) => {
      for (const { key, value } of operations) this.flushed(key as number, value!);
    };
  }

  start(): void {
    const { world } = this;
    if (world.journalFile.visible.has(this.tornKey)) this.refuseTorn();
    const stopped = () => this.ended("it stopped itself");
    const life = new Life(world, stopped, () => this.serves(life));
    this.life = life;
    this.checkpointsOver = false;
    this.catchUp();
    world.auditor.history.dropQueue();
    this.inspection.inspect(life.engine);
    const { position } = life.engine.state.registers;
    world.trace.note("node", `found ${position}, checkpoint ${life.checkpointPosition}`);
  }

  private serves(life: Life): void {
    this.world.trace.note("node", "serves");
    this.world.dead = false;
    if (this.world.chance.hit(0.3)) this.checkpoint();
    if (this.world.chance.hit(0.1)) this.crashSoon(6000);
    this.restarted(life);
  }

  /** Crashes are worst where something has just begun. */
  private crashSoon(withinUs: number): void {
    const { world, life } = this;
    world.timeline.after(world.chance.below(withinUs), () => {
      if (!world.healed && this.life === life) this.crash(world.chance.hit(0.8));
    });
  }

  /** Power is cut, or only the process is killed. */
  crash(power: boolean): void {
    const { world, life } = this;
    if (life === null) return;
    this.crashes++;
    life.kill();
    this.ended(power ? "power is cut" : "it is killed");
    if (!power) return;
    const { chance, journalFile, tablesFile } = world;
    for (const file of [journalFile, tablesFile]) {
      const survivors = chance.below(file.unflushed.length + 1);
      const next = file.unflushed[survivors]?.[0];
      file.cutPower(survivors);
      const torn = file === journalFile && next !== undefined && chance.hit(0.2);
      if (!torn) continue;
      const bytes = Buffer.from(next.value!);
      bytes.fill(0, chance.below(bytes.length - 1) & ~7);
      if (Buffer.compare(bytes, next.value!) === 0) continue;
      this.tornKey = next.key as number;
      world.count("a block is torn");
      file.visible.set(this.tornKey, bytes);
    }
  }

  /** Begins a checkpoint, unless one has failed in this life. */
  checkpoint(): void {
    const { life, world } = this;
    if (life === null || !life.serves || this.checkpointsOver) return;
    if (world.chance.hit(world.plan.crashAtCheckpoint)) this.crashSoon(1500);
    life.checkpoint().then(
      () => {
        this.checkpoints++;
        world.trace.note("node", "checkpoint done");
      },
      () => {
        world.trace.note("node", "checkpoint failed");
        this.checkpointsOver = world.chance.hit(0.2);
        // One that were completed now would lack what the failed one held.
        world.later(2, () => this.checkpoint());
      },
    );
  }

  /**
   * A message arrives on a connection, with the byte at `changedAt` not as it was sent, if that is
   * in it. Returns whether the connection is still good.
   */
  receive(reply: Reply, bytes: Uint8Array, changedAt: number): boolean {
    const { life } = this;
    if (life === null || !life.serves) return false;
    let sound = true;
    let at = 0;
    for (const frame of framesIn(bytes)) {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      sound = frameProblem(view, 0, frame.length) === FRAME_PROBLEM.NONE;
      // What stands behind is not looked at.
      if (!sound) break;
      const tampered = changedAt >= at && changedAt < at + frame.length;
      this.world.auditor.delivered({ ...readFrameHeader(view, 0), tampered });
      at += frame.length;
    }
    const problem = life.receive(reply, bytes);
    if (this.life === life && life.inFlight !== this.world.auditor.openRecords) {
      throw new Broken("what is not in flight has been answered", "node");
    }
    if (sound === (problem === FRAME_PROBLEM.NONE)) return sound;
    if (!sound) throw new Broken("a malformed frame is taken", "node");
    throw new Broken("a sound frame is called malformed", "node");
  }

  private ended(how: string): void {
    const { world } = this;
    const stopped = this.life?.host.stoppedBecause;
    world.count(how);
    world.trace.note("node", stopped ? `${how}: ${stopped}` : how);
    this.life = null;
    world.dead = true;
    world.auditor.crashed();
    this.gone();
    const restartMs = world.healed ? 5 : world.plan.restartMs;
    world.later(restartMs, () => {
      if (this.life === null) this.start();
    });
  }

  private flushed(position: number, bytes: Uint8Array): void {
    const { history } = this.world.auditor;
    this.world.trace.note("block", `${position} on disk`);
    const count = this.durable.size;
    const before = this.durable.get(position) ?? history.blocks[count];
    if (before !== undefined && Buffer.compare(before, bytes) !== 0) {
      throw new Broken("a block has changed", "block");
    }
    if (before === undefined) history.take(bytes);
    this.durable.set(position, bytes);
  }

  /** History takes what the node has found, and forgets what power took away. */
  private catchUp(): void {
    const { history } = this.world.auditor;
    const blocks = [...this.world.journalFile.visible].sort((a, b) => Number(a[0]) - Number(b[0]));
    if (blocks.length < this.durable.size) throw new Broken("the false disk lost a block", "disk");
    history.remake(Math.min(blocks.length, history.blocks.length));
    for (const [, bytes] of blocks.slice(history.blocks.length)) history.take(bytes);
  }

  /** A torn block must keep the node from serving; then it is taken away, as lmdb does. */
  private refuseTorn(): void {
    const { world } = this;
    let refused = "";
    try {
      new Life(
        world,
        () => {},
        () => {},
      ).host.alive = false;
    } catch (error) {
      refused = (error as Error).message;
    }
    if (!/^(journal block|the journal does not hold the block) .*position \d+:/.test(refused)) {
      throw new Broken(`a torn block is not refused: ${refused}`, "block");
    }
    world.trace.note("node", refused);
    world.journalFile.restore();
    this.tornKey = 0;
  }
}
