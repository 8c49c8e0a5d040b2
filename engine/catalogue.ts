// The catalogue of service items (服务事项目录清单, article 5): published versions, which never
// change, and the compiled form of the one in force, which the ladder reads.

import { dayOfDate } from "./calendar.js";
import type { CatalogueItem, CatalogueVersion } from "./commands.js";
import type { Documents } from "./documents.js";
import { CATALOGUE_DATE_MIN, DAY_MAX, DOMAINS } from "./domain.js";

/** Most items in a version. */
const CATALOGUE_ITEMS_MAX = 10_000;
const DOCUMENT_PREFIX = "catalogue/";

/** A service item as the ladder needs it. Days are days since 1970-01-01. */
export interface CompiledItem {
  itemCode: number;
  domain: number;
  domainBit: number;
  /** First and past-the-last region code of each region served, in pairs. */
  regionRanges: Int32Array;
  /** Bit 1 chip, bit 2 electronic: 1 << medium. */
  media: number;
  startDay: number;
  endDay: number;
  amountMinorMax: number;
}

interface PublishedVersion {
  version: number;
  effectiveDay: number;
}

export class Catalogue {
  /** Number of the version in force; 0 when there is none yet. */
  version = 0;
  private items = new Map<number, CompiledItem>();
  private readonly published: PublishedVersion[] = [];

  constructor(private readonly documents: Documents) {}

  /** The item in the version in force. */
  find(itemCode: number): CompiledItem | undefined {
    return this.items.get(itemCode);
  }

  /** Numbers of all published versions, lowest first. */
  versions(): number[] {
    return this.published.map(({ version }) => version);
  }

  document(version: number): CatalogueVersion | null {
    const bytes = this.documents.get(DOCUMENT_PREFIX + version);
    return bytes === undefined ? null : parseCatalogue(bytes);
  }

  /** Publishes a judged version and puts it in force if its day has come. */
  publish(catalogue: CatalogueVersion, bytes: Uint8Array, today: number): void {
    this.documents.set(DOCUMENT_PREFIX + catalogue.version, bytes);
    this.note(catalogue);
    this.enforce(today);
  }

  /** Puts in force the latest version whose day has come, if any: one for all of `today`. */
  enforce(today: number): void {
    let latest: PublishedVersion | null = null;
    for (const published of this.published) {
      if (published.effectiveDay > today) continue;
      if (latest === null || published.effectiveDay >= latest.effectiveDay) latest = published;
    }
    const version = latest?.version ?? 0;
    if (version === this.version) return;
    this.version = version;
    this.items = version === 0 ? new Map() : compile(this.document(version)!);
  }

  /** After loading. */
  rebuild(today: number): void {
    this.published.length = 0;
    this.version = 0;
    for (const key of this.documents.keys()) {
      if (key.startsWith(DOCUMENT_PREFIX)) this.note(parseCatalogue(this.documents.get(key)!));
    }
    this.enforce(today);
  }

  private note(catalogue: CatalogueVersion): void {
    const effectiveDay = dayOfDate(catalogue.effectiveDate);
    this.published.push({ version: catalogue.version, effectiveDay });
    this.published.sort((a, b) => a.version - b.version);
  }
}

export function parseCatalogue(bytes: Uint8Array): CatalogueVersion {
  return JSON.parse(new TextDecoder().decode(bytes)) as CatalogueVersion;
}

/** Whether a version may be published: a constant text says what is wrong, "" nothing. */
export function catalogueProblem(catalogue: CatalogueVersion): string {
  const { version, effectiveDate, items } = catalogue;
  if (!Number.isSafeInteger(version) || version < 1 || version >= 2 ** 31) {
    return "version is not a number from 1 to 2147483647";
  }
  if (!isDate(effectiveDate)) return "effectiveDate is not a date YYYYMMDD";
  if (effectiveDate < CATALOGUE_DATE_MIN) return "effectiveDate is before 2020-01-01 (article 19)";
  if (!Array.isArray(items)) return "items is not a list";
  if (items.length === 0 || items.length > CATALOGUE_ITEMS_MAX) return "items are not 1 to 10000";
  for (const item of items) {
    const problem = itemProblem(item);
    if (problem !== "") return problem;
  }
  return duplicateProblem(items);
}

function itemProblem(item: CatalogueItem): string {
  if (typeof item !== "object" || item === null) return "an item is not an object";
  if (!inRange(item.itemCode, 1, 99_999_999)) return "an itemCode is not 1 to 99999999";
  if (typeof item.name !== "string" || item.name === "") return "an item has no name";
  if (typeof item.function !== "string" || item.function === "") return "an item has no function";
  if (DOMAINS.indexOf(item.domain) < 1) return "an item's domain is not known";
  if (!["benefit", "identity", "inquiry", "proof"].includes(item.kind)) {
    return "an item's kind is not benefit, identity, inquiry or proof";
  }
  if (!Array.isArray(item.regions) || item.regions.length === 0) return "an item has no regions";
  if (!item.regions.every((code) => regionRange(code) !== null)) {
    return "an item's region is not a code of 2, 4 or 6 digits";
  }
  if (!Array.isArray(item.media) || mediaMask(item.media) === 0) return "an item has no media";
  if (!isDate(item.startDate)) return "an item's startDate is not a date";
  if (item.endDate !== 0 && !(isDate(item.endDate) && item.endDate >= item.startDate)) {
    return "an item's endDate is not a date after its startDate";
  }
  if (!inRange(item.amountMinorMax, 0, 999_999_999_999)) return "an amountMinorMax is out of range";
  return "";
}

/**
 * Article 8: no item twice, and no function twice for the same region and time. Items are met by
 * their first day, so one that was met before overlaps when its last day has not passed: of each
 * region the latest last day is enough, and no item is held against each other one.
 */
function duplicateProblem(items: readonly CatalogueItem[]): string {
  if (new Set(items.map(({ itemCode }) => itemCode)).size < items.length) {
    return "an itemCode stands twice";
  }
  const byFunction = new Map<string, LastDates>();
  for (const item of [...items].sort((a, b) => a.startDate - b.startDate)) {
    const met = byFunction.get(item.function) ?? { own: new Map(), within: new Map() };
    byFunction.set(item.function, met);
    const regions = item.regions.map(shortCode);
    if (regions.some((region) => isMet(met, region, item.startDate))) {
      return "a function stands twice for the same region and time (article 8)";
    }
    const endDate = item.endDate === 0 ? Number.POSITIVE_INFINITY : item.endDate;
    for (const region of regions) meet(met, region, endDate);
  }
  return "";
}

/** Latest last date of a function's items by short code: of the region itself, and within it. */
interface LastDates {
  own: Map<number, number>;
  within: Map<number, number>;
}

/** Two regions overlap when they are the same or one is within the other. */
function isMet({ own, within }: LastDates, region: number, startDate: number): boolean {
  if ((within.get(region) ?? 0) >= startDate) return true;
  for (let outer = region; outer > 0; outer = Math.floor(outer / 100)) {
    if ((own.get(outer) ?? 0) >= startDate) return true;
  }
  return false;
}

function meet({ own, within }: LastDates, region: number, endDate: number): void {
  own.set(region, Math.max(own.get(region) ?? 0, endDate));
  for (let outer = region; outer > 0; outer = Math.floor(outer / 100)) {
    within.set(outer, Math.max(within.get(outer) ?? 0, endDate));
  }
}

/** A region's code without the zeros of what it leaves open: 460100 is 4601. */
function shortCode(code: number): number {
  const [low, end] = regionRange(code)!;
  return low / (end - low);
}

function compile(catalogue: CatalogueVersion): Map<number, CompiledItem> {
  const items = new Map<number, CompiledItem>();
  for (const item of catalogue.items) {
    const domain = DOMAINS.indexOf(item.domain);
    items.set(item.itemCode, {
      itemCode: item.itemCode,
      domain,
      domainBit: 1 << domain,
      regionRanges: Int32Array.from(item.regions.flatMap((code) => regionRange(code)!)),
      media: mediaMask(item.media),
      startDay: dayOfDate(item.startDate),
      endDay: item.endDate === 0 ? DAY_MAX : dayOfDate(item.endDate),
      amountMinorMax: item.amountMinorMax,
    });
  }
  return items;
}

/** A GB/T 2260 code of 2, 4 or 6 digits as the half-open range of six-digit codes within it. */
export function regionRange(code: number): [number, number] | null {
  if (inRange(code, 10, 99)) return [code * 10_000, (code + 1) * 10_000];
  if (inRange(code, 1000, 9999)) return [code * 100, (code + 1) * 100];
  if (!inRange(code, 100_000, 999_999)) return null;
  if (code % 10_000 === 0) return [code, code + 10_000];
  if (code % 100 === 0) return [code, code + 100];
  return [code, code + 1];
}

function mediaMask(media: readonly string[]): number {
  return (media.includes("chip") ? 2 : 0) | (media.includes("electronic") ? 4 : 0);
}

function isDate(value: number): boolean {
  return Number.isInteger(value) && dayOfDate(value) >= 0;
}

function inRange(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}
