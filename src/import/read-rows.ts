// The rows of a file as commands, block by block: all of an import that needs neither the engine
// nor the count of what became of them, so that a thread beside can do it (read-beside.ts).

import type { ImportContext } from "./assembly.js";
import type { LinedBatch } from "./batches.js";
import { type Block, BlockReader, BrokenFileError } from "./blocks.js";
import { type CatalogueHead, type ImportSort, type Lane, laneOf } from "./lanes.js";
import { type CsvHeader, readHeader, takeHeader, visitRows } from "./rows.js";

/** What is to be read, from a byte offset on, which is the beginning of `line`. */
export interface ReadOrder {
  sort: ImportSort;
  path: string;
  offset: number;
  line: number;
  /** Columns of a CSV file of which the beginning has been read. */
  header: readonly string[] | null;
  catalogue: CatalogueHead | null;
}

export interface RowFault {
  line: number;
  column: string;
  cause: string;
  /** Rows that it stands for: 1, or 0 for a fault of the whole file. */
  rows: number;
}

/** What a block of the file came to. The last is empty, and has what the file's end came to. */
export interface ReadBlock {
  /** Offset and line behind it. */
  end: number;
  endLine: number;
  header: CsvHeader | null;
  rows: number;
  faults: RowFault[];
  batches: LinedBatch[];
}

/** Reads what is ordered. Throws BrokenFileError for what is no file of rows. */
export async function* readRows(
  order: ReadOrder,
  context: ImportContext,
): AsyncGenerator<ReadBlock> {
  const { path, offset } = order;
  const reader = await BlockReader.open(path);
  try {
    const lane = laneOf(order.sort, context, order.catalogue ?? undefined);
    const use = (names: readonly string[]) => readHeader(path, names, lane.columns, lane.required);
    const isCsv = reader.format === "csv";
    let header = order.header === null ? null : use(order.header);
    let endLine = order.line;
    for await (const block of reader.blocks(offset, endLine)) {
      let rows = block;
      if (isCsv && header === null) {
        const { names, rest } = takeHeader(path, block);
        header = use(names);
        rows = rest;
      }
      endLine = block.endLine;
      yield readBlock(rows, lane, header);
    }
    if (isCsv && header === null) {
      throw new BrokenFileError(`${path} is empty: it lacks even a header line`);
    }
    yield readEnd(lane, header, reader.size, endLine);
  } finally {
    await reader.close();
  }
}

function readBlock(block: Block, lane: Lane, header: CsvHeader | null): ReadBlock {
  const read = nothingRead(header, block.end, block.endLine);
  visitRows(block, lane.columns, header, {
    row: (fields, line) => {
      read.rows++;
      const fault = lane.take(fields, line, read.batches);
      if (fault === null) return;
      read.faults.push({ line, column: fault.column, cause: fault.cause, rows: 1 });
    },
    malformed: (line, cause) => {
      read.rows++;
      read.faults.push({ line, column: "", cause, rows: 1 });
    },
  });
  lane.endBlock(read.batches);
  return read;
}

function readEnd(lane: Lane, header: CsvHeader | null, end: number, endLine: number): ReadBlock {
  const read = nothingRead(header, end, endLine);
  const fault = lane.endFile(read.batches);
  if (fault !== null) read.faults.push({ ...fault, line: 1, rows: 0 });
  return read;
}

function nothingRead(header: CsvHeader | null, end: number, endLine: number): ReadBlock {
  return { end, endLine, header, rows: 0, faults: [], batches: [] };
}
