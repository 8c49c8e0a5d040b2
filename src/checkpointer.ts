// Writes checkpoints: begins one between two blocks, writes its pages in slices of the event loop
// that never hold it long, and completes it when its position is on disk in the journal too.
//
// The twist: journal and tables are on one disk, and a commit waits behind what is being flushed.
// While uses come a checkpoint writes little at a time and then leaves the disk alone for longer
// than it took; when none come it goes as fast as the disk does.
//
// Invariant: once a checkpoint could not be written no other is begun until the next start, for
// what it held is not taken for changed any more. The journal has everything.

import { Checkpoint } from "../engine/checkpoint.js";
import type { Engine } from "../engine/engine.js";
import { CommitWatch } from "./commit-watch.js";
import type { Core } from "./core.js";
import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";
import type { TableStore } from "./table-store.js";

/** A slice ends after this; a page of 16 KB takes some 10 us. */
const SLICE_MS = 0.5;
/** Uses come when a frame was taken within this time. */
const IN_USE_MS = 1000;
/** While they do: pages in one slice, some 400 KB, and how long the disk is left alone then. */
const PAGES_BETWEEN_USES = 32;
const REST_PER_WRITE = 2;
const REST_MS_MAX = 20;
const HUNG =
  "the checkpoint of the stop got no further for journal.commitSecondsMax: nothing is lost, but " +
  "the next start replays the journal and takes longer: check the disk";

export class Checkpointer {
  /** Position of the last complete checkpoint. */
  position: number;
  private running: Promise<void> | null = null;
  private timer: { stop(): void } | null = null;
  /** When the one being made last got further. */
  private movedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly engine: Engine,
    private readonly core: Core,
    private readonly store: TableStore,
    private readonly metrics: Metrics,
    private readonly host: Host,
    position: number,
  ) {
    this.position = position;
  }

  /** Makes a checkpoint every `seconds`, until one cannot be written: `failed` is told once. */
  start(seconds: number, failed: (error: unknown) => void): void {
    this.timer = this.host.every(seconds * 1000, () => {
      this.run().catch((error: unknown) => {
        if (this.timer === null) return;
        this.stop();
        failed(error);
      });
    });
  }

  stop(): void {
    this.timer?.stop();
    this.timer = null;
  }

  /** Makes a checkpoint, or joins the one being made. Resolves when it is on disk. */
  run(): Promise<void> {
    this.running ??= this.write().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  /**
   * Makes a checkpoint of all that was done: one that is being made may have begun before. Ends the
   * process when it gets no further for `secondsMax`: what hangs in a write holds up `exit`, too.
   */
  async last(secondsMax: number): Promise<void> {
    this.moved();
    const watch = new CommitWatch(this.host, secondsMax, () => this.movedMs, HUNG);
    try {
      await this.running;
      await this.run();
    } finally {
      watch.stop();
    }
  }

  private async write(): Promise<void> {
    this.store.checkWritable();
    const begun = await this.begin();
    if (begun === null) return;
    const { checkpoint, blockHash } = begun;
    const { position } = checkpoint.head.registers;
    try {
      while (!this.slice(checkpoint)) {
        await this.rest();
        this.moved();
      }
      checkpoint.end();
    } catch (error) {
      checkpoint.abandon();
      throw error;
    }
    checkpoint.head.registers.blockHash = await blockHash;
    this.moved();
    await this.store.settled();
    this.moved();
    await this.store.putHead(checkpoint.head, checkpoint.documents);
    this.moved();
    this.position = position;
    this.metrics.setCheckpointPosition(position);
  }

  private moved(): void {
    this.movedMs = this.host.monotonicMs();
  }

  /** Whether terminals wait for answers, or soon will. */
  private get inUse(): boolean {
    return this.host.monotonicMs() - this.core.lastTakenMs < IN_USE_MS;
  }

  /** Begins one of what is not in the last; `blockHash` is there when its block is on disk. */
  private begin(): Promise<{ checkpoint: Checkpoint; blockHash: Promise<string> } | null> {
    const { core, engine } = this;
    const { registers } = engine.state;
    return new Promise((resolve) => {
      core.atBoundary(() => {
        if (registers.position === this.position) return resolve(null);
        const blockHash = new Promise<string>((known) => {
          core.afterCommit(() => known(registers.blockHash));
        });
        resolve({ checkpoint: new Checkpoint(engine.state), blockHash });
      });
    });
  }

  /** Writes pages for a while, as far as the store has room. Returns whether none is left. */
  private slice(checkpoint: Checkpoint): boolean {
    const start = this.host.monotonicMs();
    const { position } = checkpoint.head.registers;
    const pagesMax = this.inUse ? PAGES_BETWEEN_USES : Number.POSITIVE_INFINITY;
    let elapsed = 0;
    let done = false;
    for (let pages = 0; !done && pages < pagesMax && elapsed < SLICE_MS; pages++) {
      const buffer = this.store.takeBuffer(checkpoint.pageWordsMax);
      if (buffer === null) break;
      const taken = checkpoint.take(buffer.words);
      if (taken === null) this.store.giveBuffer(buffer);
      else this.store.putPage(taken, buffer, position);
      done = taken === null;
      elapsed = this.host.monotonicMs() - start;
    }
    this.metrics.observeCheckpointSliceNs(elapsed * 1e6);
    return done;
  }

  /** Lets others have the loop, and the disk, before the next slice. */
  private async rest(): Promise<void> {
    await this.turn();
    if (!this.inUse) return this.store.room();
    const start = this.host.monotonicMs();
    await this.store.settled();
    const restMs = REST_PER_WRITE * (this.host.monotonicMs() - start);
    await this.pause(Math.min(restMs, REST_MS_MAX));
  }

  private turn(): Promise<void> {
    return new Promise((resolve) => this.host.soon(resolve));
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.host.after(ms, resolve));
  }
}
