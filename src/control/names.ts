// The words in which the API speaks of numbers that stand in the journal, both ways.

import {
  CARD_EVENT,
  CARD_STATUS,
  DOMAINS,
  type DomainName,
  LIST_CAUSE,
  LIST_SCOPE,
  LIST_SUBJECT,
  PARTY_STATUS,
} from "../../engine/domain.js";

/** Words of one closed list: "LOST_TEMPORARY" is spoken as "lost-temporary". */
export class Words {
  /** All words, in the order of their numbers. */
  readonly all: readonly string[];
  private readonly numbers: ReadonlyMap<string, number>;
  private readonly names: ReadonlyMap<number, string>;

  constructor(table: Readonly<Record<string, number>>) {
    const pairs = Object.entries(table).map(
      ([name, number]) => [name.toLowerCase().replaceAll("_", "-"), number] as const,
    );
    this.all = pairs.map(([word]) => word);
    this.numbers = new Map(pairs);
    this.names = new Map(pairs.map(([word, number]) => [number, word]));
  }

  /** The number of a word; undefined for no such word. */
  number(word: string): number | undefined {
    return this.numbers.get(word);
  }

  /** The word of a number; "unknown" for no such number. */
  word(number: number): string {
    return this.names.get(number) ?? "unknown";
  }
}

export const CARD_STATUS_WORDS = new Words(CARD_STATUS);
export const CARD_EVENT_WORDS = new Words(CARD_EVENT);
export const MEDIUM_WORDS = new Words({ CHIP: 1, ELECTRONIC: 2 });
export const LIST_SUBJECT_WORDS = new Words(LIST_SUBJECT);
export const LIST_SCOPE_WORDS = new Words(LIST_SCOPE);
export const LIST_CAUSE_WORDS = new Words(LIST_CAUSE);
export const PARTY_STATUS_WORDS = new Words(PARTY_STATUS);

export const DOMAIN_NAMES = DOMAINS.slice(1) as DomainName[];

/** Names of the domains of a bit mask. */
export function domainNames(mask: number): DomainName[] {
  return DOMAIN_NAMES.filter((_, index) => (mask & (1 << (index + 1))) !== 0);
}
