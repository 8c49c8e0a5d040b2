// Schemas of the fields that several routes share, and the numbers behind them as tokens.

import { TERMINAL_ID_MAX } from "../../protocol/frame.js";
import {
  PAN_BLOCK_SIZE,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  panValid,
  writePanBlock,
} from "../../protocol/pan.js";
import { STAN_MAX } from "../../protocol/use-record.js";
import { dayOfText, NO_DAY } from "../dates.js";
import { idNumberFault } from "../id-number.js";
import { oneOf, type TSchema, Type } from "../schema.js";
import type { KeyVault } from "../vault.js";
import { PAGE_COUNT_MAX } from "./messages.js";
import { invalid } from "./problem.js";

const U32_MAX = 4_294_967_295;
const PAGE_COUNT_DEFAULT = 100;

export const TERMINAL_ID = Type.Integer({ minimum: 1, maximum: TERMINAL_ID_MAX });
export const ORGANISATION_ID = Type.Integer({ minimum: 1, maximum: U32_MAX });
export const STAN = Type.Integer({ minimum: 1, maximum: STAN_MAX });
export const DATE = Type.Integer({ minimum: 19700101, maximum: 99991231, description: "YYYYMMDD" });
export const REGION_CODE = Type.Integer({
  minimum: 110_000,
  maximum: 999_999,
  description: "GB/T 2260, six digits",
});
export const POSITION = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const CARD_NUMBER = Type.String({
  minLength: 12,
  maxLength: 19,
  description: "digits with their check digit",
});
export const ID_NUMBER = Type.String({
  minLength: 18,
  maxLength: 18,
  description: "GB 11643, with its check character",
});

/** Query of a list in pages: `after` is the last id of the page before. */
export const PAGE = {
  after: Type.Optional(POSITION),
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_COUNT_MAX })),
};

/** `after` and `count` with their defaults. */
export function page(query: { after?: number; count?: number }): { after: number; count: number } {
  return { after: query.after ?? 0, count: query.count ?? PAGE_COUNT_DEFAULT };
}

/** An object without other keys. */
export function closed<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

/** The token of a card number. Throws a Problem (400), which names no digit, when it is none. */
export function cardToken(vault: KeyVault, cardNumber: string): Uint8Array {
  if (!panValid(cardNumber)) {
    throw invalid("the card number is not 12 to 19 digits with a correct check digit");
  }
  return token(vault, cardNumber, PAN_KIND_CARD);
}

/** The token of an ID number. Throws a Problem (400), which names no digit, when it is none. */
export function holderToken(vault: KeyVault, idNumber: string): Uint8Array {
  const fault = idNumberFault(idNumber);
  if (fault !== "") throw invalid(`the ID number ${fault}`);
  return token(vault, idNumber, PAN_KIND_ID_NUMBER);
}

function token(vault: KeyVault, digits: string, kind: number): Uint8Array {
  const block = new Uint8Array(PAN_BLOCK_SIZE);
  writePanBlock(block, 0, digits, kind);
  return vault.tokenize(block);
}

/** Days since 1970-01-01 of a date YYYYMMDD. Throws a Problem (400) when there is no such day. */
export function dayNumber(date: number, name: string): number {
  const day = dayOfText(String(date));
  if (day === NO_DAY) throw invalid(`${name} is no day of the calendar (YYYYMMDD)`);
  return day;
}

/** What of a token is shown: enough to tell two apart, too little to look one up. */
export function maskedToken(token: Uint8Array): string {
  return `${Buffer.from(token.subarray(0, 8)).toString("hex")}...`;
}

/** Seconds since 1970 UTC as ISO 8601, or null for 0. */
export function timeText(seconds: number): string | null {
  return seconds === 0 ? null : new Date(seconds * 1000).toISOString();
}

/** What a command did: shared by all routes that change something. */
export const COMMAND_DONE = closed({
  outcome: oneOf(["DONE", "UNCHANGED"]),
  position: POSITION,
});
