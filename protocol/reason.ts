// Why an answer is what it is. The one table of reasons: append only, a number never changes its
// meaning, and test/reasons.test.ts holds this table, the documents and the metrics to each other.
//
// A reason is ours; the response code is the field's (ISO 8583 field 39 as UnionPay uses it). The
// mapping from reason to code is total. In the ladder's order of precedence, see engine/decide.ts.

const TABLE = [
  ["APPROVED", "00", "approved"],
  ["FORMAT_INVALID", "30", "a field is out of its range or a reserved field is not zero"],
  ["TERMINAL_UNKNOWN", "97", "the terminal is not registered"],
  ["TERMINAL_NOT_OF_SENDER", "58", "the sender does not speak for this terminal"],
  ["DATE_TOO_OLD", "68", "the business date is older than those kept"],
  ["DATE_AHEAD", "90", "the business date has not begun"],
  ["DUPLICATE_DIFFERS", "94", "same terminal, date and STAN as an earlier message, other content"],
  ["DUPLICATES_FULL", "91", "no room to remember another use of this business date"],
  ["TERMINAL_CLOSED", "58", "the terminal is closed"],
  ["ORGANISATION_CLOSED", "58", "the terminal's organisation is closed"],
  ["TERMINAL_LISTED", "58", "the terminal is on the blacklist"],
  ["ORGANISATION_LISTED", "58", "the terminal's organisation is on the blacklist"],
  ["AMOUNT_INVALID", "13", "the amount is negative, fractional or over 999,999,999,999"],
  ["CARD_NUMBER_INVALID", "14", "the card number is malformed or its check digit is wrong"],
  ["CARD_UNKNOWN", "14", "no such card"],
  ["ITEM_UNKNOWN", "12", "the service item is not in the catalogue in force"],
  ["ITEM_NOT_STARTED", "12", "the service item has not started"],
  ["ITEM_ENDED", "12", "the service item has ended"],
  ["DOMAIN_NOT_ALLOWED", "58", "the terminal may not serve the item's domain"],
  ["REGION_NOT_SERVED", "58", "the item is not served in the terminal's region"],
  ["MEDIUM_NOT_ALLOWED", "57", "the item does not take this medium"],
  ["MEDIUM_DIFFERS", "22", "the medium asked is not the medium of this card"],
  ["CARD_NOT_ACTIVE", "62", "the card is issued and not yet activated"],
  ["CARD_SEALED", "62", "the card is sealed"],
  ["CARD_LOCKED", "62", "the card's application is locked"],
  ["CARD_LOST_TEMPORARY", "41", "the card is reported lost by telephone or online (temporary)"],
  ["CARD_LOST", "41", "the card is reported lost (formal)"],
  ["CARD_REPLACED", "62", "the card has been replaced by another"],
  ["CARD_CANCELLED", "62", "the card is cancelled"],
  ["CARD_EXPIRED", "54", "the card has expired"],
  ["CARD_LISTED", "62", "the card is on the blacklist"],
  ["CARD_STOLEN", "43", "the card is on the blacklist as stolen"],
  ["NUMBER_RANGE_LISTED", "62", "the card number lies in a range on the blacklist"],
  ["HOLDER_LISTED", "62", "the holder is on the blacklist"],
  ["AMOUNT_OVER_LIMIT", "61", "the amount is over the item's limit for one use"],
  ["REVERSAL_CAME_FIRST", "68", "the reversal of this use arrived before it"],
  ["ORIGINAL_NOT_FOUND", "25", "no use with the original STAN and date; remembered"],
  ["ALREADY_REVERSED", "94", "the original use has been reversed before"],
  ["ORIGINAL_DECLINED", "12", "the original use was declined: nothing to undo"],
  ["ORIGINAL_DIFFERS", "12", "card, item or amount differ from the original use"],
  ["MAC_INVALID", "A0", "the MAC does not hold"],
  ["NOT_SIGNED_ON", "A0", "no session under this key generation: sign on"],
  ["SEQUENCE_REPEATED", "63", "the sequence number was used before or is too far behind"],
  ["OVERLOADED", "91", "more records in flight than the limit: try again later"],
  ["STOPPING", "91", "the server is stopping: connect again"],
  ["SESSIONS_FULL", "91", "no room for another session"],
  ["SIGN_ON_REFUSED", "63", "the sign-on proof does not belong to an open challenge"],
] as const;

export type ReasonName = (typeof TABLE)[number][0];

/** Reasons by name: `REASON.APPROVED` is 0. */
export const REASON: Readonly<Record<ReasonName, number>> = Object.freeze(
  Object.fromEntries(TABLE.map(([name], number) => [name, number])),
) as Record<ReasonName, number>;

/** Number of reasons: valid numbers are 0..REASON_COUNT-1. */
export const REASON_COUNT = TABLE.length;

/** Names by number. */
export const REASON_NAMES: readonly ReasonName[] = TABLE.map(([name]) => name);

/** What each reason says, for people, by number. */
export const REASON_TEXTS: readonly string[] = TABLE.map(([, , text]) => text);

/** Response codes (two characters) by reason number. */
export const RESPONSE_CODES: readonly string[] = TABLE.map(([, code]) => code);

/** Response codes by reason number as the little-endian u16 that stands on the wire. */
export const RESPONSE_CODE_WORDS: Readonly<Uint16Array> = Uint16Array.from(
  TABLE.map(([, code]) => code.charCodeAt(0) | (code.charCodeAt(1) << 8)),
);
