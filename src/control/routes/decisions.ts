// Why a use was answered as it was (article 16): what was asked, what was answered, by which rule
// and on which versions of the data, with the hash of the journal block that proves it.

import { mtiText } from "../../../protocol/mti.js";
import { REASON_NAMES, REASON_TEXTS } from "../../../protocol/reason.js";
import { type Static, Type } from "../../schema.js";
import { closed, DATE, maskedToken, POSITION, STAN, TERMINAL_ID } from "../fields.js";
import type { DecisionView } from "../messages.js";
import { MEDIUM_WORDS } from "../names.js";
import { invalid, notFound } from "../problem.js";
import { type ControlContext, type Route, route } from "../route.js";

const WHOLE = Type.Integer();
const DECISION = closed({
  rrn: POSITION,
  blockPosition: POSITION,
  blockHash: Type.String(),
  time: Type.String({ description: "ISO 8601" }),
  mti: Type.String(),
  senderId: WHOLE,
  keyGeneration: WHOLE,
  sequence: WHOLE,
  asked: closed({
    card: Type.String({ description: "first half of the card's token" }),
    terminalId: WHOLE,
    stan: WHOLE,
    businessDate: WHOLE,
    itemCode: WHOLE,
    amountMinor: Type.Number(),
    localTime: Type.String(),
    medium: Type.String(),
    originalStan: Type.Union([WHOLE, Type.Null()]),
    originalBusinessDate: Type.Union([WHOLE, Type.Null()]),
  }),
  answered: closed({
    responseCode: Type.String(),
    reason: Type.String(),
    authorizationId: WHOLE,
    flags: WHOLE,
  }),
  rule: closed({
    text: Type.String(),
    catalogueVersion: WHOLE,
    blacklistPosition: POSITION,
    listEntryId: Type.Union([WHOLE, Type.Null()]),
  }),
});

/** A decision as the API tells it; also what the command line prints. */
export type DecisionBody = Static<typeof DECISION>;

const QUERY = closed({
  rrn: Type.Optional(POSITION),
  terminalId: Type.Optional(TERMINAL_ID),
  businessDate: Type.Optional(DATE),
  stan: Type.Optional(STAN),
});

export function decisionRoutes({ main }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/v1/decisions",
      tag: "decisions",
      summary: "One decision, by rrn or by terminalId, businessDate and stan",
      query: QUERY,
      response: DECISION,
      handle: async ({ query }) => {
        const decision = await main.ask<"decision">({ op: "decision", ...decisionKey(query) });
        if (!decision) throw notFound("no such decision in the journal");
        return decisionBody(decision);
      },
    }),
  ];
}

function decisionKey(query: Static<typeof QUERY>) {
  const { rrn, terminalId, businessDate, stan } = query;
  const byUse = terminalId !== undefined && businessDate !== undefined && stan !== undefined;
  const anyOfUse = terminalId ?? businessDate ?? stan;
  if (rrn !== undefined && anyOfUse === undefined) return { rrn };
  if (rrn === undefined && byUse) return { terminalId, businessDate, stan };
  throw invalid("give rrn alone, or terminalId, businessDate and stan together");
}

function decisionBody(view: DecisionView): DecisionBody {
  const { asked, answered, rule } = view;
  return {
    rrn: view.rrn,
    blockPosition: view.blockPosition,
    blockHash: view.blockHash,
    time: new Date(view.timeMs).toISOString(),
    mti: mtiText(view.mti),
    senderId: view.senderId,
    keyGeneration: view.keyGeneration,
    sequence: view.sequence,
    asked: {
      card: maskedToken(asked.cardToken),
      terminalId: asked.terminalId,
      stan: asked.stan,
      businessDate: asked.businessDate,
      itemCode: asked.itemCode,
      amountMinor: asked.amountMinor,
      localTime: new Date(asked.localTime * 1000).toISOString(),
      medium: MEDIUM_WORDS.word(asked.medium),
      originalStan: asked.originalStan || null,
      originalBusinessDate: asked.originalBusinessDate || null,
    },
    answered: {
      responseCode: answered.responseCode,
      reason: REASON_NAMES[answered.reason] ?? "unknown",
      authorizationId: answered.authorizationId,
      flags: answered.flags,
    },
    rule: { text: REASON_TEXTS[answered.reason] ?? "unknown", ...rule },
  };
}
