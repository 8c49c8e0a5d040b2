// A node: engine, journal, tables and core of one data folder, recovered and ready. What a server
// and an import without a server have in common.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.js";
import { Checkpointer } from "./checkpointer.js";
import type { Config } from "./config.js";
import { Core } from "./core.js";
import { DataLock } from "./data-lock.js";
import { stopOnFailedCommit, stopUnwritten } from "./database.js";
import { type Host, systemHost } from "./host.js";
import { inlineMore } from "./inlining.js";
import { JournalStore } from "./journal-store.js";
import { takeOverJournal } from "./journal-takeover.js";
import { JournalWriter } from "./journal-writer.js";
import { loadBeside } from "./load-beside.js";
import { giveAhead } from "./memory-ahead.js";
import { Metrics } from "./metrics.js";
import { newEngine, type Recovery, recover } from "./recover.js";
import { loadRootKey } from "./root-key.js";
import { checkRules } from "./rules.js";
import { TableStore } from "./table-store.js";
import { deriveVaultKeys, KeyVault, type VaultKeys } from "./vault.js";

export interface Node {
  readonly config: Config;
  readonly engine: Engine;
  readonly core: Core;
  readonly host: Host;
  readonly journal: JournalStore;
  readonly checkpointer: Checkpointer;
  readonly metrics: Metrics;
  readonly vault: KeyVault;
  readonly vaultKeys: VaultKeys;
  readonly lock: DataLock;
  readonly blocksReplayed: number;
  /** Bytes behind the journal's last block, of one that was never finished or answered. */
  readonly bytesDropped: number;
  /** Answers what was taken, makes a checkpoint and closes everything. */
  close(): Promise<void>;
}

export interface NodeOptions {
  /** Milliseconds since 1970 UTC, in place of the system's clock. */
  clock?: () => number;
  /** Called when the folder is this process's and sound so far, before tables are loaded. */
  opening?: (early: Pick<Node, "metrics" | "vaultKeys">) => void;
}

/** Opens a data folder that `tongka init` has made. Throws one-line errors. */
export async function openNode(config: Config, options: NodeOptions = {}): Promise<Node> {
  if (!existsSync(config.data)) {
    throw new Error(`data folder ${config.data} is not there: make it with "tongka init"`);
  }
  inlineMore();
  const rootKey = loadRootKey(config.data, process.env);
  const vaultKeys = deriveVaultKeys(rootKey);
  rootKey.fill(0);
  const vault = new KeyVault(vaultKeys);
  const lock = DataLock.take(config.data);
  stopOnFailedCommit();
  const metrics = new Metrics();
  const { journal, tables } = await openStores(config.data, lock);
  let opening: Promise<JournalWriter> | null = null;
  try {
    checkRules(join(config.data, "rules.json"), config, vault);
    opening = openWriter(config);
    options.opening?.({ metrics, vaultKeys });
    const { engine, checkpointPosition, blocksReplayed } = await load(config, journal, tables);
    const bytesDropped = await journal.confirm().catch(stopUnwritten);
    const host = systemHost(options.clock);
    const writer = await opening;
    const ahead = await giveAhead(engine.state, config.tables.memory);
    const core = new Core({ config, engine, journal: writer, vault, metrics, host });
    await core.macs.calibrate();
    const checkpointer = new Checkpointer(engine, core, tables, metrics, host, checkpointPosition);
    return {
      config,
      engine,
      core,
      host,
      journal,
      checkpointer,
      metrics,
      vault,
      vaultKeys,
      lock,
      blocksReplayed,
      bytesDropped,
      close: async () => {
        ahead.stop();
        checkpointer.stop();
        await core.drain();
        await checkpointer.last(config.journal.commitSecondsMax);
        await core.close();
        vault.close();
        await writer.close();
        await Promise.all([journal.close(), tables.close()]);
        lock.release();
      },
    };
  } catch (error) {
    await (await opening?.catch(() => null))?.close();
    await Promise.all([journal.close(), tables.close()]);
    lock.release();
    throw error;
  }
}

async function openStores(folder: string, lock: DataLock) {
  try {
    await takeOverJournal(folder);
    return { journal: new JournalStore(folder), tables: new TableStore(folder) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function load(config: Config, journal: JournalStore, tables: TableStore): Promise<Recovery> {
  const engine = newEngine(config);
  const loaded = await loadBeside(config.data, tables, engine.state);
  return recover(config, journal, tables, engine, loaded);
}

/** Its thread takes a third of a second to start: tables are loaded meanwhile. */
function openWriter(config: Config): Promise<JournalWriter> {
  const opening = JournalWriter.open(config.data, config.journal);
  // Whoever awaits it is told; when loading fails before, it is nobody's rejection.
  opening.catch(() => {});
  return opening;
}
