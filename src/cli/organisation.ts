// `tongka organisation`: the organisations that terminals, items and entries belong to.

import type { Organisation } from "../../engine/commands.js";
import { DOMAINS, type DomainName } from "../../engine/domain.js";
import { usageError } from "./cli-error.js";
import type { CommandSpec, Context, GroupSpec, Options } from "./command.js";
import { listOf, wholeNumber } from "./command.js";
import {
  CONNECTION_OPTIONS,
  connect,
  PAGE_OPTIONS,
  pageOf,
  printDone,
  tellMore,
} from "./connection.js";

const ID_MAX = 4_294_967_295;
const DOMAIN_NAMES = DOMAINS.slice(1);

const ADD: CommandSpec = {
  name: "add",
  arguments: "<organisation-id>",
  summary: "add an organisation, or replace what is known of it",
  details: `Domains: ${DOMAIN_NAMES.join(", ")}.`,
  options: [
    { flags: "--name <name>", text: "its name", required: true },
    {
      flags: "--region <code>",
      text: "where it acts, GB/T 2260, six digits",
      parse: wholeNumber(110_000, 999_999),
      required: true,
    },
    {
      flags: "--domains <list>",
      text: "its domains, with commas between",
      parse: listOf(DOMAIN_NAMES),
      required: true,
    },
    {
      flags: "--parent <id>",
      text: "the organisation above it",
      parse: wholeNumber(0, ID_MAX),
      fallback: 0,
    },
    { flags: "--closed", text: "it no longer acts" },
    ...CONNECTION_OPTIONS,
  ],
  examples: [
    "tongka organisation add 1001 --name 海口公交 --region 460100 --domains transport",
    "tongka organisation add 1001 --name 海口公交 --region 460100 --domains transport --closed",
  ],
  run: add,
};

const SHOW: CommandSpec = {
  name: "show",
  arguments: "<organisation-id>",
  summary: "show an organisation",
  options: CONNECTION_OPTIONS,
  examples: ["tongka organisation show 1001"],
  run: show,
};

const LIST: CommandSpec = {
  name: "list",
  summary: "list organisations in order of their ids",
  options: [...PAGE_OPTIONS, ...CONNECTION_OPTIONS],
  examples: ["tongka organisation list", "tongka organisation list --count 1000 --json"],
  run: list,
};

export const ORGANISATION: GroupSpec = {
  name: "organisation",
  summary: "add and look up organisations",
  commands: [ADD, SHOW, LIST],
};

async function add(context: Context, args: readonly string[], options: Options) {
  const organisation: Organisation = {
    organisationId: organisationIdOf(args[0]!),
    name: options.name as string,
    regionCode: options.region as number,
    parentId: options.parent as number,
    domains: options.domains as DomainName[],
    status: options.closed === true ? "closed" : "open",
  };
  printDone(context, await connect(context, options).setOrganisation(organisation));
  return undefined;
}

async function show(context: Context, args: readonly string[], options: Options) {
  const found = await connect(context, options).organisation(organisationIdOf(args[0]!));
  if (context.json) {
    context.output.json(found);
    return undefined;
  }
  context.output.fields([
    ["organisation", found.organisationId],
    ["name", found.name],
    ["region", found.regionCode],
    ["parent", found.parentId || null],
    ["domains", found.domains.join(", ")],
    ["status", found.status],
  ]);
  return undefined;
}

async function list(context: Context, _args: readonly string[], options: Options) {
  const found = await connect(context, options).organisations(pageOf(options));
  if (context.json) context.output.json(found);
  else {
    context.output.table(
      ["organisation", "name", "region", "parent", "domains", "status"],
      found.map((o) => [
        o.organisationId,
        o.name,
        o.regionCode,
        o.parentId || null,
        o.domains.join(","),
        o.status,
      ]),
    );
  }
  tellMore(context, options, found.length, found.at(-1)?.organisationId ?? 0);
  return undefined;
}

function organisationIdOf(argument: string): number {
  const id = /^[0-9]{1,10}$/.test(argument) ? Number(argument) : 0;
  if (id >= 1 && id <= ID_MAX) return id;
  throw usageError(`<organisation-id> must be a whole number from 1 to ${ID_MAX}`);
}
