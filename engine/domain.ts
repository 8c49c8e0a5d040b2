// The few closed lists of the field: domains of public service, card states, blacklist subjects
// and causes. Numbers stand in the journal and never change their meaning; append only.

/** Domains (articles 4 and 5: the departments that use the card). Bit n of a mask is domain n. */
export const DOMAINS = [
  "",
  "human-resources",
  "health",
  "transport",
  "culture-tourism",
  "civil-affairs",
  "education",
  "finance",
  "medical-security",
  "public-security",
  "big-data",
] as const;
export type DomainName = Exclude<(typeof DOMAINS)[number], "">;

/** Card states by our own numbers; interfaces map AAZ502 and others to them. */
export const CARD_STATUS = {
  ISSUED: 1,
  ACTIVE: 2,
  LOST_TEMPORARY: 3,
  LOST: 4,
  SEALED: 5,
  LOCKED: 6,
  REPLACED: 7,
  CANCELLED: 8,
} as const;

/** Card events (article 7: apply, use, report loss, release, reissue/replace, cancel). */
export const CARD_EVENT = {
  /** Takes over a card of an existing system in any state. */
  LOAD: 0,
  ISSUE: 1,
  ACTIVATE: 2,
  LOSE_TEMPORARY: 3,
  LOSE: 4,
  RELEASE: 5,
  /** Issues this card in place of another, which ends as REPLACED, in one step. */
  REPLACE: 6,
  CANCEL: 7,
} as const;

export const LIST_SUBJECT = {
  CARD: 1,
  HOLDER: 2,
  /** One prefix of a range of card numbers; a range is several of these under one entryId. */
  NUMBER_RANGE: 3,
  TERMINAL: 4,
  ORGANISATION: 5,
} as const;

export const LIST_SCOPE = { ALL: 0, DOMAIN: 1, ITEM: 2 } as const;

export const LIST_CAUSE = {
  LOST: 1,
  STOLEN: 2,
  FRAUD: 3,
  DEBT: 4,
  ADMINISTRATIVE: 5,
  TECHNICAL: 6,
} as const;

export const PARTY_STATUS = { OPEN: 1, CLOSED: 2 } as const;

/** First and last day of service of anything open-ended, as days since 1970-01-01. */
export const DAY_MAX = 65_535;
/** The regulation is in force since 2020-01-01 (article 19): no catalogue starts before. */
export const CATALOGUE_DATE_MIN = 20_200_101;
