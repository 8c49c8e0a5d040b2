// The thread beside a restart: reads one table of the last checkpoint into the shared memory that
// it was given, and makes the index over the first four words of its rows.

import { parentPort, workerData } from "node:worker_threads";
import { prepareMemory } from "../engine/memory.js";
import { RowIndex } from "../engine/row-index.js";
import { Table } from "../engine/table.js";
import { prepareWords } from "./kernel-memory.js";
import { type TableReading, TableStore } from "./table-store.js";

export interface LoadOrder {
  folder: string;
  id: number;
  name: string;
  rowWords: number;
  rowsMax: number;
  /** The table's rows, in shared memory. */
  words: Int32Array;
  position: number;
  rowCount: number;
}

export interface LoadDone {
  reading: TableReading;
  /** The slots of the index, in shared memory. */
  slots: Int32Array;
}

prepareMemory(prepareWords);
const order = workerData as LoadOrder;
const table = new Table(order.id, order.name, order.rowWords, order.rowsMax, order.words);
const store = new TableStore(order.folder);
const reading = store.readTable(table, order.position, order.rowCount);
await store.close();
table.loaded(order.rowCount);
const index = new RowIndex(table, 0, 4);
index.rebuild(null);
const done: LoadDone = { reading, slots: index.filledSlots };
parentPort!.postMessage(done);
