// Where commands go: into the engine of this process, or to a running server's control plane.
// Import, the command line and the control plane are written against this one seam.

/** Commands of one kind, back to back (engine/commands.ts); JSON kinds hold exactly one. */
export interface CommandBatch {
  kind: number;
  count: number;
  bytes: Uint8Array;
}

/** What became of a batch, told only when it is on disk. */
export interface CommandResult {
  /** COMMAND_OUTCOMES number of each command, in order. */
  outcomes: Uint8Array;
  /** Journal position of each command that was applied; 0 for the others. */
  positions: Float64Array;
}

export interface CommandSink {
  execute(batch: CommandBatch): Promise<CommandResult>;
}

/** Most commands in one batch. */
export const COMMANDS_PER_BATCH_MAX = 4096;
