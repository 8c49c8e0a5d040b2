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
import type { OpenJournalDisk } from "../../src/journal-disk.js";
import { JournalStore } from "../../src/journal-store.js";
import { Metrics } from "../../src/metrics.js";
import { type Recovery, recover } from "../../src/recover.js";
import { TableStore } from "../../src/table-store.js";
import { FalseDatabase, NO_DISK_FAULTS } from "./false-disk.js";
import { FalseHost } from "./false-host.js";
import { FalseJournalDisk } from "./false-journal.js";
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
  /** What holds writes that are on their way when the process is killed. */
  private readonly disks: { kill(): void }[] = [];

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
    const { config } = plan;
    const { fileSizeMax } = config.journal;
    const journal = new JournalStore("", { fileSizeMax, openDisk: this.openJournal() });
    const tables = new TableStore("", this.openTables());
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
    for (const disk of this.disks) disk.kill();
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

  private openJournal(): OpenJournalDisk {
    const { journal, timeline, chance, plan } = this.world;
    const faults = this.world.healed ? NO_DISK_FAULTS : plan.journalDisk;
    const parts = [
      timeline,
      chance,
      faults,
      () => this.host.alive,
      this.noting("journal"),
    ] as const;
    const disk = new FalseJournalDisk(journal, ...parts);
    this.disks.push(disk);
    return () => disk;
  }

  private openTables(): OpenDatabase {
    const { tablesFile, timeline, chance, plan } = this.world;
    const faults = this.world.healed ? NO_DISK_FAULTS : plan.tablesDisk;
    const parts = [timeline, chance, faults, () => this.host.alive, this.noting("tables")] as const;
    const database = new FalseDatabase(tablesFile, ...parts);
    this.disks.push(database);
    return <K extends number | string>() => database as unknown as Database<K>;
  }

  private noting(name: string) {
    return (text: string) => {
      this.world.trace.note(name, text);
      this.world.count(text);
    };
  }
}
