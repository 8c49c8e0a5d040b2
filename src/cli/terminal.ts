// `tongka terminal`: terminals and their master keys. A new key is shown once, when it is made; one
// that comes from elsewhere comes wrapped, and never in clear.

import { DOMAINS, type DomainName } from "../../engine/domain.js";
import { TERMINAL_ID_MAX } from "../../protocol/frame.js";
import { MAC_ALGORITHM_NAMES, type MacAlgorithmName } from "../../protocol/mac-algorithms.js";
import type { ControlClient } from "../control/client.js";
import type { TerminalBody, TerminalChange, TerminalChanged } from "../control/routes/terminals.js";
import { usageError } from "./cli-error.js";
import type { CommandSpec, Context, GroupSpec, OptionSpec, Options } from "./command.js";
import { listOf, oneOf, wholeNumber } from "./command.js";
import { CONNECTION_OPTIONS, connect, PAGE_OPTIONS, pageOf, tellMore } from "./connection.js";
import { checkValueOfWrapped } from "./wrapped-key.js";

const ID_MAX = 4_294_967_295;
const DOMAIN_NAMES = DOMAINS.slice(1);
const ALGORITHM_NAMES = MAC_ALGORITHM_NAMES.slice(1);

const KEY_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--wrapped-key <hex>",
    text: "master key wrapped (RFC 3394) under the server's control.keyExchangeKeyFile",
  },
  { flags: "--check-value <hex>", text: "check value that the wrapped key must have" },
  {
    flags: "--kek-file <file>",
    text: "the key-exchange key, to open the wrapped key here first and know its check value",
  },
];

const ADD: CommandSpec = {
  name: "add",
  arguments: "<terminal-id>",
  summary: "add a terminal with a new master key, or with one that comes wrapped",
  details:
    "A new master key is shown this once, with its check value. " +
    `Domains: ${DOMAIN_NAMES.join(", ")}.`,
  options: [
    {
      flags: "--organisation <id>",
      text: "organisation it belongs to",
      parse: wholeNumber(1, ID_MAX),
      required: true,
    },
    {
      flags: "--region <code>",
      text: "where it stands, GB/T 2260, six digits",
      parse: wholeNumber(110_000, 999_999),
      required: true,
    },
    {
      flags: "--domains <list>",
      text: "domains it may serve, with commas between",
      parse: listOf(DOMAIN_NAMES),
      required: true,
    },
    {
      flags: "--concentrator <id>",
      text: "terminal that may speak for it",
      parse: wholeNumber(1, TERMINAL_ID_MAX),
    },
    {
      flags: "--mac <algorithm>",
      text: ALGORITHM_NAMES.join(", "),
      parse: oneOf(ALGORITHM_NAMES),
      fallback: "aes-128-cmac",
    },
    ...KEY_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  examples: [
    "tongka terminal add 10000001 --organisation 1001 --region 460105 --domains transport",
    "tongka terminal add 10000001 --organisation 1001 --region 460105 --domains transport \\",
    "  --wrapped-key 1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5 --kek-file kek.hex",
  ],
  run: add,
};

const SHOW: CommandSpec = {
  name: "show",
  arguments: "<terminal-id>",
  summary: "show a terminal and its session",
  options: CONNECTION_OPTIONS,
  examples: ["tongka terminal show 10000001"],
  run: show,
};

const LIST: CommandSpec = {
  name: "list",
  summary: "list terminals in order of their ids",
  options: [...PAGE_OPTIONS, ...CONNECTION_OPTIONS],
  examples: ["tongka terminal list", "tongka terminal list --after 10000001 --count 1000"],
  run: list,
};

const REKEY: CommandSpec = {
  name: "rekey",
  arguments: "<terminal-id>",
  summary: "give a terminal a new master key, shown this once, or one that comes wrapped",
  options: [...KEY_OPTIONS, ...CONNECTION_OPTIONS],
  examples: ["tongka terminal rekey 10000001"],
  run: (context, args, options) =>
    change(context, args, options, (before) => keyOf(options, before.macAlgorithm)),
};

const CLOSE: CommandSpec = {
  name: "close",
  arguments: "<terminal-id>",
  summary: "decline everything from a terminal until it is opened again",
  options: CONNECTION_OPTIONS,
  examples: ["tongka terminal close 10000001"],
  run: (context, args, options) =>
    change(context, args, options, () => ({ status: "closed", masterKey: "keep" })),
};

const OPEN: CommandSpec = {
  name: "open",
  arguments: "<terminal-id>",
  summary: "open a closed terminal",
  options: CONNECTION_OPTIONS,
  examples: ["tongka terminal open 10000001"],
  run: (context, args, options) =>
    change(context, args, options, () => ({ status: "open", masterKey: "keep" })),
};

export const TERMINAL: GroupSpec = {
  name: "terminal",
  summary: "add terminals, renew their keys, open, close and look them up",
  commands: [ADD, SHOW, LIST, REKEY, CLOSE, OPEN],
};

async function add(context: Context, args: readonly string[], options: Options) {
  const macAlgorithm = options.mac as MacAlgorithmName;
  const terminal: TerminalChange = {
    terminalId: terminalIdOf(args[0]!),
    organisationId: options.organisation as number,
    regionCode: options.region as number,
    domains: options.domains as DomainName[],
    status: "open",
    macAlgorithm,
    ...keyOf(options, macAlgorithm),
  };
  if (options.concentrator !== undefined) {
    terminal.concentratorId = options.concentrator as number;
  }
  const client = connect(context, options);
  printChanged(context, await client.setTerminal(terminal));
  return undefined;
}

async function change(
  context: Context,
  args: readonly string[],
  options: Options,
  changes: (before: TerminalBody) => Partial<TerminalChange>,
): Promise<undefined> {
  const client: ControlClient = connect(context, options);
  const before = await client.terminal(terminalIdOf(args[0]!));
  const { session: _session, masterKeyVersion: _version, checkValue: _value, ...kept } = before;
  printChanged(context, await client.setTerminal({ ...kept, ...changes(before) }));
  return undefined;
}

/** What the options say of the master key: a new one, or the wrapped one given. */
function keyOf(options: Options, macAlgorithm: string): Partial<TerminalChange> {
  const masterKeyWrapped = options.wrappedKey as string | undefined;
  const kekFile = options.kekFile as string | undefined;
  let checkValue = options.checkValue as string | undefined;
  if (masterKeyWrapped === undefined) {
    if (checkValue === undefined && kekFile === undefined) return { masterKey: "new" };
    throw usageError("--check-value and --kek-file go with --wrapped-key");
  }
  if (kekFile !== undefined) {
    const opened = checkValueOfWrapped(masterKeyWrapped, kekFile, macAlgorithm);
    if (checkValue !== undefined && checkValue.toLowerCase() !== opened) {
      throw usageError("--check-value is not that of the wrapped key: nothing was sent");
    }
    checkValue = opened;
  }
  const expected = checkValue === undefined ? {} : { checkValue };
  return { masterKey: "wrapped", masterKeyWrapped, ...expected };
}

async function show(context: Context, args: readonly string[], options: Options) {
  const found = await connect(context, options).terminal(terminalIdOf(args[0]!));
  if (context.json) {
    context.output.json(found);
    return undefined;
  }
  context.output.fields([
    ["terminal", found.terminalId],
    ["organisation", found.organisationId],
    ["region", found.regionCode],
    ["domains", found.domains.join(", ")],
    ["concentrator", found.concentratorId || null],
    ["status", found.status],
    ["MAC", found.macAlgorithm],
    ["master key version", found.masterKeyVersion],
    ["check value", found.checkValue],
    ["session", found.session === null ? "not signed on" : found.session.keyGeneration],
    ["session ends", found.session?.expires],
  ]);
  return undefined;
}

async function list(context: Context, _args: readonly string[], options: Options) {
  const found = await connect(context, options).terminals(pageOf(options));
  if (context.json) context.output.json(found);
  else {
    context.output.table(
      ["terminal", "organisation", "region", "domains", "status", "MAC", "key", "signed on"],
      found.map((each) => [
        each.terminalId,
        each.organisationId,
        each.regionCode,
        each.domains.join(","),
        each.status,
        each.macAlgorithm,
        each.checkValue,
        each.session === null ? "no" : "yes",
      ]),
    );
  }
  tellMore(context, options, found.length, found.at(-1)?.terminalId ?? 0);
  return undefined;
}

function printChanged(context: Context, changed: TerminalChanged): void {
  const { output } = context;
  if (context.json) output.json(changed);
  else {
    output.fields([
      ["terminal", changed.terminalId],
      ["outcome", changed.outcome.toLowerCase()],
      ["master key version", changed.masterKeyVersion],
      ["check value", changed.checkValue],
      ...(changed.masterKey === undefined ? [] : [["master key", changed.masterKey] as const]),
    ]);
  }
  if (changed.masterKey === undefined) return;
  output.message("put this key into the terminal now: it is not shown again");
}

function terminalIdOf(argument: string): number {
  const id = /^[0-9]{1,8}$/.test(argument) ? Number(argument) : 0;
  if (id >= 1) return id;
  throw usageError(`<terminal-id> must be a whole number from 1 to ${TERMINAL_ID_MAX}`);
}
