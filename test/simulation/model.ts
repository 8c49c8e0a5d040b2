// The auditor's model of a card system: plain, slow, of Maps, written from the regulation and the
// protocol's page. It shares no code with the engine and keeps no tables, pages or rows.
//
// The twist: it is not asked what to do, it is told what the journal says and works out what the
// journal should have said.

/** Business dates and limits of a run. */
export interface ModelRules {
  datesKept: number;
  usesPerDateMax: number;
  sessionsMax: number;
  sessionSeconds: number;
  keyOverlapSeconds: number;
  utcOffsetMinutes: number;
  cutoverMinutes: number;
}

export interface ModelCard {
  status: number;
  activated: boolean;
  medium: number;
  expiryDay: number;
  regionCode: number;
  holder: string;
  useCount: number;
  amountMinorTotal: number;
  lastUseTime: number;
  lastUseTerminalId: number;
}

export interface ModelListRow {
  subjectKind: number;
  subject: string;
  scopeKind: number;
  scopeValue: number;
  cause: number;
  fromTime: number;
  untilTime: number;
  organisationId: number;
}

export interface ModelTerminal {
  organisationId: number;
  regionCode: number;
  domains: number;
  concentratorId: number;
  open: boolean;
  macAlgorithm: number;
  /** Versions of the master key that are kept, newest first, with their keys in hex. */
  keys: { version: number; hex: string }[];
}

export interface ModelOrganisation {
  domains: number;
  open: boolean;
  text: string;
}

export interface ModelItem {
  itemCode: number;
  organisationId: number;
  domain: number;
  regions: number[];
  media: number[];
  startDay: number;
  endDay: number;
  amountMinorMax: number;
}

export interface ModelCatalogue {
  version: number;
  effectiveDay: number;
  items: Map<number, ModelItem>;
  text: string;
}

export interface ModelGeneration {
  generation: number;
  expiresAt: number;
  keyVersion: number;
  /** The master key of that version, hex. */
  keyHex: string;
  macAlgorithm: number;
  terminalNonce: Uint8Array;
  serverNonce: Uint8Array;
  sequences: Set<number>;
  highest: number;
}

export interface ModelSession {
  current: ModelGeneration | null;
  previous: ModelGeneration | null;
}

/** The answer that a use must get, now and at every repeat. */
export interface ModelOutcome {
  key: string;
  terminalId: number;
  stan: number;
  date: number;
  reason: number;
  code: string;
  rrn: number;
  wouldDecline: boolean;
  differing: number;
}

export interface ModelUse {
  /** "" while a reversal waits for its original. */
  panHex: string;
  messageClass: number;
  itemCode: number;
  amountHex: string;
  localTime: number;
  medium: number;
  originalStan: number;
  originalDate: number;
  outcome: ModelOutcome | null;
  counted: boolean;
  reversed: boolean;
  awaited: boolean;
}

const DAY_MS = 86_400_000;

/** YYYYMMDD of a day since 1970. */
export function dateOf(day: number): number {
  return Number(new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll("-", ""));
}

/** The day since 1970 of a date YYYYMMDD. */
export function dayOf(date: number): number {
  const text = String(date);
  return Date.parse(`${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6, 8)}`) / DAY_MS;
}

export class Model {
  position = 0;
  timeMs = 0;
  blacklistPosition = 0;
  blockHash = "0".repeat(64);
  readonly cards = new Map<string, ModelCard>();
  /** Chip cards in use of each holder. */
  readonly holders = new Map<string, number>();
  readonly entries = new Map<number, ModelListRow[]>();
  readonly terminals = new Map<number, ModelTerminal>();
  readonly organisations = new Map<number, ModelOrganisation>();
  readonly catalogues: ModelCatalogue[] = [];
  readonly sessions = new Map<number, ModelSession>();
  /** By date, then by terminal and STAN. */
  readonly uses = new Map<number, Map<string, ModelUse>>();
  businessDate = 0;
  today = 0;
  private catalogueDay = -1;
  private catalogueNow: ModelCatalogue | null = null;

  constructor(readonly rules: ModelRules) {}

  get nowSeconds(): number {
    return Math.floor(this.timeMs / 1000);
  }

  get oldestDate(): number {
    if (this.businessDate === 0) return 0;
    return dateOf(dayOf(this.businessDate) - this.rules.datesKept + 1);
  }

  get newestDate(): number {
    return dateOf(dayOf(this.businessDate) + 1);
  }

  /** The catalogue in force. */
  get catalogue(): ModelCatalogue | null {
    if (this.catalogueDay === this.today) return this.catalogueNow;
    this.catalogueDay = this.today;
    this.catalogueNow = null;
    for (const version of this.catalogues) {
      if (version.effectiveDay > this.today) continue;
      const later = this.catalogueNow === null;
      if (later || version.effectiveDay >= this.catalogueNow!.effectiveDay) {
        this.catalogueNow = version;
      }
    }
    return this.catalogueNow;
  }

  publish(catalogue: ModelCatalogue): void {
    this.catalogues.push(catalogue);
    this.catalogueDay = -1;
  }

  moveTo(timeMs: number): void {
    this.timeMs = Math.max(this.timeMs, timeMs);
    const { utcOffsetMinutes, cutoverMinutes } = this.rules;
    const localMs = this.timeMs + utcOffsetMinutes * 60_000;
    this.today = Math.floor(localMs / DAY_MS);
    const date = dateOf(Math.floor((localMs - cutoverMinutes * 60_000) / DAY_MS));
    if (date === this.businessDate) return;
    this.businessDate = date;
    for (const kept of [...this.uses.keys()]) {
      if (kept < this.oldestDate || kept > this.newestDate) this.uses.delete(kept);
    }
  }

  usesOf(date: number): Map<string, ModelUse> {
    let uses = this.uses.get(date);
    if (uses === undefined) {
      uses = new Map();
      this.uses.set(date, uses);
    }
    return uses;
  }

  /** The generation of a terminal that is in force, or null. */
  generation(terminalId: number, number: number, nowSeconds = this.nowSeconds) {
    const session = this.sessions.get(terminalId);
    for (const each of [session?.current, session?.previous]) {
      if (each?.generation === number) return nowSeconds < each.expiresAt ? each : null;
    }
    return null;
  }

  /** Whether a sequence number may be taken: not taken before, not over 255 behind. */
  fresh(generation: ModelGeneration, sequence: number): boolean {
    if (sequence === 0 || generation.sequences.has(sequence)) return false;
    return sequence > generation.highest - 256;
  }

  signedOn(terminalId: number): boolean {
    const current = this.sessions.get(terminalId)?.current;
    return current !== null && current !== undefined && current.expiresAt !== 0;
  }

  /** Entries of a subject in force for an item, by cause. */
  listed(kind: number, subject: string, domain: number, itemCode: number): Set<number> {
    const causes = new Set<number>();
    for (const rows of this.entries.values()) {
      for (const row of rows) {
        if (row.subjectKind !== kind || row.subject !== subject) continue;
        if (this.inForce(row, domain, itemCode)) causes.add(row.cause);
      }
    }
    return causes;
  }

  inForce(row: ModelListRow, domain: number, itemCode: number): boolean {
    const now = this.nowSeconds;
    if (now < row.fromTime || (row.untilTime !== 0 && now >= row.untilTime)) return false;
    if (row.scopeKind === 0) return true;
    return row.scopeValue === (row.scopeKind === 1 ? domain : itemCode);
  }
}
