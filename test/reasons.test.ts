// The one table of reasons against what must agree with it: the codes of the field, the numbers
// that stand in journals for ever, the specification, and what the engine remembers.

import t from "tap";
import { isRemembered, responseCodeWord } from "../engine/engine.js";
import { MTI_REVERSAL_ADVICE, MTI_USE_ADVICE, MTI_USE_REQUEST } from "../protocol/mti.js";
import {
  REASON,
  REASON_COUNT,
  REASON_NAMES,
  REASON_TEXTS,
  RESPONSE_CODE_WORDS,
  RESPONSE_CODES,
} from "../protocol/reason.js";
import { readText } from "./source-text.js";

/** Response codes of the field (ISO 8583 field 39, as UnionPay uses them), and what they say. */
const FIELD_CODES: Readonly<Record<string, string>> = {
  "00": "approved",
  "12": "invalid transaction",
  "13": "invalid amount",
  "14": "invalid card number",
  "22": "suspected malfunction",
  "25": "original not found",
  "30": "format error",
  "41": "lost",
  "43": "stolen",
  "51": "insufficient balance",
  "54": "expired",
  "57": "not permitted to cardholder",
  "58": "not permitted to terminal",
  "61": "amount limit",
  "62": "restricted card",
  "63": "security violation",
  "65": "frequency limit",
  "68": "too late",
  "90": "day-end",
  "91": "issuer or switch inoperative",
  "94": "duplicate",
  "96": "malfunction",
  "97": "terminal not registered",
  A0: "MAC wrong",
};

/** Append only: these numbers stand in journals. */
const NUMBERS = `
  APPROVED FORMAT_INVALID TERMINAL_UNKNOWN TERMINAL_NOT_OF_SENDER DATE_TOO_OLD DATE_AHEAD
  DUPLICATE_DIFFERS DUPLICATES_FULL TERMINAL_CLOSED ORGANISATION_CLOSED TERMINAL_LISTED
  ORGANISATION_LISTED AMOUNT_INVALID CARD_NUMBER_INVALID CARD_UNKNOWN ITEM_UNKNOWN
  ITEM_NOT_STARTED ITEM_ENDED DOMAIN_NOT_ALLOWED REGION_NOT_SERVED MEDIUM_NOT_ALLOWED
  MEDIUM_DIFFERS CARD_NOT_ACTIVE CARD_SEALED CARD_LOCKED CARD_LOST_TEMPORARY CARD_LOST
  CARD_REPLACED CARD_CANCELLED CARD_EXPIRED CARD_LISTED CARD_STOLEN NUMBER_RANGE_LISTED
  HOLDER_LISTED AMOUNT_OVER_LIMIT REVERSAL_CAME_FIRST ORIGINAL_NOT_FOUND ALREADY_REVERSED
  ORIGINAL_DECLINED ORIGINAL_DIFFERS MAC_INVALID NOT_SIGNED_ON SEQUENCE_REPEATED OVERLOADED
  STOPPING SESSIONS_FULL SIGN_ON_REFUSED
`;

t.test("reasons keep their numbers", async (t) => {
  const names = NUMBERS.trim().split(/\s+/);
  t.same(REASON_NAMES.slice(0, names.length), names);
  t.equal(names.length, REASON_COUNT, "a new reason is added here, at the end");
});

t.test("every reason has one name, one text and a code of the field", async (t) => {
  t.equal(new Set(REASON_NAMES).size, REASON_COUNT);
  t.equal(new Set(REASON_TEXTS).size, REASON_COUNT);
  for (const [number, name] of REASON_NAMES.entries()) {
    const code = RESPONSE_CODES[number]!;
    t.equal(REASON[name], number);
    t.match(name, /^[A-Z][A-Z_]*[A-Z]$/);
    t.ok(FIELD_CODES[code], `${name}: ${code} is a code of the field`);
    t.equal(code === "00", name === "APPROVED", `${name}: only what is approved is 00`);
    t.notMatch(REASON_TEXTS[number], /^[A-Z]|\.$/, "a text is a phrase");
    const word = RESPONSE_CODE_WORDS[number]!;
    t.equal(String.fromCharCode(word & 0xff, word >> 8), code);
  }
});

t.test("the specification's lists of what is not remembered are the engine's", async (t) => {
  const text = readText("protocol/README.md").replaceAll(/\s+/g, " ");
  const notRemembered = REASON_NAMES.slice(0, REASON.MAC_INVALID).filter(
    (name) => !isRemembered(REASON[name]),
  );
  const judgedAnew = /judged anew: (.*?)\./.exec(text)![1]!.match(/[A-Z_]{6,}/g)!;
  t.same([...judgedAnew, "DUPLICATE_DIFFERS"].sort(), [...notRemembered].sort());
  const refused = /Only what cannot be remembered is refused: (.*?)\. Of these/.exec(text)![1]!;
  const pairs = [...refused.matchAll(/(\w\w) ([A-Z_]{6,})/g)].map(([, code, name]) => [code, name]);
  const expected = notRemembered.map((name) => [RESPONSE_CODES[REASON[name]], name]);
  t.same(pairs.sort(), expected.sort());
});

t.test("an advice that is remembered is always 00, a request never without approval", async (t) => {
  for (const [reason, name] of REASON_NAMES.entries()) {
    for (const mti of [MTI_USE_ADVICE, MTI_REVERSAL_ADVICE]) {
      const own = isRemembered(reason) ? REASON.APPROVED : reason;
      t.equal(responseCodeWord(mti, reason), RESPONSE_CODE_WORDS[own], name);
    }
    t.equal(responseCodeWord(MTI_USE_REQUEST, reason), RESPONSE_CODE_WORDS[reason], name);
  }
});
