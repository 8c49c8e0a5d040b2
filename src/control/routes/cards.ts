// Cards: what one is, and the events of its life (article 7). Card and ID numbers come in bodies
// only, never in a URL: URLs stand in the logs of every proxy on the way.

import { CARD_EVENT_SIZE, COMMAND, writeCardEvent } from "../../../engine/commands.js";
import { CARD_EVENT, DAY_MAX } from "../../../engine/domain.js";
import { dateOf } from "../../dates.js";
import { oneOf, type Static, Type } from "../../schema.js";
import type { KeyVault } from "../../vault.js";
import { executeOne } from "../commands.js";
import {
  CARD_NUMBER,
  COMMAND_DONE,
  cardToken,
  closed,
  DATE,
  dayNumber,
  holderToken,
  ID_NUMBER,
  REGION_CODE,
  timeText,
} from "../fields.js";
import type { CardView } from "../messages.js";
import { CARD_EVENT_WORDS, CARD_STATUS_WORDS, MEDIUM_WORDS } from "../names.js";
import { invalid, notFound } from "../problem.js";
import { type ControlContext, type Route, route } from "../route.js";

const U32_MAX = 4_294_967_295;

const CARD = closed({
  status: Type.String(),
  medium: Type.String(),
  regionCode: Type.Integer(),
  expiryDate: Type.Integer({ description: "YYYYMMDD, last day of use" }),
  listed: Type.Boolean({ description: "by a blacklist entry in force" }),
  useCount: Type.Integer(),
  amountMinorTotal: Type.Number(),
  lastUse: Type.Union([closed({ time: Type.String(), terminalId: Type.Integer() }), Type.Null()]),
});
const EVENT = closed({
  cardNumber: CARD_NUMBER,
  event: oneOf(CARD_EVENT_WORDS.all),
  idNumber: Type.Optional(ID_NUMBER),
  previousCardNumber: Type.Optional(CARD_NUMBER),
  regionCode: Type.Optional(REGION_CODE),
  medium: Type.Optional(oneOf(MEDIUM_WORDS.all)),
  status: Type.Optional(oneOf(CARD_STATUS_WORDS.all)),
  expiryDate: Type.Optional(DATE),
  organisationId: Type.Optional(Type.Integer({ minimum: 0, maximum: U32_MAX })),
});

/** A card as the API tells it. */
export type CardBody = Static<typeof CARD>;
/** An event in a card's life. */
export type CardEventBody = Static<typeof EVENT>;

/** What an event needs besides the card number and, for all but these, must not have. */
const EVENT_FIELDS: Readonly<Record<number, readonly (keyof CardEventBody)[]>> = {
  [CARD_EVENT.LOAD]: ["idNumber", "regionCode", "medium", "status", "expiryDate"],
  [CARD_EVENT.ISSUE]: ["idNumber", "regionCode", "medium", "expiryDate"],
  [CARD_EVENT.REPLACE]: ["idNumber", "previousCardNumber", "regionCode", "medium", "expiryDate"],
};
const OPTIONAL_FIELDS = [
  "idNumber",
  "previousCardNumber",
  "regionCode",
  "medium",
  "status",
  "expiryDate",
] as const;

export function cardRoutes({ main, vault }: ControlContext): Route[] {
  return [
    route({
      method: "POST",
      url: "/v1/cards/status",
      tag: "cards",
      summary: "What is known of a card",
      body: closed({ cardNumber: CARD_NUMBER }),
      response: CARD,
      handle: async ({ body }) => {
        const token = cardToken(vault, body.cardNumber);
        const view = await main.ask<"card">({ op: "card", token });
        if (!view) throw notFound("no such card");
        return cardBody(view);
      },
    }),
    route({
      method: "POST",
      url: "/v1/cards/events",
      tag: "cards",
      summary: "Issue, activate, lose, release, replace or cancel a card",
      body: EVENT,
      response: COMMAND_DONE,
      handle: ({ body }) => executeOne(main, COMMAND.CARD_EVENT, eventBytes(vault, body)),
    }),
  ];
}

function eventBytes(vault: KeyVault, body: CardEventBody): Uint8Array<ArrayBuffer> {
  const event = CARD_EVENT_WORDS.number(body.event)!;
  checkFields(body, EVENT_FIELDS[event] ?? []);
  const { idNumber, previousCardNumber, expiryDate } = body;
  const bytes = new Uint8Array(CARD_EVENT_SIZE);
  writeCardEvent(bytes, 0, {
    token: cardToken(vault, body.cardNumber),
    holderToken: idNumber === undefined ? null : holderToken(vault, idNumber),
    previousToken: previousCardNumber === undefined ? null : cardToken(vault, previousCardNumber),
    regionCode: body.regionCode ?? 0,
    event,
    medium: body.medium === undefined ? 0 : MEDIUM_WORDS.number(body.medium)!,
    status: body.status === undefined ? 0 : CARD_STATUS_WORDS.number(body.status)!,
    expiryDay: expiryDate === undefined ? 0 : expiryDay(expiryDate),
    organisationId: body.organisationId ?? 0,
  });
  return bytes;
}

function checkFields(body: CardEventBody, wanted: readonly (keyof CardEventBody)[]): void {
  for (const field of OPTIONAL_FIELDS) {
    const given = body[field] !== undefined;
    if (given === wanted.includes(field)) continue;
    throw invalid(`the event ${body.event} ${given ? "takes no" : "needs"} ${field}`);
  }
}

function expiryDay(date: number): number {
  const day = dayNumber(date, "expiryDate");
  if (day < 1 || day > DAY_MAX) throw invalid("expiryDate is not from 19700102 to 21490606");
  return day;
}

function cardBody(view: CardView): CardBody {
  const time = timeText(view.lastUseTime);
  return {
    status: CARD_STATUS_WORDS.word(view.status),
    medium: MEDIUM_WORDS.word(view.medium),
    regionCode: view.regionCode,
    expiryDate: dateOf(view.expiryDay),
    listed: view.listed,
    useCount: view.useCount,
    amountMinorTotal: view.amountMinorTotal,
    lastUse: time === null ? null : { time, terminalId: view.lastUseTerminalId },
  };
}
