// Import over HTTP: NDJSON in, a report of what became of its rows out. Rows are those of the
// import files (docs), made into commands by the same lanes. A bad row stops nothing, and rows that
// are in already are unchanged: an import that broke off is simply sent again.

import type { Readable } from "node:stream";
import { fieldsOf } from "../../import/assembly.js";
import type { LinedBatch } from "../../import/batches.js";
import { IMPORT_SORTS, type ImportSort, type Lane, laneOf } from "../../import/lanes.js";
import { BlockEntry } from "../../import/ledger.js";
import { oneOf, type Static, Type } from "../../schema.js";
import { closed } from "../fields.js";
import type { MainThread } from "../main-thread.js";
import { type Line, readLines } from "../ndjson.js";
import { type ControlContext, type Route, streamRoute } from "../route.js";

/** Most rejected rows that are told one by one; the rest are only counted. */
const REJECTIONS_MAX = 10_000;
const NO_BLOCK = { end: 0, endLine: 0 };

const COUNT = Type.Integer({ minimum: 0 });
const REPORT = closed({
  rows: COUNT,
  imported: COUNT,
  unchanged: COUNT,
  rejected: COUNT,
  rejections: Type.Array(
    closed({ line: COUNT, column: Type.Optional(Type.String()), cause: Type.String() }),
    { description: "the first 10,000" },
  ),
});

/** What became of the rows of one import. */
export type ImportReport = Static<typeof REPORT>;

export function importRoutes(context: ControlContext): Route[] {
  return [
    streamRoute({
      url: "/v1/import/:sort",
      tag: "import",
      summary: "Takes in rows; a rejected row is reported and stops nothing",
      params: closed({ sort: oneOf(IMPORT_SORTS) }),
      response: REPORT,
      handle: ({ params, body }) => importRows(context, params.sort, body),
    }),
  ];
}

async function importRows(
  { main, vault, keyExchangeKey, importSizeMax }: ControlContext,
  sort: ImportSort,
  body: Readable,
): Promise<ImportReport> {
  const lane = laneOf(sort, { vault, kek: keyExchangeKey });
  const run = new Run(main, lane);
  for await (const lines of readLines(body, importSizeMax)) {
    for (const line of lines) run.take(line);
    await run.send();
  }
  await run.end();
  return run.report();
}

/** Makes batches of rows, sends them one after another and keeps count of their rows. */
class Run {
  private readonly entry = new BlockEntry(NO_BLOCK);
  private readonly batches: LinedBatch[] = [];
  private readonly rejections: ImportReport["rejections"] = [];

  constructor(
    private readonly main: MainThread,
    private readonly lane: Lane,
  ) {}

  take({ number, row }: Line): void {
    const { entry, lane } = this;
    entry.totals.rows++;
    const fault = row
      ? lane.take(fieldsOf(lane.columns, row), number, this.batches)
      : { column: "", cause: "is no JSON object" };
    if (fault) entry.reject(number, fault.column, fault.cause);
  }

  /** Sends what is left; resolves when all of it is on disk. */
  async end(): Promise<void> {
    this.lane.endBlock(this.batches);
    const fault = this.lane.endFile(this.batches);
    if (fault) this.entry.reject(1, fault.column, fault.cause, 0);
    await this.send();
  }

  /** Sends the batches that are full; resolves when they are on disk. */
  async send(): Promise<void> {
    for (const lined of this.batches) {
      const { kind, count } = lined.batch;
      // A copy of its own: small buffers share one that must not be handed over.
      const bytes = new Uint8Array(lined.batch.bytes);
      const request = { op: "execute" as const, kind, count, bytes };
      this.entry.answered(lined, await this.main.ask<"execute">(request, [bytes.buffer]));
    }
    this.batches.length = 0;
    const room = REJECTIONS_MAX - this.rejections.length;
    this.rejections.push(...this.entry.rejected.slice(0, room));
    this.entry.rejected.length = 0;
  }

  report(): ImportReport {
    return { ...this.entry.totals, rejections: this.rejections };
  }
}
