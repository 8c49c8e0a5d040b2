// Writes checkpoints: begins one between two blocks, writes its pages in slices of the event loop
// that never hold it long, and completes it when its position is on disk in the journal too.
//
// Invariant: once a checkpoint could not be written no other is begun until the next start, for
// what it held is not taken for changed any more. The journal has everything.

import { Checkpoint } from "../engine/checkpoint.js";
import type { Engine } from "../engine/engine.js";
import type { Core } from "./core.js";
import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";
import type { TableStore } from "./storage.js";

/** A slice ends after this; a page of 16 KB takes some 10 us. */
const SLICE_MS = 0.5;
const COMMIT_POLL_MS = 5;

export class Checkpointer {
  /** Position of the last complete checkpoint. */
  position: number;
  private running: Promise<void> | null = null;
  private timer: { stop(): void } | null = null;

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

  /** Makes a checkpoint of all that was done: one that is being made may have begun before. */
  async last(): Promise<void> {
    await this.running;
    await this.run();
  }

  private async write(): Promise<void> {
    this.store.checkWritable();
    const checkpoint = await this.begin();
    if (checkpoint === null) return;
    const { position } = checkpoint.head.registers;
    try {
      while (!this.slice(checkpoint)) {
        await this.turn();
        await this.store.room();
      }
      checkpoint.end();
    } catch (error) {
      checkpoint.abandon();
      throw error;
    }
    while (this.core.committedPosition < position) await this.pause();
    await this.store.putHead(checkpoint.head, checkpoint.documents);
    this.position = position;
    this.metrics.setCheckpointPosition(position);
  }

  private begin(): Promise<Checkpoint | null> {
    return new Promise((resolve) => {
      this.core.atBoundary(() => {
        const { position } = this.engine.state.registers;
        resolve(position === this.position ? null : new Checkpoint(this.engine.state));
      });
    });
  }

  /** Writes pages for a while, as far as the store has room. Returns whether none is left. */
  private slice(checkpoint: Checkpoint): boolean {
    const start = this.host.monotonicMs();
    const { position } = checkpoint.head.registers;
    let elapsed = 0;
    let done = false;
    while (!done && elapsed < SLICE_MS) {
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

  private turn(): Promise<void> {
    return new Promise((resolve) => this.host.soon(resolve));
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => this.host.after(COMMIT_POLL_MS, resolve));
  }
}
