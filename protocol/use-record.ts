// A use record: what a terminal asks, one fixed 64-byte record of the messages 0100, 0120, 0400
// and 0420. Names are those of ISO 8583 fields 2, 4, 7, 11, 41 and 90.
//
//   offset  size  field                 type    range
//   0       16    pan                   block   protocol/pan.ts
//   16      4     terminalId            u32     1..99,999,999; the place of use
//   20      4     stan                  u32     1..999,999; unique by terminal and business date
//   24      4     businessDate          u32     YYYYMMDD
//   28      4     itemCode              u32     1..99,999,999; service item of the catalogue
//   32      8     amountMinor           i64     0..999,999,999,999 in fen (CNY 0.01)
//   40      4     localTime             u32     when the card was used, seconds since 1970 UTC
//   44      1     medium                u8      1 chip, 2 electronic
//   45      1     flags                 u8      0
//   46      2     reserved              u16     0
//   48      4     originalStan          u32     0400, 0420: 1..999,999; else 0
//   52      4     originalBusinessDate  u32     0400, 0420: YYYYMMDD; else 0
//   56      8     reserved              u8[8]   0

export const USE_PAN_OFFSET = 0;
export const USE_TERMINAL_ID_OFFSET = 16;
export const USE_STAN_OFFSET = 20;
export const USE_BUSINESS_DATE_OFFSET = 24;
export const USE_ITEM_CODE_OFFSET = 28;
export const USE_AMOUNT_OFFSET = 32;
export const USE_LOCAL_TIME_OFFSET = 40;
export const USE_MEDIUM_OFFSET = 44;
export const USE_FLAGS_OFFSET = 45;
export const USE_RESERVED_A_OFFSET = 46;
export const USE_ORIGINAL_STAN_OFFSET = 48;
export const USE_ORIGINAL_DATE_OFFSET = 52;
export const USE_RESERVED_B_OFFSET = 56;
export const USE_RECORD_SIZE = 64;

export const MEDIUM_CHIP = 1;
export const MEDIUM_ELECTRONIC = 2;

export const STAN_MAX = 999_999;
export const ITEM_CODE_MAX = 99_999_999;
export const AMOUNT_MINOR_MAX = 999_999_999_999;
