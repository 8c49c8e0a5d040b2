// How often what happens in a generated province. All of it is our estimate, in the range that
// yearbooks and card offices report; test/province.test.ts holds the generator to it.

/** Shares of 1. */
export const RATES = {
  /** Holders first registered outside the province (census of 2020: 1.09 of 10.08 million). */
  mainlandHolders: 0.108,
  /** Holders whose chip card took the place of an earlier one, over all the years. */
  replaced: 0.09,
  /** Chip cards made and not yet fetched and activated. */
  notYetActive: 0.04,
  /** Chip cards reported lost by telephone or online, withdrawn or confirmed within days. */
  lostTemporary: 0.004,
  /** Chip cards in formal loss, the new card not yet made. */
  lost: 0.006,
  sealed: 0.001,
  locked: 0.0015,
  /** Holder dead or gone from the province. */
  cancelled: 0.012,
  /** Cards in circulation past their last day. */
  expired: 0.02,
  /** Holders of an active chip card who hold an electronic card beside it. */
  electronic: 0.62,
  /** Blacklist entries on holders, for each holder. */
  holderListed: 0.0005,
  /** Blacklist entries on cards, for each holder. */
  cardListed: 0.001,
  /** Part of one issuer's numbers that a range on the blacklist covers. */
  rangeListed: 0.001,
  terminalListed: 0.002,
  terminalClosed: 0.005,
  organisationClosed: 0.01,
} as const;

/** Ranges of card numbers on the blacklist: faulty batches of chips. */
export const RANGES_LISTED = 3;

/** Years from issue to the last day of use. */
export const CARD_YEARS = 10;

/** MAC algorithms of terminals: most use the default, some national ones. Shares of 1. */
export const MAC_SHARES = [
  { name: "aes-128-cmac", share: 0.88 },
  { name: "sm4-cmac", share: 0.06 },
  { name: "hmac-sha-256", share: 0.03 },
  { name: "hmac-sm3", share: 0.03 },
] as const;

/** Ages in groups of five years, 0-4 up to 95-99, in parts of 1,000 (after the census of 2020). */
export const AGE_PYRAMID = [
  62, 72, 66, 58, 55, 68, 88, 84, 74, 70, 72, 66, 46, 44, 30, 20, 14, 7, 3, 1,
] as const;
export const AGE_GROUP_YEARS = 5;
