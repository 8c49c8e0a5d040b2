// `tongka decision`: why a use was answered as it was (article 16).

import { TERMINAL_ID_MAX } from "../../protocol/frame.js";
import { STAN_MAX } from "../../protocol/use-record.js";
import { usageError } from "./cli-error.js";
import type { CommandSpec, Context, Options } from "./command.js";
import { date, wholeNumber } from "./command.js";
import { CONNECTION_OPTIONS, connect } from "./connection.js";

export const DECISION: CommandSpec = {
  name: "decision",
  arguments: "[rrn]",
  summary: "show what was asked, what was answered and by which rule",
  details:
    "A decision is named by its reference number (rrn), or by terminal, business date and STAN " +
    "together.",
  options: [
    {
      flags: "--terminal <id>",
      text: "terminal that asked",
      parse: wholeNumber(1, TERMINAL_ID_MAX),
    },
    { flags: "--date <date>", text: "business date", parse: date },
    { flags: "--stan <number>", text: "STAN", parse: wholeNumber(1, STAN_MAX) },
    ...CONNECTION_OPTIONS,
  ],
  examples: [
    "tongka decision 18034",
    "tongka decision --terminal 10000001 --date 2026-01-31 --stan 17 --json",
  ],
  run: showDecision,
};

async function showDecision(context: Context, args: readonly string[], options: Options) {
  const found = await connect(context, options).decision(keyOf(args, options));
  if (context.json) {
    context.output.json(found);
    return undefined;
  }
  const { asked, answered, rule } = found;
  context.output.fields([
    ["rrn", found.rrn],
    ["time", found.time],
    ["message", found.mti],
    ["sender", found.senderId],
    ["terminal", asked.terminalId],
    ["business date", asked.businessDate],
    ["STAN", asked.stan],
    ["card (token)", asked.card],
    ["medium", asked.medium],
    ["item", asked.itemCode],
    ["amount (fen)", asked.amountMinor],
    ["local time", asked.localTime],
    ["original STAN", asked.originalStan],
    ["original date", asked.originalBusinessDate],
    ["answer", answered.responseCode],
    ["reason", answered.reason],
    ["rule", rule.text],
    ["authorization", answered.authorizationId || null],
    ["catalogue version", rule.catalogueVersion],
    ["blacklist position", rule.blacklistPosition],
    ["blacklist entry", rule.listEntryId],
    ["journal block", found.blockPosition],
    ["block hash", found.blockHash],
  ]);
  return undefined;
}

function keyOf(args: readonly string[], options: Options) {
  const { terminal, date: businessDate, stan } = options;
  const given = [terminal, businessDate, stan].filter((value) => value !== undefined).length;
  if (args[0] !== undefined && given === 0) {
    if (/^[1-9][0-9]{0,15}$/.test(args[0])) return { rrn: Number(args[0]) };
    throw usageError("[rrn] must be a whole number from 1");
  }
  if (args[0] === undefined && given === 3) {
    return {
      terminalId: terminal as number,
      businessDate: businessDate as number,
      stan: stan as number,
    };
  }
  throw usageError("give an rrn alone, or --terminal, --date and --stan together");
}
