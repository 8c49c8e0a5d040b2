// Writes checkpoints: begins one between two blocks, writes its pages in slices of the event loop
// that never hold it long, and completes it when its position is on disk in the journal too.

import { performance } from "node:perf_hooks";
import { Checkpoint } from "../engine/checkpoint.js";
import type { Engine } from "../engine/engine.js";
import type { Core } from "./core.js";
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
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly engine: Engine,
    private readonly core: Core,
    private readonly store: TableStore,
    private readonly metrics: Metrics,
    position: number,
  ) {
    this.position = position;
  }

  /** Makes a checkpoint every `seconds`; `failed` is told when one could not be written. */
  start(seconds: number, failed: (error: unknown) => void): void {
    this.timer = setInterval(() => void this.run().catch(failed), seconds * 1000);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** Makes a checkpoint, or joins the one being made. Resolves when it is on disk. */
  run(): Promise<void> {
    this.running ??= this.write().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  private async write(): Promise<void> {
    const checkpoint = await this.begin();
    if (checkpoint === null) return;
    const { position } = checkpoint.head.registers;
    while (!this.slice(checkpoint)) await turn();
    checkpoint.end();
    while (this.core.committedPosition < position) await pause();
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
    const start = performance.now();
    let done = false;
    let elapsed = 0;
    while (!done && elapsed < SLICE_MS) {
      done = checkpoint.step(PAGES_PER_STEP);
      elapsed = performance.now() - start;
    }
    this.metrics.observeCheckpointSliceNs(elapsed * 1e6);
    return done;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, COMMIT_POLL_MS));
}
