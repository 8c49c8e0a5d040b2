// Response frames: their headers, written in place into the arena of the block they wait for.

import { WORD } from "../protocol/endian.js";
import {
  FRAME_BODY_SIZE_OFFSET,
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_MAGIC,
  FRAME_SIZE_MIN,
  FRAME_VERSION,
} from "../protocol/frame.js";
import { responseMti } from "../protocol/mti.js";
import { REASON, RESPONSE_CODE_WORDS } from "../protocol/reason.js";
import type { Arena } from "./arena.js";
import type { FrameSlot } from "./frame-slot.js";

const BODY_SIZE_WORD = FRAME_BODY_SIZE_OFFSET >> 2;
/** Low half of the first header word: magic; then version and flags. */
const MAGIC_VERSION = FRAME_MAGIC | (FRAME_VERSION << 16);
const FLAGS_SHIFT = 24;

/** Bytes of a response with a body of `bodySize`, its MAC included. */
export function responseFrameSize(bodySize: number): number {
  return FRAME_HEADER_SIZE + bodySize + FRAME_MAC_SIZE;
}

/**
 * Reserves the response to `slot` in `arena` and writes its header. Returns the byte offset of its
 * body. `reason` gives the status of the frame.
 */
export function beginResponse(
  arena: Arena,
  slot: FrameSlot,
  count: number,
  bodySize: number,
  timeMs: number,
  reason: number,
): number {
  const start = arena.take(responseFrameSize(bodySize));
  const base = start >> 2;
  arena.words[base] = MAGIC_VERSION;
  arena.words[base + BODY_SIZE_WORD] = bodySize;
  const mtiAndCount = responseMti(slot.mti) | (count << 16);
  writeAnswered(arena.words, base, slot, mtiAndCount, timeMs, reason);
  slot.responseStart = start;
  slot.responseSize = FRAME_HEADER_SIZE + bodySize;
  return start + FRAME_HEADER_SIZE;
}

/** What a response repeats of its request. */
export interface Answered {
  senderId: number;
  keyGeneration: number;
  sequence: number;
}

/** Writes what differs from response to response: all of a header but magic, flags and size. */
export function writeAnswered(
  words: Int32Array,
  base: number,
  { senderId, keyGeneration, sequence }: Answered,
  mtiAndCount: number,
  timeMs: number,
  reason: number,
): void {
  words[base + 1] = mtiAndCount;
  words[base + 2] = senderId;
  words[base + 3] = keyGeneration;
  words[base + 4] = sequence | 0;
  words[base + BODY_SIZE_WORD + 1] = timeMs | 0;
  const timeHigh = Math.floor(timeMs / WORD.RANGE) & 0xffff;
  words[base + BODY_SIZE_WORD + 2] = timeHigh | (RESPONSE_CODE_WORDS[reason]! << 16);
}

/** A frame that refuses a frame: no body, the reason's code; without a key unauthenticated. */
export function refusalFrame(slot: FrameSlot, reason: number, timeMs: number): Uint8Array {
  const mac = UNAUTHENTICATED_REASONS.has(reason) ? null : (slot.keys?.response ?? null);
  const bytes = new Uint8Array(FRAME_SIZE_MIN);
  const words = new Int32Array(bytes.buffer);
  const flags = mac === null ? FRAME_FLAG_UNAUTHENTICATED : 0;
  words[0] = MAGIC_VERSION | (flags << FLAGS_SHIFT);
  writeAnswered(words, 0, slot, responseMti(slot.mti), timeMs, reason);
  if (mac !== null) mac.sign(bytes, 0, FRAME_HEADER_SIZE, bytes, FRAME_HEADER_SIZE);
  return bytes;
}

/** Reasons told without a key: nothing of the frame was believed when they arose. */
const UNAUTHENTICATED_REASONS: ReadonlySet<number> = new Set([
  REASON.TERMINAL_UNKNOWN,
  REASON.MAC_INVALID,
  REASON.NOT_SIGNED_ON,
  REASON.OVERLOADED,
  REASON.STOPPING,
  REASON.SIGN_ON_REFUSED,
]);
