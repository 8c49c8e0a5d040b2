// `tongka import`: files of organisations, terminals, cards, blacklist entries and catalogue items.
//
// Rows become commands here, under the vault's keys, and go into the server that holds the data
// folder; when none does, this process opens the folder itself, as a server would.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { CommandSink } from "../command-sink.js";
import type { Config } from "../config.js";
import { lockHolder } from "../data-lock.js";
import { type ImportSummary, importFile } from "../import/import.js";
import { type CatalogueHead, IMPORT_SORTS, type ImportSort } from "../import/lanes.js";
import { loadKeyExchangeKey, loadRootKey } from "../root-key.js";
import { deriveVaultKeys, KeyVault } from "../vault.js";
import { CliError, usageError } from "./cli-error.js";
import type { CommandSpec, Context, Options } from "./command.js";
import { date, wholeNumber } from "./command.js";
import { CONNECTION_OPTIONS, connect } from "./connection.js";
import { EXIT } from "./exit-codes.js";
import { ImportBar } from "./import-bar.js";
import { settingsOf } from "./settings.js";

const VERSION_MAX = 4_294_967_295;

export const IMPORT: CommandSpec = {
  name: "import",
  arguments: "<sort> <file>",
  summary: "take in a file of rows, CSV or NDJSON",
  details:
    `<sort> is ${IMPORT_SORTS.join(", ")}. A bad row is reported with its line and cause, and ` +
    "skipped; a report file lists them all. An import that was stopped goes on where it was when " +
    "it is run again. Exit code 3 when rows were rejected. Needs the root key of the data " +
    "folder, whether a server runs or not.",
  options: [
    { flags: "--restart", text: "begin anew, and forget how far an earlier run came" },
    {
      flags: "--kek-file <file>",
      text: "key-exchange key of terminal keys (default: control.keyExchangeKeyFile)",
    },
    {
      flags: "--catalogue-version <number>",
      text: "version of a catalogue file that does not begin with one",
      parse: wholeNumber(1, VERSION_MAX),
    },
    { flags: "--effective-date <date>", text: "its first day in force", parse: date },
    ...CONNECTION_OPTIONS,
  ],
  examples: [
    "tongka import organisations organisations.ndjson",
    "tongka import terminals terminals.csv --kek-file kek.hex",
    "tongka import cards cards.csv --json",
    "tongka import catalogue items.csv --catalogue-version 4 --effective-date 2027-01-01",
  ],
  run: runImport,
};

async function runImport(context: Context, args: readonly string[], options: Options) {
  const sort = sortOf(args[0]!);
  const path = args[1]!;
  const config = await settingsOf(context, options);
  const kekFile = (options.kekFile as string | undefined) ?? config.control.keyExchangeKeyFile;
  const kek = kekFile === "" ? undefined : loadKeyExchangeKey(kekFile);
  const catalogue = catalogueHeadOf(options);
  const rootKey = loadRootKey(config.data, context.environment);
  const vault = new KeyVault(deriveVaultKeys(rootKey));
  rootKey.fill(0);
  // Heard, so that the first Ctrl-C ends the import in order.
  const stop = () => context.output.message("stopping");
  context.signal.addEventListener("abort", stop, { once: true });
  const sink = await openSink(context, options, config);
  const bar = new ImportBar(context, `importing ${sort}`);
  let summary: ImportSummary;
  try {
    summary = await importFile({
      sort,
      path,
      sink,
      vault,
      stateFolder: importFolder(config.data),
      kek,
      catalogue,
      restart: options.restart === true,
      signal: context.signal,
      onProgress: (progress) => bar.update(progress),
    });
  } finally {
    bar.stop();
    await sink.close();
    vault.close();
    kek?.fill(0);
  }
  print(context, summary);
  if (summary.interrupted) return EXIT.INTERRUPTED;
  return summary.rejected > 0 ? EXIT.REFUSED : undefined;
}

type ClosableSink = CommandSink & { close(): Promise<void> };

/** The running server when there is one, else the data folder itself. */
async function openSink(context: Context, options: Options, config: Config): Promise<ClosableSink> {
  const holder = lockHolder(config.data);
  if (options.url === undefined && holder === null) {
    const { openLocalSink } = await import("../local-sink.js");
    return openLocalSink(config);
  }
  if (options.url === undefined && holder?.controlUrl === null) {
    throw new CliError(
      `data folder ${config.data} is in use by process ${holder.pid}: wait for it, or stop it`,
    );
  }
  const client = await connect(context, options);
  return { execute: (batch) => client.execute(batch), close: async () => undefined };
}

/** Where reports and states of imports stand. */
function importFolder(data: string): string {
  const folder = join(data, "imports");
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function catalogueHeadOf(options: Options): CatalogueHead | undefined {
  const { catalogueVersion, effectiveDate } = options;
  if (catalogueVersion === undefined && effectiveDate === undefined) return undefined;
  if (catalogueVersion === undefined || effectiveDate === undefined) {
    throw usageError("--catalogue-version and --effective-date are given both or neither");
  }
  return { version: catalogueVersion as number, effectiveDate: effectiveDate as number };
}

function print(context: Context, summary: ImportSummary): void {
  const { output } = context;
  if (context.json) output.json(summary);
  else {
    output.fields([
      ["rows", summary.rows],
      ["imported", summary.imported],
      ["unchanged", summary.unchanged],
      ["rejected", summary.rejected],
      ["seconds", summary.seconds.toFixed(1)],
      ...(summary.reportPath === null ? [] : [["report", summary.reportPath] as const]),
    ]);
  }
  if (summary.ignoredColumns.length > 0) {
    output.message(`columns not used: ${summary.ignoredColumns.join(", ")}`);
  }
  if (summary.interrupted) output.message("stopped: run the same import again to go on");
}

function sortOf(word: string): ImportSort {
  const sort = IMPORT_SORTS.find((each) => each === word);
  if (sort !== undefined) return sort;
  throw usageError(`<sort> must be one of ${IMPORT_SORTS.join(", ")}`);
}
