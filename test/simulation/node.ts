// The node of a run: alive or not, crashed and started again, with what each start must find.

import { frameProblem, readFrameHeader } from "../../protocol/decode.js";
import { FRAME_PROBLEM } from "../../protocol/frame-problem.js";
import type { Reply } from "../../src/frame-slot.js";
import { damageIn } from "./damage.js";
import type { FalseImage } from "./false-image.js";
import { checkEnd, checkFiles } from "./files-check.js";
import { Inspection } from "./inspection.js";
import { Life } from "./life.js";
import { Broken } from "./trace.js";
import { framesIn } from "./wire.js";
import type { World } from "./world.js";

/** So many of all starts are tried on a damaged journal first, 0..1. */
const DAMAGED = 0.15;
const REFUSAL = /^(journal block|the journal does not hold the block) .*position \d+:/;

export class SimulatedNode {
  life: Life | null = null;
  crashes = 0;
  checkpoints = 0;
  private readonly inspection: Inspection;
  /** Blocks known to be on disk, by position. */
  private readonly durable = new Map<number, Uint8Array>();
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
    world.journal.flushed = (blocks, image) => {
      for (const { first, bytes } of blocks) this.flushed(first, bytes);
      this.checkDurable(image);
    };
  }

  start(): void {
    const { world } = this;
    if (world.chance.hit(0.5) && world.journal.evict()) world.count("what was seen is gone");
    this.catchUp();
    world.auditor.history.dropQueue();
    if (!world.healed && world.chance.hit(DAMAGED)) this.startDamaged();
    const stopped = () => this.ended("it stopped itself");
    const life = new Life(world, stopped, () => this.serves(life));
    this.life = life;
    this.checkpointsOver = false;
    this.inspection.inspect(life.engine);
    const { position } = life.engine.state.registers;
    world.trace.note("node", `found ${position}, checkpoint ${life.checkpointPosition}`);
  }

  private serves(life: Life): void {
    this.world.trace.note("node", "serves");
    for (const { visible } of this.world.journal.images.values()) checkEnd(visible);
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
    const { chance, journal, tablesFile } = world;
    if (journal.cutPower(chance)) world.count("a block is torn");
    tablesFile.cutPower(chance.below(tablesFile.unflushed.length + 1));
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
    this.life?.kill();
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

  /** What has come to the disk once stays there, and zeros stand behind it. */
  private checkDurable(image: FalseImage | null): void {
    const stays = this.world.journal.durableCount >= this.durable.size;
    if (!stays) throw new Broken("a block that was on disk is gone", "block");
    if (image !== null) checkEnd(image.visible);
  }

  /** History takes what the node will find, and forgets what power took away. */
  private catchUp(): void {
    const { history } = this.world.auditor;
    const blocks = this.world.journal.visibleBlocks();
    if (blocks.length < this.durable.size) throw new Broken("a block on disk is gone", "block");
    history.remake(Math.min(blocks.length, history.blocks.length));
    history.blocks.forEach((bytes, i) => {
      const same = Buffer.compare(bytes, blocks[i]!.bytes) === 0;
      if (!same) throw new Broken("a block has changed between two lives", "block");
    });
    for (const { bytes } of blocks.slice(history.blocks.length)) history.take(bytes);
    checkFiles(this.world.journal, this.world.plan.config.journal.fileSizeMax);
  }

  /**
   * A start on a journal of which a block that others follow is damaged. It must be refused, unless
   * a checkpoint has what is in that block. Then the damage is undone.
   */
  private startDamaged(): void {
    const { world } = this;
    const damage = damageIn(world.journal, world.chance);
    if (damage === null) return;
    world.trace.note("node", damage.text);
    const life = startedOrRefused(world);
    if (typeof life === "string") {
      world.trace.note("node", life);
      world.count("damage is refused");
    } else {
      world.count("damage behind a checkpoint");
      life.kill();
      const { first, last } = damage.block;
      const harmless = life.checkpointPosition >= last;
      const text = `damage in the block of ${first} to ${last} is not seen`;
      if (!harmless) throw new Broken(text, "block");
      this.inspection.inspect(life.engine);
    }
    damage.undo();
  }
}

/** A life that never serves, or the line with which the journal is refused. */
function startedOrRefused(world: World): Life | string {
  const nothing = () => {};
  try {
    return new Life(world, nothing, nothing);
  } catch (error) {
    const { message } = error as Error;
    if (!REFUSAL.test(message)) throw new Broken(`damage is not refused: ${message}`, "block");
    return message;
  }
}
