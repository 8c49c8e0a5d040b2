// An outcome record: what Tongka answers to one use record, 32 bytes, in the order of the request.
//
//   offset  size  field             type    notes
//   0       4     terminalId        u32     as asked
//   4       4     stan              u32     as asked
//   8       4     businessDate      u32     as asked
//   12      2     responseCode      u8[2]   ISO 8583 field 39
//   14      2     reason            u16     protocol/reason.ts
//   16      8     rrn               u64     journal position: the reference number (field 37)
//   24      4     authorizationId   u32     field 38, 1..999,999 when approved, else 0
//   28      1     flags             u8      bit 0: an advice that would have been declined
//   29      1     differingField    u8      with 94: which field differs (DIFFERING_FIELDS)
//   30      2     reserved          u16     0

export const OUTCOME_TERMINAL_ID_OFFSET = 0;
export const OUTCOME_STAN_OFFSET = 4;
export const OUTCOME_BUSINESS_DATE_OFFSET = 8;
export const OUTCOME_RESPONSE_CODE_OFFSET = 12;
export const OUTCOME_REASON_OFFSET = 14;
export const OUTCOME_RRN_OFFSET = 16;
export const OUTCOME_AUTHORIZATION_ID_OFFSET = 24;
export const OUTCOME_FLAGS_OFFSET = 28;
export const OUTCOME_DIFFERING_FIELD_OFFSET = 29;
export const OUTCOME_RESERVED_OFFSET = 30;
export const OUTCOME_RECORD_SIZE = 32;

export const OUTCOME_FLAG_WOULD_DECLINE = 1;

/** Names of `differingField`, by number. Append only. */
export const DIFFERING_FIELDS = [
  "",
  "mti",
  "pan",
  "itemCode",
  "amountMinor",
  "localTime",
  "medium",
  "originalStan",
  "originalBusinessDate",
] as const;
