// Blacklist entries of a generated province, as rows of the import file: numbers, holders and
// cards by their rates, with the causes and scopes they have in life.

import { CARD_STATUS } from "../../engine/domain.js";
import { dateOf } from "../dates.js";
import { type Card, cardNumberRange } from "./cards.js";
import type { Holder } from "./holders.js";
import { departmentId, OPERATORS, organisationId } from "./organisations.js";
import { draw, hash32, PURPOSE } from "./random.js";
import { RANGES_LISTED, RATES } from "./rates.js";
import { COUNTIES, PROVINCE_CODE } from "./regions.js";
import type { Terminal } from "./terminals.js";

/** Columns of blacklist.csv. entryId is left out: import draws one from the entry's content. */
export const BLACKLIST_COLUMNS = "subjectKind,subject,scope,cause,from,until,organisationId";

const HOLDER_SCOPES = ["all", "domain:transport", "domain:culture-tourism", "item:8010003"];
const HOLDER_CAUSES = ["debt", "administrative", "fraud", "debt"];
const DAYS_LISTED_MAX = 300;

/** Entries that concern no single card: ranges, terminals, one organisation. */
export function generalEntries(
  seed: number,
  today: number,
  terminals: readonly Terminal[],
): string[] {
  const source = departmentId(PROVINCE_CODE, "human-resources");
  const since = dateOf(today - 60);
  const rows: string[] = [];
  for (let batch = 0; batch < RANGES_LISTED; batch++) {
    const [from, to] = cardNumberRange(seed, batch);
    rows.push(`range,${from}-${to},all,technical,${since},,${source}`);
  }
  for (const { terminalId, kind } of terminals) {
    if (kind === "concentrator") continue;
    if (draw(seed, PURPOSE.TERMINAL_LISTED, terminalId) >= RATES.terminalListed) continue;
    rows.push(`terminal,${terminalId},all,technical,${since},,${source}`);
  }
  const county = COUNTIES[hash32(seed, PURPOSE.LIST_CONTENT, 1000) % COUNTIES.length]!;
  const pharmacy = organisationId(county.code, OPERATORS.pharmacy.ordinal);
  rows.push(`organisation,${pharmacy},item:8010003,administrative,${since},,${source}`);
  return rows;
}

/** Entries of one holder and his cards: mostly none. */
export function entriesOf(
  seed: number,
  today: number,
  holder: Holder,
  cards: readonly Card[],
): string[] {
  const rows: string[] = [];
  const { index, regionCode } = holder;
  const h = hash32(seed, PURPOSE.LIST_CONTENT, index);
  const since = dateOf(today - 1 - (h % DAYS_LISTED_MAX));
  const source = departmentId(regionCode, "human-resources");
  if (draw(seed, PURPOSE.HOLDER_LISTED, index) < RATES.holderListed) {
    const until = (h & 1) === 0 ? "" : String(dateOf(today + (h % DAYS_LISTED_MAX)));
    const scope = HOLDER_SCOPES[(h >>> 8) & 3]!;
    const cause = HOLDER_CAUSES[(h >>> 10) & 3]!;
    rows.push(`holder,${holder.idNumber},${scope},${cause},${since},${until},${source}`);
  }
  if (draw(seed, PURPOSE.CARD_LISTED, index) < RATES.cardListed) {
    const card = cards.find((each) => each.status === CARD_STATUS.ACTIVE) ?? cards.at(-1)!;
    const cause = ["stolen", "fraud", "lost", "stolen"][(h >>> 12) & 3]!;
    rows.push(`card,${card.cardNumber},all,${cause},${since},,${source}`);
  }
  return rows;
}
