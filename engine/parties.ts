// Terminals and their organisations.
//
// Terminal row, found by terminalId:
//   word  field
//   0     terminalId
//   1     organisationId      u32
//   2     regionCode          place of use
//   3     domains             bit mask
//   4     concentratorId      terminal that may speak for it; 0 none
//   5     state               bits 0..7 PARTY_STATUS, 8..15 macAlgorithm, 16 listed
//   6     key                 current master key: version, size | check value << 8, 10 wrapped
//   18    previousKey         the same of the key before
//   30    reserved            2 words, 0

import { assert } from "../protocol/assert.js";
import type { Organisation, TerminalCommand } from "./commands.js";
import type { Documents } from "./documents.js";
import { DOMAINS, PARTY_STATUS } from "./domain.js";
import { RowIndex } from "./row-index.js";
import { Table } from "./table.js";

const TERMINAL_ORGANISATION_WORD = 1;
const TERMINAL_REGION_WORD = 2;
const TERMINAL_DOMAINS_WORD = 3;
const TERMINAL_CONCENTRATOR_WORD = 4;
const TERMINAL_STATE_WORD = 5;
const TERMINAL_KEY_WORD = 6;
const TERMINAL_PREVIOUS_KEY_WORD = 18;
const KEY_WORDS = 12;
const WRAPPED_WORDS = 10;
const TERMINAL_WORDS = 32;
const FLAG_LISTED = 1 << 16;
const { OPEN } = PARTY_STATUS;

/** An organisation as the ladder needs it. */
export interface OrganisationView {
  organisationId: number;
  regionCode: number;
  parentId: number;
  domains: number;
  open: boolean;
  listed: boolean;
  name: string;
}

/** A master key as it is stored: wrapped, with its version and check value. */
export interface WrappedKey {
  version: number;
  wrapped: Uint8Array;
  checkValue: Uint8Array;
}

export class Parties {
  readonly table: Table;
  readonly index: RowIndex;
  /** By organisationId; a view is changed in place and never replaced. */
  readonly organisations = new Map<number, OrganisationView>();
  /** By terminal row, so that the ladder needs no look-up. */
  private readonly ofTerminal: OrganisationView[] = [];

  constructor(
    id: number,
    terminalsMax: number,
    private readonly documents: Documents,
  ) {
    this.table = new Table(id, "terminals", TERMINAL_WORDS, terminalsMax + 1);
    this.index = new RowIndex(this.table, 0, 1);
  }

  get terminalCount(): number {
    return this.table.rowCount - 1;
  }

  /** Row of a terminal, or 0. */
  find(terminalId: number): number {
    return this.index.find(terminalId, 0, 0, 0);
  }

  terminalId(row: number): number {
    return this.table.words[row * TERMINAL_WORDS]!;
  }

  organisation(row: number): OrganisationView {
    return this.ofTerminal[row]!;
  }

  regionCode(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_REGION_WORD]!;
  }

  domains(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_DOMAINS_WORD]!;
  }

  concentratorId(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_CONCENTRATOR_WORD]!;
  }

  open(row: number): boolean {
    return (this.state(row) & 0xff) === OPEN;
  }

  macAlgorithm(row: number): number {
    return (this.state(row) >>> 8) & 0xff;
  }

  listed(row: number): boolean {
    return (this.state(row) & FLAG_LISTED) !== 0;
  }

  /**
   * The master key of `version` (current or previous), or null. The previous one may be of another
   * algorithm than the terminal's, and of another size.
   */
  masterKey(row: number, version: number): WrappedKey | null {
    const base = row * TERMINAL_WORDS;
    for (const word of [base + TERMINAL_KEY_WORD, base + TERMINAL_PREVIOUS_KEY_WORD]) {
      if (this.table.words[word] === version && version !== 0) return this.readKey(word);
    }
    return null;
  }

  masterKeyVersion(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_KEY_WORD]!;
  }

  /** Version of the master key before the current one; 0 none is kept. */
  previousKeyVersion(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_PREVIOUS_KEY_WORD]!;
  }

  /** Adds or changes a terminal; the command has been judged. */
  setTerminal(c: TerminalCommand): void {
    const found = this.find(c.terminalId);
    const row = found === 0 ? this.table.append() : found;
    this.table.touch(row);
    const words = this.table.words;
    const base = row * TERMINAL_WORDS;
    const listed = words[base + TERMINAL_STATE_WORD]! & FLAG_LISTED;
    words[base] = c.terminalId;
    words[base + TERMINAL_ORGANISATION_WORD] = c.organisationId | 0;
    this.ofTerminal[row] = this.organisations.get(c.organisationId)!;
    words[base + TERMINAL_REGION_WORD] = c.regionCode;
    words[base + TERMINAL_DOMAINS_WORD] = c.domains;
    words[base + TERMINAL_CONCENTRATOR_WORD] = c.concentratorId;
    words[base + TERMINAL_STATE_WORD] = c.status | (c.macAlgorithm << 8) | listed;
    if (found === 0) this.index.insert(row);
    if (c.wrappedKey !== null) this.setKey(base, c);
  }

  setTerminalListed(row: number, listed: boolean): void {
    this.table.touch(row);
    const word = row * TERMINAL_WORDS + TERMINAL_STATE_WORD;
    const others = this.table.words[word]! & ~FLAG_LISTED;
    this.table.words[word] = listed ? others | FLAG_LISTED : others;
  }

  /** Adds or changes an organisation; `bytes` is its document. */
  setOrganisation(organisation: Organisation, bytes: Uint8Array): void {
    this.documents.set(documentKey(organisation.organisationId), bytes);
    this.place(organisation);
  }

  /** After loading: views from the documents and rows. */
  rebuild(): void {
    this.index.rebuild(null);
    this.organisations.clear();
    this.ofTerminal.length = 0;
    for (const key of this.documents.keys()) {
      if (!key.startsWith(DOCUMENT_PREFIX)) continue;
      this.place(parseOrganisation(this.documents.get(key)!));
    }
    for (let row = 1; row < this.table.rowCount; row++) {
      const id = this.table.words[row * TERMINAL_WORDS + TERMINAL_ORGANISATION_WORD]! >>> 0;
      this.ofTerminal[row] = this.organisations.get(id)!;
    }
  }

  private place(organisation: Organisation): void {
    const view = this.organisations.get(organisation.organisationId);
    const changed = {
      organisationId: organisation.organisationId,
      regionCode: organisation.regionCode,
      parentId: organisation.parentId,
      domains: domainMask(organisation.domains),
      open: organisation.status === "open",
      listed: view?.listed ?? false,
      name: organisation.name,
    };
    if (view === undefined) this.organisations.set(organisation.organisationId, changed);
    else Object.assign(view, changed);
  }

  private state(row: number): number {
    return this.table.words[row * TERMINAL_WORDS + TERMINAL_STATE_WORD]!;
  }

  private setKey(base: number, c: TerminalCommand): void {
    const words = this.table.words;
    const current = base + TERMINAL_KEY_WORD;
    assert(c.wrappedKey !== null && c.checkValue !== null, "a key has its check value");
    if (words[current] !== c.masterKeyVersion) {
      words.copyWithin(base + TERMINAL_PREVIOUS_KEY_WORD, current, current + KEY_WORDS);
    }
    const [a, b, d] = c.checkValue;
    words[current] = c.masterKeyVersion;
    words[current + 1] = c.wrappedKey.length | (a! << 8) | (b! << 16) | (d! << 24);
    const padded = new Uint8Array(WRAPPED_WORDS * 4);
    padded.set(c.wrappedKey);
    words.set(new Int32Array(padded.buffer), current + 2);
  }

  private readKey(word: number): WrappedKey {
    const words = this.table.words;
    const sizeAndCheck = words[word + 1]!;
    const bytes = new Uint8Array(words.slice(word + 2, word + KEY_WORDS).buffer);
    return {
      version: words[word]!,
      wrapped: bytes.subarray(0, sizeAndCheck & 0xff),
      checkValue: Uint8Array.of(sizeAndCheck >>> 8, sizeAndCheck >>> 16, sizeAndCheck >>> 24),
    };
  }
}

const DOCUMENT_PREFIX = "organisation/";

function documentKey(organisationId: number): string {
  return DOCUMENT_PREFIX + organisationId;
}

/** Bit mask of domains: bit n for domain number n. */
export function domainMask(names: readonly string[]): number {
  let mask = 0;
  for (const name of names) mask |= 1 << DOMAINS.indexOf(name as (typeof DOMAINS)[number]);
  return mask & ~1;
}

export function parseOrganisation(bytes: Uint8Array): Organisation {
  return JSON.parse(new TextDecoder().decode(bytes)) as Organisation;
}
