// `tongka card`: what is known of a card, and the events of its life (article 7).

import type { CardEventBody } from "../control/routes/cards.js";
import type { CommandSpec, Context, GroupSpec, OptionSpec, Options } from "./command.js";
import { date, oneOf, wholeNumber } from "./command.js";
import { CONNECTION_OPTIONS, connect, printDone } from "./connection.js";
import { DASH_HELP, SecretArguments } from "./secret-argument.js";

const ID_MAX = 4_294_967_295;
const ORGANISATION_OPTION: OptionSpec = {
  flags: "--organisation <id>",
  text: "organisation that reports the event",
  parse: wholeNumber(1, ID_MAX),
};
const NEW_CARD_OPTIONS: readonly OptionSpec[] = [
  { flags: "--holder <id-number>", text: "ID number of the holder, or -", required: true },
  {
    flags: "--medium <medium>",
    text: "chip or electronic",
    parse: oneOf(["chip", "electronic"]),
    required: true,
  },
  {
    flags: "--region <code>",
    text: "issuing region, GB/T 2260, six digits",
    parse: wholeNumber(110_000, 999_999),
    required: true,
  },
  { flags: "--expiry <date>", text: "last day of use", parse: date, required: true },
];

const SHOW: CommandSpec = {
  name: "show",
  arguments: "<pan>",
  summary: "status, medium, expiry and use of a card",
  details: DASH_HELP,
  options: CONNECTION_OPTIONS,
  examples: ["tongka card show - < card-number.txt", "tongka card show - --json"],
  run: show,
};

/** An event that takes the card number and nothing else. */
function plainEvent(event: string, summary: string): CommandSpec {
  return {
    name: event,
    arguments: "<pan>",
    summary,
    details: DASH_HELP,
    options: [ORGANISATION_OPTION, ...CONNECTION_OPTIONS],
    examples: [`tongka card ${event} - < card-number.txt`],
    run: (context, args, options) => sendEvent(context, args, options, event),
  };
}

const LOSE: CommandSpec = {
  ...plainEvent("lose", "report a card lost: formal, or temporary by telephone or online"),
  options: [
    { flags: "--temporary", text: "a temporary loss, which lapses or is withdrawn" },
    ORGANISATION_OPTION,
    ...CONNECTION_OPTIONS,
  ],
  examples: ["tongka card lose -", "tongka card lose - --temporary < card-number.txt"],
  run: (context, args, options) =>
    sendEvent(context, args, options, options.temporary === true ? "lose-temporary" : "lose"),
};

const ISSUE: CommandSpec = {
  name: "issue",
  arguments: "<pan>",
  summary: "issue a new card to a holder",
  details: DASH_HELP,
  options: [...NEW_CARD_OPTIONS, ORGANISATION_OPTION, ...CONNECTION_OPTIONS],
  examples: [
    "tongka card issue - --holder - --medium chip --region 460105 --expiry 20351231 < numbers.txt",
  ],
  run: (context, args, options) => sendEvent(context, args, options, "issue"),
};

const REPLACE: CommandSpec = {
  name: "replace",
  arguments: "<pan> <previous-pan>",
  summary: "issue a card in place of another, which ends",
  details: DASH_HELP,
  options: [...NEW_CARD_OPTIONS, ORGANISATION_OPTION, ...CONNECTION_OPTIONS],
  examples: [
    "tongka card replace - - --holder - --medium chip --region 460105 --expiry 20351231 < numbers.txt",
  ],
  run: (context, args, options) => sendEvent(context, args, options, "replace"),
};

export const CARD: GroupSpec = {
  name: "card",
  summary: "look at a card, and report the events of its life",
  commands: [
    SHOW,
    ISSUE,
    plainEvent("activate", "activate an issued card"),
    LOSE,
    plainEvent("release", "release a card from loss"),
    REPLACE,
    plainEvent("cancel", "cancel a card for good"),
  ],
};

async function show(context: Context, args: readonly string[], options: Options) {
  const cardNumber = await new SecretArguments(context).take(args[0]!, "card number");
  const card = await connect(context, options).card(cardNumber);
  if (context.json) {
    context.output.json(card);
    return undefined;
  }
  context.output.fields([
    ["status", card.status],
    ["medium", card.medium],
    ["region", card.regionCode],
    ["expiry date", card.expiryDate],
    ["on the blacklist", card.listed ? "yes" : "no"],
    ["uses", card.useCount],
    ["amount (fen)", card.amountMinorTotal],
    ["last use", card.lastUse?.time],
    ["at terminal", card.lastUse?.terminalId],
  ]);
  return undefined;
}

async function sendEvent(
  context: Context,
  args: readonly string[],
  options: Options,
  event: string,
): Promise<undefined> {
  const secrets = new SecretArguments(context);
  const body: Record<string, unknown> = {
    event,
    cardNumber: await secrets.take(args[0]!, "card number"),
  };
  if (args[1] !== undefined) {
    body.previousCardNumber = await secrets.take(args[1], "card number of the card replaced");
  }
  if (options.holder !== undefined) {
    body.idNumber = await secrets.take(options.holder as string, "ID number");
  }
  if (options.region !== undefined) body.regionCode = options.region;
  if (options.medium !== undefined) body.medium = options.medium;
  if (options.expiry !== undefined) body.expiryDate = options.expiry;
  if (options.organisation !== undefined) body.organisationId = options.organisation;
  printDone(context, await connect(context, options).cardEvent(body as CardEventBody));
  return undefined;
}
