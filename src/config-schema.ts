// Every configuration key with its default, range, unit and meaning: the one table from which the
// type, the checks, the help text and the documents are made.

import { RECORDS_MAX } from "../engine/row-index.js";
import {
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_RECORDS_MAX,
  MANAGEMENT_BODY_SIZE_MAX,
} from "../protocol/frame.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import { oneOf, type Static, Type } from "./schema.js";

/** Bytes of a frame of `records` use records. */
export function useFrameSize(records: number): number {
  return FRAME_HEADER_SIZE + records * USE_RECORD_SIZE + FRAME_MAC_SIZE;
}

const FRAME_SIZE_DEFAULT = useFrameSize(FRAME_RECORDS_MAX);
/** Sign-on must fit whatever the records do. */
const FRAME_SIZE_LEAST = FRAME_HEADER_SIZE + MANAGEMENT_BODY_SIZE_MAX + FRAME_MAC_SIZE;
const MEBIBYTE = 1_048_576;

function whole(value: number, minimum: number, maximum: number, unit: string, text: string) {
  return Type.Integer({ default: value, minimum, maximum, unit, description: text });
}

function text(value: string, minLength: number, description: string) {
  return Type.String({ default: value, minLength, maxLength: 4096, description });
}

function port(value: number, description: string) {
  return whole(value, 0, 65_535, "", `${description}; 0 takes a free one`);
}

const TERMINALS = Type.Object({
  host: text("127.0.0.1", 1, "address on which terminals are served"),
  port: port(7080, "port on which terminals are served"),
  tlsCertFile: text("", 0, "TLS certificate chain (PEM); empty serves without TLS"),
  tlsKeyFile: text("", 0, "private key of the TLS certificate (PEM)"),
  connectionsMax: whole(20_000, 1, 1_000_000, "connections", "most open connections"),
  frameSizeMax: whole(
    FRAME_SIZE_DEFAULT,
    FRAME_SIZE_LEAST,
    FRAME_SIZE_DEFAULT,
    "bytes",
    "largest frame taken; a larger one closes the connection",
  ),
  idleSeconds: whole(120, 8, 960, "seconds", "a silent WebSocket connection is closed after this"),
});

const CONTROL = Type.Object({
  host: text("127.0.0.1", 1, "address of the administration API and metrics"),
  port: port(7081, "port of the administration API and metrics"),
  importSizeMax: whole(
    256 * MEBIBYTE,
    MEBIBYTE,
    16_384 * MEBIBYTE,
    "bytes",
    "largest body of one import request",
  ),
  keyExchangeKeyFile: text(
    "",
    0,
    "private file with the AES key (hex) under which terminal keys arrive wrapped",
  ),
});

const LIMITS = Type.Object({
  sessionsMax: whole(100_000, 1, 4_000_000, "sessions", "most terminals signed on"),
  recordsInFlightMax: whole(
    65_536,
    1,
    4_194_304,
    "records",
    "most records taken and not yet answered; beyond it the answer is 91",
  ),
  answerMs: whole(
    3,
    1,
    60_000,
    "milliseconds",
    "time aimed at for an answer, commits aside; under overload no more is taken than that",
  ),
  recordsPerFrameMax: whole(
    FRAME_RECORDS_MAX,
    1,
    FRAME_RECORDS_MAX,
    "records",
    "most records of one frame",
  ),
});

const SESSION = Type.Object({
  seconds: whole(86_400, 60, 2_592_000, "seconds", "life of session keys"),
  keyOverlapSeconds: whole(60, 1, 3600, "seconds", "old keys hold this long after a key change"),
  challengeSeconds: whole(30, 1, 600, "seconds", "a sign-on challenge is open this long"),
  challengesMax: whole(65_536, 1, 1_048_576, "challenges", "most sign-on challenges open"),
});

const TABLE_MEMORY = ["as-needed", "at-start"] as const;

const TABLES = Type.Object({
  cardsMax: whole(10_000_000, 1000, RECORDS_MAX, "cards", "room for cards, 64 bytes each"),
  holdersMax: whole(10_000_000, 1000, RECORDS_MAX, "holders", "room for holders"),
  terminalsMax: whole(200_000, 100, 4_000_000, "terminals", "room for terminals"),
  blacklistMax: whole(1_000_000, 1000, 50_000_000, "entries", "room for blacklist entries"),
  usesPerDateMax: whole(
    20_000_000,
    1000,
    RECORDS_MAX,
    "uses",
    "uses remembered for each business date, to answer repeats; beyond it the answer is 91; " +
      "64 bytes each, and 8 to 16 for each that there is room for",
  ),
  memory: oneOf(TABLE_MEMORY, {
    default: "as-needed",
    description:
      "when tables take their memory: as-needed, shortly before rows come; at-start, all that " +
      "the limits above allow before terminals are served, so that a machine with too little is " +
      "told of at once and no tap competes with the kernel for it (Linux 5.14)",
  }),
});

const DUPLICATES = Type.Object({
  businessDatesKept: whole(2, 1, 8, "dates", "business dates whose uses are remembered"),
});

const BUSINESS_DAY = Type.Object({
  utcOffsetMinutes: whole(480, -720, 840, "minutes", "local time less UTC"),
  cutoverMinutes: whole(0, 0, 1439, "minutes", "the business day begins this long after midnight"),
});

const JOURNAL = Type.Object({
  commitSecondsMax: whole(
    5,
    1,
    60,
    "seconds",
    "a commit that takes longer stops the process; so does, at a stop, a checkpoint that gets no " +
      "further for so long",
  ),
  checkpointSeconds: whole(60, 1, 86_400, "seconds", "time between checkpoints"),
  blockSizeMax: whole(4 * MEBIBYTE, 2 * MEBIBYTE, 64 * MEBIBYTE, "bytes", "largest journal block"),
  fileSizeMax: whole(
    32 * MEBIBYTE,
    MEBIBYTE / 16,
    1024 * MEBIBYTE,
    "bytes",
    "a file of the journal that holds so much is followed by another",
  ),
});

const CRYPTO = Type.Object({
  workers: Type.Union([Type.Literal("auto"), Type.Integer({ minimum: 0, maximum: 64 })], {
    default: "auto",
    unit: "threads",
    description:
      "threads that verify and make MACs; 0 does it all in the main thread, 1 is no sooner; auto " +
      "takes one for each core but one, from three cores on",
  }),
});

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const LOG = Type.Object({
  level: oneOf(LOG_LEVELS, { default: "info", description: "least severity that is logged" }),
});

/** The configuration; one level of sections, `data` aside. */
export const CONFIG_SCHEMA = Type.Object({
  data: text("data", 1, "data folder"),
  terminals: TERMINALS,
  control: CONTROL,
  limits: LIMITS,
  session: SESSION,
  tables: TABLES,
  duplicates: DUPLICATES,
  businessDay: BUSINESS_DAY,
  journal: JOURNAL,
  crypto: CRYPTO,
  log: LOG,
});

export type Config = Static<typeof CONFIG_SCHEMA>;
