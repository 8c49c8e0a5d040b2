// Loading the two large tables of a checkpoint at once: cards here, holders in a thread beside,
// each with its index. Most of a restart is the kernel giving memory page by page and slots of the
// index being written at random, and both go on two cores as well as on one.
//
// Invariant: whoever loads a table, the result is the same; recovery goes on from there alone.

import { Worker } from "node:worker_threads";
import type { RowIndex } from "../engine/row-index.js";
import type { State } from "../engine/state.js";
import type { Table } from "../engine/table.js";
import type { LoadDone, LoadOrder } from "./load-worker.js";
import { rowCountOf } from "./recover.js";
import type { TableStore } from "./table-store.js";

/** Under so many rows a thread takes longer to start than it helps. */
const ROWS_WORTH_A_THREAD = 500_000;

/** Loads cards and holders when both have `rowsMin` rows. Returns the tables that are loaded. */
export async function loadBeside(
  folder: string,
  tables: TableStore,
  state: State,
  rowsMin = ROWS_WORTH_A_THREAD,
): Promise<Table[]> {
  const head = tables.head();
  if (head === null) return [];
  const { cards, holders } = state;
  const cardRows = rowCountOf(head, cards.table);
  const holderRows = rowCountOf(head, holders.table);
  if (cardRows < rowsMin || holderRows < rowsMin) return [];
  const { position } = head.registers;
  const beside = startLoading(folder, holders.table, position, holderRows);
  let done: LoadDone;
  try {
    tables.loadTable(cards.table, position, cardRows);
    cards.index.rebuild(null);
  } finally {
    done = await beside;
  }
  take(tables, holders.table, holders.index, holderRows, done);
  return [cards.table, holders.table];
}

function take(
  tables: TableStore,
  table: Table,
  index: RowIndex,
  rowCount: number,
  { reading, slots }: LoadDone,
): void {
  table.loaded(rowCount);
  index.adopt(slots);
  tables.adopt(table, reading);
}

function startLoading(
  folder: string,
  table: Table,
  position: number,
  rowCount: number,
): Promise<LoadDone> {
  const { id, name, rowWords, rowsMax, words } = table;
  const order: LoadOrder = { folder, id, name, rowWords, rowsMax, words, position, rowCount };
  const worker = new Worker(new URL("./load-worker.js", import.meta.url), { workerData: order });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the thread that loads a table has ended")));
  });
}
