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

/** Article 8: no item twice, and no function twice for the same region and time. */
function duplicateProblem(items: CatalogueItem[]): string {
  const codes = new Set<number>();
  const byFunction = new Map<string, CatalogueItem[]>();
  for (const item of items) {
    if (codes.has(item.itemCode)) return "an itemCode stands twice";
    codes.add(item.itemCode);
    const others = byFunction.get(item.function) ?? [];
    if (others.some((other) => overlap(item, other))) {
      return "a function stands twice for the same region and time (article 8)";
    }
    others.push(item);
    byFunction.set(item.function, others);
  }
  return "";
}

function overlap(a: CatalogueItem, b: CatalogueItem): boolean {
  const endA = a.endDate === 0 ? Infinity : a.endDate;
  const endB = b.endDate === 0 ? Infinity : b.endDate;
  if (a.startDate > endB || b.startDate > endA) return false;
  return a.regions.some((regionA) =>
    b.regions.some((regionB) => {
      const [lowA, highA] = regionRange(regionA)!;
      const [lowB, highB] = regionRange(regionB)!;
      return lowA < highB && lowB < highA;
    }),
  );
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
