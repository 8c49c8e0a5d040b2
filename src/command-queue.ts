// Commands that wait for the engine. They go in slices between batches of frames, so that an
// import of millions of rows does not keep a tap waiting.

import { commandSize, DOCUMENT_SIZE_MAX, OUTCOME } from "../engine/commands.js";
import type { Engine } from "../engine/engine.js";
import { assert } from "../protocol/assert.js";
import type { CommandBatch, CommandResult } from "./command-sink.js";
import type { Host } from "./host.js";

/** A slice ends after this. */
const SLICE_MS = 0.3;
/** Most commands in one slice, whatever the clock says, and how many between two looks at it. */
const SLICE_COMMANDS = 256;
const LOOK_COMMANDS = 16;

interface Waiting {
  batch: CommandBatch;
  next: number;
  result: CommandResult;
  resolve(result: CommandResult): void;
}

export class CommandQueue {
  private readonly waiting: Waiting[] = [];

  constructor(
    private readonly engine: Engine,
    private readonly host: Host,
  ) {}

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
    const begin = first.next;
    const end = Math.min(begin + SLICE_COMMANDS, batch.count);
    if (!this.engine.fits((end - begin) * size)) return 0;
    const endMs = this.host.monotonicMs() + SLICE_MS;
    this.engine.beginCommands(batch.kind);
    do this.execute(first, Math.min(first.next + LOOK_COMMANDS, end), size);
    while (first.next < end && this.host.monotonicMs() < endMs);
    this.engine.endCommands();
    if (first.next === batch.count) {
      this.waiting.shift();
      committed.push(() => first.resolve(result));
    }
    assert(first.next <= batch.count, "a batch has an end");
    return first.next - begin;
  }

  /** Executes the commands of a batch up to `end`, each `size` bytes. */
  private execute(waiting: Waiting, end: number, size: number): void {
    const { batch, result } = waiting;
    this.engine.warm(batch.kind, batch.bytes.subarray(waiting.next * size), end - waiting.next);
    for (; waiting.next < end; waiting.next++) {
      const start = waiting.next * size;
      const outcome = this.engine.command(batch.kind, batch.bytes.subarray(start, start + size));
      result.outcomes[waiting.next] = outcome;
      const { position } = this.engine.state.registers;
      result.positions[waiting.next] = outcome === OUTCOME.DONE ? position : 0;
    }
  }
}
