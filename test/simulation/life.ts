// One life of a node: the real stores, recovery, core and checkpointer over a false disk and a
// false process, from its start to its crash or stop.

import { sealBlock } from "../../engine/block.js";
import type { Engine } from "../../engine/engine.js";
import type { BlockSink } from "../../src/block-sink.js";
import { Checkpointer } from "../../src/checkpointer.js";
import type { CommandBatch, CommandResult } from "../../src/command-sink.js";
import { Core } from "../../src/core.js";
import type { Database, OpenDatabase } from "../../src/database.js";
import type { Reply } from "../../src/frame-slot.js";
import { Metrics } from "../../src/metrics.js";
import { type Recovery, recover } from "../../src/recover.js";
import { JournalStore, TableStore } from "../../src/storage.js";
import { FalseDatabase, type FalseFile, NO_DISK_FAULTS } from "./false-disk.js";
import { FalseHost } from "./false-host.js";
import { Broken } from "./trace.js";
import type { World } from "./world.js";

/** What of the core tells how batches are decided: nothing outside it does. */
interface Slicing {
  stalled: unknown;
  scheduled: boolean;
  decideBatch(batch: unknown, from: number): void;
}

export class Life {
  readonly host: FalseHost;
  readonly engine: Engine;
  readonly checkpointPosition: number;
  private core: Core | null = null;
  private checkpointer: Checkpointer | null = null;
  private readonly databases: FalseDatabase[] = [];

  /**
   * Recovers, and serves when what it found is on disk. Throws what recovery says when the disk
   * cannot be trusted.
   */
  constructor(
    private readonly world: World,
    failStopped: () => void,
    serving: () => void,
  ) {
    const { timeline, clock, chance, plan } = world;
    this.host = new FalseHost(timeline, clock, chance, failStopped);
    const journal = new JournalStore("", false, this.opener(world.journalFile));
    const tables = new TableStore("", this.opener(world.tablesFile));
    const { config } = plan;
    const recovery = this.recovered(() => recover(config, journal, tables));
    this.engine = recovery.engine;
    this.checkpointPosition = recovery.checkpointPosition;
    journal.confirm().then(
      () => {
        if (!this.host.alive) return;
        this.serve(journal, tables);
        serving();
      },
      () => this.host.failStop("the journal could not be put on disk"),
    );
  }

  /** A process that cannot recover ends, with all that it had begun to write. */
  private recovered(recovering: () => Recovery): Recovery {
    try {
      return recovering();
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Whether frames are taken. */
  get serves(): boolean {
    return this.core !== null && this.host.alive;
  }

  /** Records that the core has taken and not yet answered. */
  get inFlight(): number {
    return this.core!.inFlight;
  }

  private serve(journal: JournalStore, tables: TableStore): void {
    const { config } = this.world.plan;
    const { vault } = this.world;
    const { engine, host, checkpointPosition } = this;
    const metrics = new Metrics();
    const { sliceWork } = this.world.plan;
    const sink: BlockSink = {
      append: async (firstPosition, bytes) => {
        const startedMs = host.monotonicMs();
        sealBlock(bytes);
        await journal.append(firstPosition, bytes);
        return host.monotonicMs() - startedMs;
      },
      // What the false disk has done is told by events only.
      poll: () => {},
    };
    const core = new Core({ config, engine, journal: sink, vault, metrics, host, sliceWork });
    this.countSlices(core as unknown as Slicing);
    this.core = core;
    const position = checkpointPosition;
    this.checkpointer = new Checkpointer(engine, core, tables, metrics, host, position);
  }

  private countSlices(core: Slicing): void {
    const decide = core.decideBatch.bind(core);
    core.decideBatch = (batch, from) => {
      decide(batch, from);
      // A turn is planned for the next slice, and none for a batch that waits for room.
      if (core.stalled !== null && core.scheduled) this.world.count("slice of a batch");
    };
  }

  /** Hands a frame to the core; returns FRAME_PROBLEM. */
  receive(reply: Reply, bytes: Uint8Array): number {
    return this.core!.receive(reply, Uint8Array.from(bytes).buffer);
  }

  execute(batch: CommandBatch): Promise<CommandResult> {
    return this.core!.execute(batch);
  }

  checkpoint(): Promise<void> {
    return this.checkpointer!.run();
  }

  /** Stops as a server does: answers what was taken, then a last checkpoint. */
  async stop(): Promise<void> {
    await this.core!.drain();
    await this.checkpointer!.last(this.world.plan.config.journal.commitSecondsMax);
    await this.core!.close();
    this.host.alive = false;
  }

  /** The process is killed. Nothing that it planned happens any more. */
  kill(): void {
    this.host.alive = false;
    for (const database of this.databases) database.kill();
  }

  /** A connection of the core's: what it flushes leaves, if this life may still speak. */
  reply(leave: (bytes: Uint8Array) => void): Reply {
    const queued: Uint8Array[] = [];
    return {
      gathers: true,
      dirty: false,
      queue: (bytes, start, end) => {
        queued.push(bytes.subarray(start, end));
      },
      flush: () => {
        for (const bytes of queued.splice(0)) {
          if (!this.host.alive) throw new Broken("nothing is answered after a fail stop", "node");
          leave(Uint8Array.from(bytes));
        }
      },
    };
  }

  private opener(file: FalseFile): OpenDatabase {
    const { timeline, chance, plan, trace } = this.world;
    const name = file === this.world.journalFile ? "journal" : "tables";
    const planned = name === "journal" ? plan.journalDisk : plan.tablesDisk;
    const faults = this.world.healed ? NO_DISK_FAULTS : planned;
    return <K extends number | string>() => {
      const database = new FalseDatabase(
        file,
        timeline,
        chance,
        faults,
        () => this.host.alive,
        (text) => {
          trace.note(name, text);
          this.world.count(text);
        },
      );
      this.databases.push(database);
      return database as unknown as Database<K>;
    };
  }
}
