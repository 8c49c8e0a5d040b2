// Rows that become documents: organisations, one command each, and service items, which together
// make one catalogue version. Keys are always written in one order, so that the same content is
// the same bytes, which is how the engine tells that nothing has changed.

import type { CatalogueItem, CatalogueVersion, Organisation } from "../../engine/commands.js";
import { CATALOGUE_DATE_MIN, DOMAINS, type DomainName, PARTY_STATUS } from "../../engine/domain.js";
import { AMOUNT_MINOR_MAX, ITEM_CODE_MAX } from "../../protocol/use-record.js";
import { fieldsOf } from "./assembly.js";
import {
  BAD,
  type Checked,
  dateOfField,
  domainsOf,
  type Fields,
  fault,
  good,
  listOf,
  partyStatusOf,
  regionOf,
  textOf,
  wholeOf,
} from "./fields.js";

export const ORGANISATION_COLUMNS = [
  "organisationId",
  "name",
  "regionCode",
  "parentId",
  "domains",
  "status",
] as const;
export const ITEM_COLUMNS = [
  "itemCode",
  "name",
  "nameEn",
  "function",
  "kind",
  "domain",
  "organisationId",
  "regions",
  "media",
  "startDate",
  "endDate",
  "amountMinorMax",
] as const;
const NAME_LENGTH_MAX = 200;
const KINDS = ["benefit", "identity", "inquiry", "proof"];

/** An organisation row as the document of an ORGANISATION command. */
export function toOrganisationDocument(
  row: Readonly<Record<string, unknown>>,
): Checked<Organisation> {
  return checkOrganisation(fieldsOf(ORGANISATION_COLUMNS, row));
}

/** A catalogue version from service item rows; the fault is that of the first row that has one. */
export function toCatalogueDocument(
  version: unknown,
  effectiveDate: unknown,
  rows: readonly Readonly<Record<string, unknown>>[],
): Checked<CatalogueVersion> {
  const head = checkCatalogueHead(version, effectiveDate);
  if (!head.ok) return head;
  for (const row of rows) {
    const item = checkItem(fieldsOf(ITEM_COLUMNS, row));
    if (!item.ok) return item;
    head.value.items.push(item.value);
  }
  return head;
}

/** The bytes that stand in the command: JSON in UTF-8. */
export function documentBytes(document: Organisation | CatalogueVersion): Buffer {
  return Buffer.from(JSON.stringify(document));
}

export function checkOrganisation(fields: Fields): Checked<Organisation> {
  const organisationId = wholeOf(fields[0], BAD);
  if (organisationId < 1) return fault("organisationId", "is no identifier");
  const name = textOf(fields[1]);
  if (name === "" || name.length > NAME_LENGTH_MAX)
    return fault("name", "is not 1 to 200 characters");
  const regionCode = regionOf(fields[2]);
  if (regionCode === BAD) return fault("regionCode", "is no GB/T 2260 code of 2, 4 or 6 digits");
  const parentId = wholeOf(fields[3], 0);
  if (parentId === BAD || parentId === organisationId) return fault("parentId", "is no identifier");
  const domains = domainsOf(fields[4]);
  if (domains === null) return fault("domains", "are no known domains");
  const party = partyStatusOf(fields[5]);
  if (party === BAD) return fault("status", "is neither open nor closed");
  const status = party === PARTY_STATUS.OPEN ? "open" : "closed";
  return good({ organisationId, name, regionCode, parentId, domains, status });
}

/** The head of a catalogue: its version and first day. */
export function checkCatalogueHead(
  version: unknown,
  effectiveDate: unknown,
): Checked<CatalogueVersion> {
  const number = wholeOf(version, BAD);
  if (number < 1) return fault("version", "is not 1 or more");
  const date = dateOfField(effectiveDate, BAD);
  if (date === BAD) return fault("effectiveDate", "is no date (YYYYMMDD or YYYY-MM-DD)");
  if (date < CATALOGUE_DATE_MIN) return fault("effectiveDate", "is before 2020-01-01");
  return good({ version: number, effectiveDate: date, items: [] });
}

export function checkItem(fields: Fields): Checked<CatalogueItem> {
  const itemCode = wholeOf(fields[0], BAD);
  if (itemCode < 1 || itemCode > ITEM_CODE_MAX) return fault("itemCode", "is not 1 to 99999999");
  const named = checkItemNames(fields);
  if (!named.ok) return named;
  const organisationId = wholeOf(fields[6], BAD);
  if (organisationId < 1) return fault("organisationId", "is no identifier");
  const regions = listOf(fields[7]);
  if (regions.length === 0 || regions.some((region) => regionOf(region) === BAD)) {
    return fault("regions", "are no GB/T 2260 codes of 2, 4 or 6 digits");
  }
  const media = listOf(fields[8]).map(textOf);
  if (media.length === 0 || !media.every((each) => each === "chip" || each === "electronic")) {
    return fault("media", "are not chip, electronic or both");
  }
  const startDate = dateOfField(fields[9], BAD);
  if (startDate === BAD) return fault("startDate", "is no date (YYYYMMDD or YYYY-MM-DD)");
  const endDate = dateOfField(fields[10], 0);
  if (endDate === BAD) return fault("endDate", "is no date (YYYYMMDD or YYYY-MM-DD)");
  if (endDate !== 0 && endDate < startDate) return fault("endDate", "is before startDate");
  const amountMinorMax = amountOf(fields[11]);
  if (amountMinorMax === BAD) return fault("amountMinorMax", "is not 0 to 999999999999 fen");
  return good({
    itemCode,
    ...named.value,
    organisationId,
    regions: regions.map((region) => wholeOf(region, BAD)),
    media: media as CatalogueItem["media"],
    startDate,
    endDate,
    amountMinorMax,
  });
}

type ItemNames = Pick<CatalogueItem, "name" | "nameEn" | "function" | "kind" | "domain">;

function checkItemNames(fields: Fields): Checked<ItemNames> {
  const [name, nameEn, purpose] = [textOf(fields[1]), textOf(fields[2]), textOf(fields[3])];
  if (name === "" || name.length > NAME_LENGTH_MAX)
    return fault("name", "is not 1 to 200 characters");
  if (nameEn.length > NAME_LENGTH_MAX) return fault("nameEn", "is over 200 characters");
  if (purpose === "" || purpose.length > NAME_LENGTH_MAX) {
    return fault("function", "is not 1 to 200 characters");
  }
  const kind = textOf(fields[4]);
  if (!KINDS.includes(kind)) return fault("kind", "is none of benefit, identity, inquiry, proof");
  const domain = textOf(fields[5]);
  if (domain === "" || !DOMAINS.includes(domain as DomainName)) {
    return fault("domain", "is no known domain");
  }
  const known = { kind: kind as CatalogueItem["kind"], domain: domain as DomainName };
  return good({ name, nameEn, function: purpose, ...known });
}

function amountOf(value: unknown): number {
  const text = textOf(value);
  if (!/^[0-9]{1,12}$/.test(text)) return BAD;
  return Number(text) <= AMOUNT_MINOR_MAX ? Number(text) : BAD;
}
