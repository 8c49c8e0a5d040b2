// The refusal of a frame that is not even taken: more is in flight than can be answered in time. It
// must cost next to nothing, for there are many of them: the frame is looked at where it lies, and
// the answer is one prepared frame in which a few words change.

import { FRAME_SIZE_MAX, requestFrameProblem } from "../protocol/decode.js";
import {
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_HEADER_SIZE,
  FRAME_KEY_GENERATION_OFFSET,
  FRAME_MAGIC,
  FRAME_MTI_OFFSET,
  FRAME_SENDER_ID_OFFSET,
  FRAME_SEQUENCE_OFFSET,
  FRAME_SIZE_MIN,
  FRAME_VERSION,
} from "../protocol/frame.js";
import { FRAME_PROBLEM } from "../protocol/frame-problem.js";
import { gatheredFrameSize } from "../protocol/message.js";
import { responseMti } from "../protocol/mti.js";
import { REASON } from "../protocol/reason.js";
import type { Reply } from "./frame-slot.js";
import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";
import { writeAnswered } from "./responses.js";

/**
 * The header of the frame that is looked at, with room behind it for any frame's body, which is
 * never looked at: to copy a header takes less than to make a view of each message.
 */
const seen = new Uint8Array(FRAME_SIZE_MAX);
const view = new DataView(seen.buffer);
const answered = { senderId: 0, keyGeneration: 0, sequence: 0 };
/** Answers to as many frames as a message can hold, one behind the other. */
const answers = new Uint8Array(Math.floor(FRAME_SIZE_MAX / FRAME_SIZE_MIN) * FRAME_SIZE_MIN);
const words = new Int32Array(answers.buffer);
/** The answer to one. */
const single = answers.subarray(0, FRAME_SIZE_MIN);
const ANSWER_WORDS = FRAME_SIZE_MIN >> 2;
for (let base = 0; base < words.length; base += ANSWER_WORDS) {
  words[base] = FRAME_MAGIC | (FRAME_VERSION << 16) | (FRAME_FLAG_UNAUTHENTICATED << 24);
}

/**
 * Refuses the frames of `message` without a key. Returns FRAME_PROBLEM.NONE, or what is wrong with
 * one of them: then the connection is to be closed.
 */
export function refuseAtOnce(
  reply: Reply,
  message: Uint8Array,
  { metrics, host }: { metrics: Metrics; host: Host },
): number {
  const size = message.length;
  const nowMs = host.nowMs();
  let problem: number;
  let base = 0;
  let at = 0;
  do {
    const end = Math.min(size - at, FRAME_HEADER_SIZE);
    for (let i = 0; i < end; i++) seen[i] = message[at + i]!;
    const frameSize = reply.gathers ? gatheredFrameSize(view, 0, size - at) : size;
    problem = requestFrameProblem(view, 0, frameSize);
    if (problem !== FRAME_PROBLEM.NONE) break;
    writeRefusal(base, nowMs);
    metrics.countFrame(REASON.OVERLOADED);
    base += ANSWER_WORDS;
    at += frameSize;
  } while (at < size);
  if (base === 0) return problem;
  if (base === ANSWER_WORDS) reply.queue(single, 0, FRAME_SIZE_MIN);
  else reply.queue(answers, 0, base << 2);
  reply.flush();
  return problem;
}

function writeRefusal(base: number, nowMs: number): void {
  answered.senderId = view.getInt32(FRAME_SENDER_ID_OFFSET, true);
  answered.keyGeneration = view.getInt32(FRAME_KEY_GENERATION_OFFSET, true);
  answered.sequence = view.getInt32(FRAME_SEQUENCE_OFFSET, true);
  const mti = responseMti(view.getUint16(FRAME_MTI_OFFSET, true));
  writeAnswered(words, base, answered, mti, nowMs, REASON.OVERLOADED);
}
