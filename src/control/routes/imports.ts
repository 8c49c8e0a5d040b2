// Import over HTTP: NDJSON in, a report of what became of its rows out. The rows are those of the
// import files (docs), made into commands by the same functions.

import type { Readable } from "node:stream";
import {
  CARD_EVENT_SIZE,
  COMMAND,
  LIST_ENTRY_SIZE,
  TERMINAL_SIZE,
  writeCardEvent,
  writeListEntry,
  writeTerminal,
} from "../../../engine/commands.js";
import { COMMANDS_PER_BATCH_MAX } from "../../command-sink.js";
import { toCardCommand } from "../../import/card-row.js";
import {
  documentBytes,
  toCatalogueDocument,
  toOrganisationDocument,
} from "../../import/document-rows.js";
import type { Checked } from "../../import/fields.js";
import { toListCommands } from "../../import/list-row.js";
import { toTerminalCommand } from "../../import/terminal-row.js";
import { oneOf, Type } from "../../schema.js";
import { closed } from "../fields.js";
import { ImportRun, type ImportReport, type RowCommands } from "../import-run.js";
import { readLines } from "../ndjson.js";
import { type ControlContext, type Route, streamRoute } from "../route.js";

type Row = Readonly<Record<string, unknown>>;

interface Sort {
  kind: number;
  commandsPerBatch: number;
  toCommands(row: Row, context: ControlContext): Checked<RowCommands>;
}

const SORTS: Readonly<Record<string, Sort>> = {
  organisations: {
    kind: COMMAND.ORGANISATION,
    commandsPerBatch: 1,
    toCommands: (row) =>
      map(toOrganisationDocument(row), (document) => ({ count: 1, bytes: documentBytes(document) })),
  },
  terminals: {
    kind: COMMAND.TERMINAL,
    commandsPerBatch: COMMANDS_PER_BATCH_MAX,
    toCommands: (row, { vault, keyExchangeKey }) =>
      map(toTerminalCommand(row, { vault, kek: keyExchangeKey }), (command) =>
        written([command], TERMINAL_SIZE, writeTerminal),
      ),
  },
  cards: {
    kind: COMMAND.CARD_EVENT,
    commandsPerBatch: COMMANDS_PER_BATCH_MAX,
    toCommands: (row, { vault }) =>
      map(toCardCommand(row, vault), (command) =>
        written([command], CARD_EVENT_SIZE, writeCardEvent),
      ),
  },
  blacklist: {
    kind: COMMAND.LIST_ENTRY,
    commandsPerBatch: COMMANDS_PER_BATCH_MAX,
    toCommands: (row, { vault }) =>
      map(toListCommands(row, vault), (commands) =>
        written(commands, LIST_ENTRY_SIZE, writeListEntry),
      ),
  },
};
/** A file with a version and first day in its first line, and an item in each other. */
const CATALOGUE_SORT = "catalogue";
export const IMPORT_SORTS = [...Object.keys(SORTS), CATALOGUE_SORT];

const COUNT = Type.Integer({ minimum: 0 });
const REPORT = closed({
  rows: COUNT,
  applied: COUNT,
  unchanged: COUNT,
  rejected: COUNT,
  rejections: Type.Array(closed({ line: COUNT, cause: Type.String() }), {
    description: "the first 10,000",
  }),
});

export function importRoutes(context: ControlContext): Route[] {
  return [
    streamRoute({
      url: "/v1/import/:sort",
      tag: "import",
      summary: "Takes in rows; a rejected row is reported and stops nothing",
      params: closed({ sort: oneOf(IMPORT_SORTS) }),
      response: REPORT,
      handle: ({ params, body }) => {
        const sort = SORTS[params.sort];
        return sort ? importRows(context, sort, body) : importCatalogue(context, body);
      },
    }),
  ];
}

async function importRows(
  context: ControlContext,
  sort: Sort,
  body: Readable,
): Promise<ImportReport> {
  const run = new ImportRun(context.main, sort.kind, sort.commandsPerBatch);
  for await (const { number, row } of readLines(body, context.importSizeMax)) {
    const commands = row ? sort.toCommands(row, context) : null;
    if (!commands) run.reject(number, "is no JSON object");
    else if (!commands.ok) run.reject(number, `${commands.column} ${commands.cause}`.trim());
    else await run.add(number, commands.value);
  }
  await run.flush();
  return run.report;
}

/** A catalogue goes in whole or not at all: its first bad line rejects it. */
async function importCatalogue(context: ControlContext, body: Readable): Promise<ImportReport> {
  const run = new ImportRun(context.main, COMMAND.CATALOGUE, 1);
  const rows: Row[] = [];
  let head: Row | null = null;
  let last = 0;
  for await (const { number, row } of readLines(body, context.importSizeMax)) {
    last = number;
    if (!row) {
      run.reject(number, "is no JSON object");
      return run.report;
    }
    const fault = head === null ? null : toCatalogueDocument(1, 20200101, [row]);
    if (fault && !fault.ok) {
      run.reject(number, `${fault.column} ${fault.cause}`.trim());
      return run.report;
    }
    if (head === null) head = row;
    else rows.push(row);
  }
  const document = toCatalogueDocument(head?.["version"], head?.["effectiveDate"], rows);
  if (!document.ok) run.reject(1, `${document.column} ${document.cause}`.trim());
  else await run.add(last, { count: 1, bytes: documentBytes(document.value) });
  await run.flush();
  return run.report;
}

function map<A, B>(checked: Checked<A>, change: (value: A) => B): Checked<B> {
  return checked.ok ? { ok: true, value: change(checked.value) } : checked;
}

/** Commands of a fixed size, back to back. */
function written<Command>(
  commands: readonly Command[],
  size: number,
  write: (bytes: Uint8Array, offset: number, command: Command) => number,
): RowCommands {
  const bytes = new Uint8Array(commands.length * size);
  commands.forEach((command, index) => write(bytes, index * size, command));
  return { count: commands.length, bytes };
}
