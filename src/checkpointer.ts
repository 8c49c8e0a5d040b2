// Writes checkpoints: begins one between two blocks, writes its pages in slices of the event loop
// that never hold it long, and completes it when its position is on disk in the journal too.

import { Checkpoint } from "../engine/checkpoint.js";
import type { Engine } from "../engine/engine.js";
import type { Core } from "./core.js";
import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";
import type { TableStore } from "./storage.js";

/** A slice ends after this; a page of 16 KB takes some 5 us. */
const SLICE_MS = 0.5;
const PAGES_PER_STEP = 8;
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

  /** Makes a checkpoint every `seconds`; `failed` is told when one could not be written. */
  start(seconds: number, failed: (error: unknown) => void): void {
    this.timer = this.host.every(seconds * 1000, () => void this.run().catch(failed));
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
    const checkpoint = await this.begin();
    if (checkpoint === null) return;
    const { position } = checkpoint.head.registers;
    while (!this.slice(checkpoint)) await this.turn();
    checkpoint.end();
    while (this.core.committedPosition < position) await this.pause();
    await this.store.putHead(checkpoint.head, checkpoint.documents);
    this.position = position;
    this.metrics.setCheckpointPosition(position);
  }

  private begin(): Promise<Checkpoint | null> {
    return new Promise((resolve) => {
      this.core.atBoundary(() => {
        const { position } = this.engine.state.registers;
        if (position === this.position) {
          resolve(null);
          return;
        }
        resolve(
          new Checkpoint(this.engine.state, (table, page, words) => {
            this.store.putPage(table, page, words, position);
          }),
        );
      });
    });
  }

  private slice(checkpoint: Checkpoint): boolean {
    const start = this.host.monotonicMs();
    let done = false;
    let elapsed = 0;
    while (!done && elapsed < SLICE_MS) {
      done = checkpoint.step(PAGES_PER_STEP);
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
