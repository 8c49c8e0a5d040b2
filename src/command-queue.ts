// Commands that wait for the engine. They go in slices between batches of frames, so that an
// import of millions of rows does not keep a tap waiting.

import { commandSize, DOCUMENT_SIZE_MAX, OUTCOME } from "../engine/commands.js";
import type { Engine } from "../engine/engine.js";
import { assert } from "../protocol/assert.js";
import type { CommandBatch, CommandResult } from "./command-sink.js";

/** Commands in one slice: some 0.3 ms. */
const SLICE_COMMANDS = 256;

interface Waiting {
  batch: CommandBatch;
  next: number;
  result: CommandResult;
  resolve(result: CommandResult): void;
}

export class CommandQueue {
  private readonly waiting: Waiting[] = [];

  constructor(private readonly engine: Engine) {}

  get empty(): boolean {
    return this.waiting.length === 0;
  }

  /** Queues a batch; the promise resolves when its last command is on disk. */
  add(batch: CommandBatch): Promise<CommandResult> {
    const size = commandSize(batch.kind);
    const isDocument = size === 0 && batch.count === 1 && batch.bytes.length <= DOCUMENT_SIZE_MAX;
    const whole = isDocument || (size > 0 && batch.bytes.length === batch.count * size);
    if (!whole || batch.count < 1) throw new RangeError("a command batch is not whole");
    return new Promise((resolve) => {
      const result = {
        outcomes: new Uint8Array(batch.count),
        positions: new Float64Array(batch.count),
      };
      this.waiting.push({ batch, next: 0, result, resolve });
    });
  }

  /**
   * Runs a slice in the open block and returns how many commands it ran. A batch that is complete
   * adds to `committed` what tells its caller.
   */
  run(committed: (() => void)[]): number {
    const first = this.waiting[0]!;
    const { batch, result } = first;
    const size = commandSize(batch.kind) || batch.bytes.length;
    const end = Math.min(first.next + SLICE_COMMANDS, batch.count);
    const count = end - first.next;
    if (!this.engine.fits(count * size)) return 0;
    this.engine.beginCommands(batch.kind);
    for (; first.next < end; first.next++) {
      const start = first.next * size;
      const outcome = this.engine.command(batch.kind, batch.bytes.subarray(start, start + size));
      result.outcomes[first.next] = outcome;
      const { position } = this.engine.state.registers;
      result.positions[first.next] = outcome === OUTCOME.DONE ? position : 0;
    }
    this.engine.endCommands();
    if (end === batch.count) {
      this.waiting.shift();
      committed.push(() => first.resolve(result));
    }
    assert(first.next <= batch.count, "a batch has an end");
    return count;
  }
}
