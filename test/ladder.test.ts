// The ladder of rules, rung by rung: each row of the tables makes one reason hold and names the
// reason and code that must come. Two rows at once must give the reason of the higher one.

import t, { type Test } from "tap";
import { isRemembered } from "../engine/engine.js";
import { MTI_REVERSAL_ADVICE, MTI_USE_ADVICE } from "../protocol/mti.js";
import { OUTCOME_FLAG_WOULD_DECLINE } from "../protocol/outcome-record.js";
import { REASON, REASON_NAMES, RESPONSE_CODES, type ReasonName } from "../protocol/reason.js";
import { ask, both, type Row, readTable } from "./ladder-kit.js";

/** Uses, in the ladder's order. */
const USES = readTable(`
                        | flags=1         | FORMAT_INVALID         30
                        | terminal=999    | TERMINAL_UNKNOWN       97
                        | terminal=other  | TERMINAL_NOT_OF_SENDER 58
                        | date=20250227   | DATE_TOO_OLD           68
                        | date=20250303   | DATE_AHEAD             90
  sent:7                | stan=7          | DUPLICATE_DIFFERS      94
  full:yes              |                 | DUPLICATES_FULL        91
  reversed:8            | stan=8          | REVERSAL_CAME_FIRST    68
  terminal:closed       |                 | TERMINAL_CLOSED        58
  organisation:closed   |                 | ORGANISATION_CLOSED    58
  list-terminal:all     |                 | TERMINAL_LISTED        58
  list-organisation:all |                 | ORGANISATION_LISTED    58
                        | amount=-1       | AMOUNT_INVALID         13
                        | pan=wrong       | CARD_NUMBER_INVALID    14
                        | pan=unknown     | CARD_UNKNOWN           14
                        | item=3010009    | ITEM_UNKNOWN           12
  start:20250302        |                 | ITEM_NOT_STARTED       12
  end:20250228          |                 | ITEM_ENDED             12
  domain:finance        |                 | DOMAIN_NOT_ALLOWED     58
  regions:4602          |                 | REGION_NOT_SERVED      58
  media:electronic      |                 | MEDIUM_NOT_ALLOWED     57
  card-medium:2         |                 | MEDIUM_DIFFERS         22
  card:ISSUED           |                 | CARD_NOT_ACTIVE        62
  card:SEALED           |                 | CARD_SEALED            62
  card:LOCKED           |                 | CARD_LOCKED            62
  card:LOST_TEMPORARY   |                 | CARD_LOST_TEMPORARY    41
  card:LOST             |                 | CARD_LOST              41
  card:REPLACED         |                 | CARD_REPLACED          62
  card:CANCELLED        |                 | CARD_CANCELLED         62
  expiry:20250228       |                 | CARD_EXPIRED           54
  list-card:FRAUD       |                 | CARD_LISTED            62
  list-card:STOLEN      |                 | CARD_STOLEN            43
  list-range:623071     |                 | NUMBER_RANGE_LISTED    62
  list-holder:all       |                 | HOLDER_LISTED          62
  limit:199             |                 | AMOUNT_OVER_LIMIT      61
                        |                 | APPROVED               00
`);

/** Reversals, in their ladder's order. */
const REVERSALS = readTable(`
                        | original=5 original-date=20250227 | DATE_TOO_OLD       68
                        | original=5 original-date=20250303 | DATE_AHEAD         90
                        | original=5                        | ORIGINAL_NOT_FOUND 25
  reversed:5            | original=5                        | ORIGINAL_NOT_FOUND 25
  reversed:5 came:5     | original=5                        | ALREADY_REVERSED   94
  reversed:5 came:5     | original=5 amount=1               | ALREADY_REVERSED   94
  original:5            | original=5 amount=1               | ORIGINAL_DIFFERS   12
  original:5            | original=5 item=3010009           | ORIGINAL_DIFFERS   12
  original:5            | original=5 pan=unknown            | ORIGINAL_DIFFERS   12
  original:5 reversed:5 | original=5 amount=1               | ORIGINAL_DIFFERS   12
  sent-declined:5       | original=5                        | ORIGINAL_DIFFERS   12
  original:5 reversed:5 | original=5                        | ALREADY_REVERSED   94
  sent-declined:5       | original=5 item=99                | ORIGINAL_DECLINED  12
  original:5 card:LOST  | original=5                        | ORIGINAL_DECLINED  12
  original:5            | original=5                        | APPROVED           00
  terminal:closed       | original=5                        | ORIGINAL_NOT_FOUND 25
  full:yes              | original=5                        | DUPLICATES_FULL    91
`);

/** More of one reason: its other ways, and what just does not give it. */
const EDGES = readTable(`
  concentrator:open         | terminal=other | APPROVED               00
  concentrator:closed       | terminal=other | TERMINAL_NOT_OF_SENDER 58
  concentrator:office       | terminal=other | TERMINAL_NOT_OF_SENDER 58
  concentrator:listed       | terminal=other | TERMINAL_NOT_OF_SENDER 58
  concentrator:listed       |                | TERMINAL_LISTED        58
  concentrator:listed-item  | terminal=other | TERMINAL_NOT_OF_SENDER 58
  concentrator:listed-other | terminal=other | APPROVED               00
  concentrator:office-listed | terminal=other | TERMINAL_NOT_OF_SENDER 58
  concentrator:closed       | terminal=other original=5 | TERMINAL_NOT_OF_SENDER 58
                        | amount=1000000000000 | AMOUNT_INVALID    13
  limit:999999999999    | amount=999999999999  | APPROVED          00
                        | amount=0             | APPROVED          00
  limit:200             |                      | APPROVED          00
  start:20250301        |                      | APPROVED          00
  end:20250301          |                      | APPROVED          00
  expiry:20250301       |                      | APPROVED          00
  regions:4601          |                      | APPROVED          00
  regions:460105        |                      | APPROVED          00
  regions:460100        |                      | APPROVED          00
  regions:460106        |                      | REGION_NOT_SERVED 58
  regions:45            |                      | REGION_NOT_SERVED 58
  media:chip            |                      | APPROVED          00
  domain:health         |                      | APPROVED          00
                        | date=20250228        | APPROVED          00
                        | date=20250302        | APPROVED          00
                        | date=20250229        | FORMAT_INVALID    30
                        | date=20250230        | FORMAT_INVALID    30
                        | date=20250231        | FORMAT_INVALID    30
                        | date=20251301        | FORMAT_INVALID    30
                        | date=0               | FORMAT_INVALID    30
                        | flags=256            | FORMAT_INVALID    30
                        | stan=0               | FORMAT_INVALID    30
                        | stan=1000000         | FORMAT_INVALID    30
                        | terminal=0           | FORMAT_INVALID    30
                        | terminal=100000000   | FORMAT_INVALID    30
                        | item=0               | FORMAT_INVALID    30
                        | item=100000000       | FORMAT_INVALID    30
                        | original=5 original-date=20250229 | FORMAT_INVALID 30
                        | original=0           | FORMAT_INVALID    30
  list-range:9          |                      | APPROVED          00
`);

/** Given to whole frames, before the engine sees a use. */
const OF_FRAMES: ReasonName[] = [
  "MAC_INVALID",
  "NOT_SIGNED_ON",
  "SEQUENCE_REPEATED",
  "OVERLOADED",
  "STOPPING",
  "SESSIONS_FULL",
  "SIGN_ON_REFUSED",
];

/** Two rungs that no use can stand on at once, though they set different things. */
const NEVER_BOTH = new Set(["ITEM_NOT_STARTED && ITEM_ENDED"]);

function check(t: Test, row: Row): void {
  const answer = ask(row);
  t.same([answer.name, answer.responseCode], [row.reason, row.code], row.text);
}

t.test("each row gives its reason and code", async (t) => {
  for (const row of [...USES, ...REVERSALS, ...EDGES]) check(t, row);
});

t.test("of two reasons at once, the higher one is given", async (t) => {
  let count = 0;
  for (const [i, higher] of USES.entries()) {
    for (const lower of USES.slice(i + 1)) {
      const row = both(higher, lower);
      if (row === null || NEVER_BOTH.has(`${higher.reason} && ${lower.reason}`)) continue;
      const answer = ask(row);
      if (answer.name !== higher.reason) t.equal(answer.name, higher.reason, row.text);
      count++;
    }
  }
  t.ok(count > 450, `${count} pairs`);
});

t.test("an advice is accepted and flagged where a request is declined", async (t) => {
  for (const row of USES) checkAdvice(t, row, MTI_USE_ADVICE);
  for (const row of REVERSALS) checkAdvice(t, row, MTI_REVERSAL_ADVICE);
});

function checkAdvice(t: Test, row: Row, mti: number): void {
  const answer = ask(row, mti);
  t.equal(answer.name, row.reason, row.text);
  const taken = isRemembered(answer.reason);
  t.equal(answer.responseCode, taken ? "00" : row.code, row.text);
  const flagged = taken && row.reason !== "APPROVED";
  t.equal(answer.flags, flagged ? OUTCOME_FLAG_WOULD_DECLINE : 0, row.text);
}

t.test("every reason has its row", async (t) => {
  const rows = new Set([...USES, ...REVERSALS].map((row) => row.reason));
  const missing = REASON_NAMES.filter((name) => !rows.has(name) && !OF_FRAMES.includes(name));
  t.same(missing, [], "reasons without a row");
  const both = OF_FRAMES.filter((name) => rows.has(name));
  t.same(both, [], "reasons of frames that the engine gives");
  for (const row of [...USES, ...REVERSALS, ...EDGES]) {
    t.equal(RESPONSE_CODES[REASON[row.reason as ReasonName]], row.code, row.text);
  }
});
