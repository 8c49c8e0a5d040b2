// `tongka blacklist`: entries of the blacklist, which bind the next tap.

import type { ListAddition, ListEntryBody } from "../control/routes/blacklist.js";
import { usageError } from "./cli-error.js";
import type { CommandSpec, Context, GroupSpec, Options } from "./command.js";
import { oneOf, wholeNumber } from "./command.js";
import {
  CONNECTION_OPTIONS,
  connect,
  PAGE_OPTIONS,
  pageOf,
  printDone,
  tellMore,
} from "./connection.js";
import { DASH_HELP, SecretArguments } from "./secret-argument.js";

const ID_MAX = 4_294_967_295;
const TERMINAL_ID_MAX = 99_999_999;
const SUBJECT_KINDS = ["card", "holder", "range", "terminal", "organisation"];
const CAUSES = ["lost", "stolen", "fraud", "debt", "administrative", "technical"];
/** What "-" stands for is asked for in these words. */
const SUBJECT_TEXTS: Readonly<Record<string, string>> = {
  card: "card number",
  holder: "ID number",
  range: "card numbers, FROM-TO",
};

const ADD: CommandSpec = {
  name: "add",
  arguments: "<kind> <subject>",
  summary: "add an entry",
  details: `<kind> is ${SUBJECT_KINDS.join(", ")}; a range is FROM-TO. ${DASH_HELP}`,
  options: [
    { flags: "--cause <word>", text: CAUSES.join(", "), parse: oneOf(CAUSES), required: true },
    { flags: "--scope <scope>", text: "all, domain:NAME or item:CODE", fallback: "all" },
    { flags: "--from <time>", text: "a day or a time with zone (default: now)" },
    { flags: "--until <time>", text: "last day, or a time with zone (default: open-ended)" },
    {
      flags: "--entry <id>",
      text: "id of the entry (default: one made from its content)",
      parse: wholeNumber(1, Number.MAX_SAFE_INTEGER),
    },
    {
      flags: "--organisation <id>",
      text: "organisation that lists",
      parse: wholeNumber(1, ID_MAX),
    },
    ...CONNECTION_OPTIONS,
  ],
  examples: [
    "tongka blacklist add card - --cause stolen < card-number.txt",
    "tongka blacklist add terminal 10000001 --cause technical --until 2026-12-31",
    "tongka blacklist add range 6217000000000000-6217000099999999 --cause fraud",
  ],
  run: add,
};

const REMOVE: CommandSpec = {
  name: "remove",
  arguments: "<entry-id>",
  summary: "remove an entry",
  options: CONNECTION_OPTIONS,
  examples: ["tongka blacklist remove 7001"],
  run: remove,
};

const SHOW: CommandSpec = {
  name: "show",
  arguments: "<entry-id>",
  summary: "show an entry",
  options: CONNECTION_OPTIONS,
  examples: ["tongka blacklist show 7001 --json"],
  run: show,
};

const FIND: CommandSpec = {
  name: "find",
  arguments: "<kind> <subject>",
  summary: "find the entries that name a card or a holder",
  details: `<kind> is card or holder. ${DASH_HELP}`,
  options: CONNECTION_OPTIONS,
  examples: ["tongka blacklist find card - < card-number.txt"],
  run: find,
};

const LIST: CommandSpec = {
  name: "list",
  summary: "list entries in order of their ids",
  options: [
    {
      flags: "--terminal <id>",
      text: "only of this terminal",
      parse: wholeNumber(1, TERMINAL_ID_MAX),
    },
    {
      flags: "--organisation <id>",
      text: "only of this organisation",
      parse: wholeNumber(1, ID_MAX),
    },
    ...PAGE_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  examples: ["tongka blacklist list --count 20", "tongka blacklist list --terminal 10000001"],
  run: list,
};

export const BLACKLIST: GroupSpec = {
  name: "blacklist",
  summary: "add, remove and look up entries of the blacklist",
  commands: [ADD, REMOVE, SHOW, FIND, LIST],
};

async function add(context: Context, args: readonly string[], options: Options) {
  const subjectKind = kindOf(args[0]!, SUBJECT_KINDS);
  const addition: Record<string, unknown> = {
    subjectKind,
    subject: await subjectOf(context, subjectKind, args[1]!),
    scope: options.scope,
    cause: options.cause,
  };
  if (options.from !== undefined) addition.from = options.from;
  if (options.until !== undefined) addition.until = options.until;
  if (options.entry !== undefined) addition.entryId = options.entry;
  if (options.organisation !== undefined) addition.organisationId = options.organisation;
  const client = connect(context, options);
  const changed = await client.addToBlacklist(addition as ListAddition);
  if (context.json) context.output.json(changed);
  else printEntryDone(context, changed);
  return undefined;
}

async function remove(context: Context, args: readonly string[], options: Options) {
  const changed = await connect(context, options).removeFromBlacklist(entryIdOf(args[0]!));
  printDone(context, changed);
  return undefined;
}

async function show(context: Context, args: readonly string[], options: Options) {
  const entries = await connect(context, options).listEntry(entryIdOf(args[0]!));
  printEntries(context, entries);
  return undefined;
}

async function find(context: Context, args: readonly string[], options: Options) {
  const kind = kindOf(args[0]!, ["card", "holder"]) as "card" | "holder";
  const subject = await subjectOf(context, kind, args[1]!);
  printEntries(context, await connect(context, options).searchBlacklist(kind, subject));
  return undefined;
}

async function list(context: Context, _args: readonly string[], options: Options) {
  const query: { terminalId?: number; organisationId?: number } = {};
  if (options.terminal !== undefined) query.terminalId = options.terminal as number;
  if (options.organisation !== undefined) query.organisationId = options.organisation as number;
  const entries = await connect(context, options).blacklist({ ...pageOf(options), ...query });
  printEntries(context, entries);
  tellMore(context, options, entries.length, entries.at(-1)?.entryId ?? 0);
  return undefined;
}

function kindOf(word: string, kinds: readonly string[]): string {
  if (kinds.includes(word)) return word;
  throw usageError(`<kind> must be one of ${kinds.join(", ")}`);
}

function subjectOf(context: Context, kind: string, argument: string): Promise<string> {
  return new SecretArguments(context).take(argument, SUBJECT_TEXTS[kind] ?? `${kind} id`);
}

function entryIdOf(argument: string): number {
  if (/^[1-9][0-9]{0,15}$/.test(argument)) return Number(argument);
  throw usageError("<entry-id> must be a whole number from 1");
}

function printEntryDone(
  context: Context,
  changed: { outcome: string; position: number; entryId: number },
): void {
  context.output.fields([
    ["entry", changed.entryId],
    ["outcome", changed.outcome.toLowerCase()],
    ["journal position", changed.position],
  ]);
}

function printEntries(context: Context, entries: readonly ListEntryBody[]): void {
  if (context.json) {
    context.output.json(entries);
    return;
  }
  context.output.table(
    ["entry", "kind", "subject", "scope", "cause", "from", "until", "organisation", "position"],
    entries.map((e) => [
      e.entryId,
      e.subjectKind,
      e.subject,
      e.scope,
      e.cause,
      e.from,
      e.until,
      e.organisationId || null,
      e.position,
    ]),
  );
}
