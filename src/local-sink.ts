// A sink into the data folder itself, for imports with no server running.

import type { CommandSink } from "./command-sink.js";
import type { Config } from "./config.js";
import { openNode } from "./node.js";
import type { KeyVault } from "./vault.js";

export interface LocalSink extends CommandSink {
  readonly vault: KeyVault;
  /** Makes a checkpoint and closes the folder. */
  close(): Promise<void>;
}

/** Opens the folder. Throws a one-line error when another process has it. */
export async function openLocalSink(config: Config): Promise<LocalSink> {
  // No taps come, so no memory is taken for them.
  const node = await openNode({ ...config, tables: { ...config.tables, memory: "as-needed" } });
  return {
    vault: node.vault,
    execute: (batch) => node.core.execute(batch),
    close: () => node.close(),
  };
}
