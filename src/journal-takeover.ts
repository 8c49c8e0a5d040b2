// Takes over a journal as it was kept until 2026-11-27, blocks in lmdb, into files of its own. The
// old one is moved aside first and removed last: what is cut off in between begins again.

import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openLmdb } from "./database.js";
import { JournalStore, OLD_JOURNAL_FILE } from "./journal-store.js";

/** To be called with the lock of the data folder, before its journal is opened. */
export async function takeOverJournal(folder: string): Promise<void> {
  const journal = join(folder, "journal");
  const aside = join(folder, "journal-lmdb");
  if (existsSync(join(journal, OLD_JOURNAL_FILE))) renameSync(journal, aside);
  if (!existsSync(aside)) return;
  rmSync(journal, { recursive: true, force: true });
  const old = openLmdb<number>(aside);
  const store = new JournalStore(folder);
  try {
    for (const { key, value } of old.getRange({ start: 1 })) store.appendSync(key, value);
  } catch (error) {
    const why = (error as Error).message;
    throw new Error(`${journal} could not be made from ${aside}: ${why}; make room, start again`);
  } finally {
    await Promise.all([old.close(), store.close()]);
  }
  rmSync(aside, { recursive: true });
}
