// A use as the caller gives it and an answer as the caller gets it, with the checks of both.

import {
  AMOUNT_MINOR_MAX,
  FRAME_HEADER_SIZE,
  type FrameHeader,
  ITEM_CODE_MAX,
  MEDIUM_CHIP,
  MEDIUM_ELECTRONIC,
  OUTCOME_RECORD_SIZE,
  type Outcome,
  REASON_NAMES,
  type ReasonName,
  readOutcome,
  STAN_MAX,
  TERMINAL_ID_MAX,
  type UseRecord,
} from "../../protocol/index.js";
import { TerminalError } from "./errors.js";

/** A use as a caller gives it: the rest has sensible values. */
export interface Use {
  /** 12 to 19 digits. */
  pan: string;
  /** 1..99,999,999. */
  itemCode: number;
  /** Fen, 0..999,999,999,999. */
  amountMinor: number;
  /** 1 chip (the default), 2 electronic. */
  medium?: number;
  /** The place of use; the client's own terminal unless it speaks for others. */
  terminalId?: number;
  /** 1..999,999; the next of the client's allocator unless given. */
  stan?: number;
  /** YYYYMMDD; today in UTC+8 unless given. */
  businessDate?: number;
  /** Seconds since 1970 UTC; now unless given. */
  localTime?: number;
}

/** An answer to one use, its MAC checked. */
export interface TerminalOutcome extends Outcome {
  /** Whether the response code is "00". */
  approved: boolean;
  /** The reason's name, or "" when it is newer than this client. */
  reasonName: ReasonName | "";
}

const DATE_MIN = 20_200_101;
const DATE_MAX = 99_991_231;
const TIME_MAX = 2 ** 32 - 1;

/** Throws before anything is sent when a field is out of its range. */
export function checkUse(use: UseRecord, reversal: boolean): void {
  if (!inRange(use.amountMinor, 0, AMOUNT_MINOR_MAX)) {
    throw new TerminalError("AMOUNT_INVALID", "13");
  }
  checkField(/^[0-9]{1,19}$/.test(use.pan), "pan");
  checkField(inRange(use.terminalId, 1, TERMINAL_ID_MAX), "terminalId");
  checkField(inRange(use.stan, 1, STAN_MAX), "stan");
  checkField(inRange(use.businessDate, DATE_MIN, DATE_MAX), "businessDate");
  checkField(inRange(use.itemCode, 1, ITEM_CODE_MAX), "itemCode");
  checkField(inRange(use.localTime, 0, TIME_MAX), "localTime");
  checkField(use.medium === MEDIUM_CHIP || use.medium === MEDIUM_ELECTRONIC, "medium");
  const { originalStan, originalBusinessDate } = use;
  if (reversal) {
    checkField(inRange(originalStan, 1, STAN_MAX), "originalStan");
    checkField(inRange(originalBusinessDate, DATE_MIN, DATE_MAX), "originalBusinessDate");
  } else {
    checkField(originalStan === 0 && originalBusinessDate === 0, "original of no reversal");
  }
}

function checkField(holds: boolean, field: string): void {
  if (!holds) throw new TerminalError("USE_INVALID", "30", field);
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

/** The outcomes of a verified frame; each must name the use it answers. */
export function readOutcomes(
  header: FrameHeader,
  frame: Uint8Array,
  uses: readonly UseRecord[],
): TerminalOutcome[] {
  if (header.count !== uses.length) throw new TerminalError("PROTOCOL");
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return uses.map((use, i) => {
    const outcome = readOutcome(view, FRAME_HEADER_SIZE + i * OUTCOME_RECORD_SIZE);
    const same =
      outcome.stan === use.stan &&
      outcome.terminalId === use.terminalId &&
      outcome.businessDate === use.businessDate;
    if (!same) throw new TerminalError("PROTOCOL");
    const reasonName = REASON_NAMES[outcome.reason] ?? "";
    return { ...outcome, approved: outcome.responseCode === "00", reasonName };
  });
}
