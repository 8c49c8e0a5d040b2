// Fields of a row, from CSV (always text) or NDJSON (text or number), read and checked.
//
// The invariant: what is wrong with a field is told in constant words that hold nothing of its
// value, for it may be a card or ID number. Card rows come by the million: no regular expressions.

import { DOMAINS, type DomainName, PARTY_STATUS } from "../../engine/domain.js";
import { PAN_DIGITS_MAX, PAN_DIGITS_MIN } from "../../protocol/pan.js";
import { dayOfText, NO_DAY } from "../dates.js";

/** A row in the order of its sort's columns; what a file or object lacks is undefined. */
export type Fields = readonly unknown[];

export interface Fault {
  ok: false;
  /** The column at fault; "" when it is the row. */
  column: string;
  cause: string;
}
export type Checked<T> = { ok: true; value: T } | Fault;

export function good<T>(value: T): Checked<T> {
  return { ok: true, value };
}

export function fault(column: string, cause: string): Fault {
  return { ok: false, column, cause };
}

const ZERO = 48;
const SPACE = 32;
const SECONDS_PER_DAY = 86_400;
/** Days begin at midnight in UTC+8. */
const CHINA_OFFSET_SECONDS = 8 * 3600;
const TIME_MAX = 2 ** 32 - 1;
const U32_MAX = 2 ** 32 - 1;

/** Marks a field that is there and is not what its column takes. */
export const BAD = -1;

/** A field as text without spaces around it; "" for what is missing, null or no text or number. */
export function textOf(value: unknown): string {
  if (typeof value === "string") {
    if (value.length === 0) return value;
    const outer = value.charCodeAt(0) <= SPACE || value.charCodeAt(value.length - 1) <= SPACE;
    return outer ? value.trim() : value;
  }
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : "";
}

/** A whole number 0..4,294,967,295 in plain digits; `absent` for an empty field; else BAD. */
export function wholeOf(value: unknown, absent: number): number {
  const text = textOf(value);
  if (text === "") return value === undefined || value === null || value === "" ? absent : BAD;
  if (text.length > 10) return BAD;
  let number = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return BAD;
    number = number * 10 + digit;
  }
  return number > U32_MAX ? BAD : number;
}

/** What is wrong with a card number; "" if nothing. */
export function panFault(value: unknown): string {
  if (typeof value === "number") return "must be text: a number loses its last digits";
  const pan = textOf(value);
  if (pan.length === 0) return "is missing";
  if (pan.length < PAN_DIGITS_MIN || pan.length > PAN_DIGITS_MAX) return "is not 12 to 19 digits";
  let sum = 0;
  for (let i = pan.length - 1, double = false; i >= 0; i--, double = !double) {
    let digit = pan.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return "has a character that is no digit";
    if (double) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 === 0 ? "" : "has a wrong check digit (Luhn)";
}

/** A GB/T 2260 code of 2, 4 or 6 digits, padded to six (46 is 460000); else BAD. */
export function regionOf(value: unknown): number {
  const code = wholeOf(value, BAD);
  const padded = code < 100 ? code * 10_000 : code < 10_000 ? code * 100 : code;
  return padded >= 110_000 && padded < 830_000 ? padded : BAD;
}

/** A date as days since 1970-01-01, 1..65,535; else BAD. */
export function dayOfField(value: unknown): number {
  const day = dayOfText(textOf(value));
  return day >= 1 && day <= 65_535 ? day : BAD;
}

/** A date as the number YYYYMMDD; `absent` for an empty field or 0; else BAD. */
export function dateOfField(value: unknown, absent: number): number {
  const text = textOf(value);
  if (text === "" || text === "0") return absent;
  return dayOfText(text) === NO_DAY ? BAD : Number(text.replaceAll("-", ""));
}

/**
 * A moment as seconds since 1970 UTC: a time with zone (RFC 3339), or a date, which stands for its
 * first second in UTC+8, or for the first after it when `dayIncluded`. 0 when empty; else BAD.
 */
export function momentOf(value: unknown, dayIncluded: boolean): number {
  const text = textOf(value);
  if (text === "" || text === "0") return 0;
  const day = dayOfText(text);
  if (day !== NO_DAY) {
    const from = (dayIncluded ? day + 1 : day) * SECONDS_PER_DAY - CHINA_OFFSET_SECONDS;
    return from >= 1 && from <= TIME_MAX ? from : BAD;
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return BAD;
  const seconds = Math.floor(Date.parse(text) / 1000);
  return seconds >= 1 && seconds <= TIME_MAX ? seconds : BAD;
}

/** Several values in one field: an array, or text parted by "|". */
export function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const text = textOf(value);
  return text === "" ? [] : text.split("|");
}

/** Names of domains; null when one is unknown, named twice, or there is none. */
export function domainsOf(value: unknown): DomainName[] | null {
  const names = listOf(value).map(textOf);
  const known = names.every((name) => name !== "" && DOMAINS.includes(name as DomainName));
  if (!known || names.length === 0 || new Set(names).size < names.length) return null;
  return names as DomainName[];
}

/** "open" (also when empty) or "closed"; else BAD. */
export function partyStatusOf(value: unknown): number {
  const text = textOf(value);
  if (text === "" || text === "open") return PARTY_STATUS.OPEN;
  return text === "closed" ? PARTY_STATUS.CLOSED : BAD;
}

/** Names of a table of constants as they stand in files: LOST_TEMPORARY is lost-temporary. */
export function namesOf(table: Readonly<Record<string, number>>): Map<string, number> {
  const entries = Object.entries(table);
  return new Map(
    entries.map(([name, number]) => [name.toLowerCase().replaceAll("_", "-"), number]),
  );
}
