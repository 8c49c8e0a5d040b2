// `tongka catalogue`: versions of the catalogue of service items. A published one never changes.

import { readFileSync } from "node:fs";
import type { CatalogueVersion } from "../../engine/commands.js";
import type { CatalogueView } from "../control/messages.js";
import { CliError, usageError } from "./cli-error.js";
import type { CommandSpec, Context, GroupSpec, Options } from "./command.js";
import { CONNECTION_OPTIONS, connect, printDone } from "./connection.js";

const SHOW: CommandSpec = {
  name: "show",
  arguments: "[version]",
  summary: "show the items of a version, or of the one in force",
  options: CONNECTION_OPTIONS,
  examples: ["tongka catalogue show", "tongka catalogue show 3 --json > catalogue-3.json"],
  run: show,
};

const LIST: CommandSpec = {
  name: "list",
  summary: "list the published versions",
  options: CONNECTION_OPTIONS,
  examples: ["tongka catalogue list"],
  run: list,
};

const PUBLISH: CommandSpec = {
  name: "publish",
  arguments: "<file>",
  summary: "publish a version",
  details:
    "The file is one JSON document {version, effectiveDate, items}, as catalogue show --json " +
    "prints it. Once published a version never changes: publish a higher one.",
  options: CONNECTION_OPTIONS,
  examples: ["tongka catalogue publish catalogue-4.json"],
  run: publish,
};

export const CATALOGUE: GroupSpec = {
  name: "catalogue",
  summary: "publish and look at versions of the catalogue of service items",
  commands: [SHOW, LIST, PUBLISH],
};

async function show(context: Context, args: readonly string[], options: Options) {
  const { output } = context;
  const version = args[0] === undefined ? undefined : versionOf(args[0]);
  const { document } = await (await connect(context, options)).catalogue(version);
  if (document === null) throw new CliError("no catalogue is in force: publish one");
  if (context.json) {
    output.json(document);
    return undefined;
  }
  output.message(`version ${document.version}, in force from ${document.effectiveDate}`);
  output.table(
    ["item", "name", "domain", "kind", "regions", "media", "start", "end", "most (fen)"],
    document.items.map((item) => [
      item.itemCode,
      item.name,
      item.domain,
      item.kind,
      item.regions.join(","),
      item.media.join(","),
      item.startDate,
      item.endDate || null,
      item.amountMinorMax,
    ]),
  );
  return undefined;
}

async function list(context: Context, _args: readonly string[], options: Options) {
  const view: CatalogueView = await (await connect(context, options)).catalogue();
  if (context.json) {
    context.output.json({ inForce: view.inForce, versions: view.versions });
    return undefined;
  }
  context.output.table(
    ["version", "in force from", "items", "in force"],
    view.versions.map((each) => [
      each.version,
      each.effectiveDate,
      each.itemCount,
      each.version === view.inForce ? "yes" : "no",
    ]),
  );
  return undefined;
}

async function publish(context: Context, args: readonly string[], options: Options) {
  const document = readDocument(args[0]!);
  printDone(context, await (await connect(context, options)).publishCatalogue(document));
  return undefined;
}

/** The file as JSON; the server checks what it holds. */
function readDocument(path: string): CatalogueVersion {
  const text = readFileSync(path, "utf8");
  try {
    return JSON.parse(text) as CatalogueVersion;
  } catch {
    throw new CliError(`${path}: is not one JSON document; for NDJSON use tongka import catalogue`);
  }
}

function versionOf(argument: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(argument)) return Number(argument);
  throw usageError("[version] must be a whole number from 1");
}
