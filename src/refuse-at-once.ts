// The refusal of a frame that is not even taken: more is in flight than can be answered in time. It
// must cost next to nothing, for there are many of them: the frame is looked at where it lies, and
// the answer is one prepared frame in which a few words change.

import { frameProblem, isRequestMti } from "../protocol/decode.js";
import { WORD_RANGE } from "../protocol/endian.js";
import {
  FRAME_BODY_SIZE_OFFSET,
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_KEY_GENERATION_OFFSET,
  FRAME_MAGIC,
  FRAME_MTI_OFFSET,
  FRAME_SENDER_ID_OFFSET,
  FRAME_SEQUENCE_OFFSET,
  FRAME_SIZE_MIN,
  FRAME_VERSION,
} from "../protocol/frame.js";
import { FRAME_PROBLEM } from "../protocol/frame-problem.js";
import { responseMti } from "../protocol/mti.js";
import { REASON, RESPONSE_CODE_WORDS } from "../protocol/reason.js";
import type { Reply } from "./frame-slot.js";
import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";

const TIME_WORD = (FRAME_BODY_SIZE_OFFSET >> 2) + 1;
const bytes = new Uint8Array(FRAME_SIZE_MIN);
const words = new Int32Array(bytes.buffer);
words[0] = FRAME_MAGIC | (FRAME_VERSION << 16) | (FRAME_FLAG_UNAUTHENTICATED << 24);

/**
 * Refuses the frame `message` without a key, and zeroes it. Returns FRAME_PROBLEM.NONE, or what is
 * wrong with it: then the connection is to be closed.
 */
export function refuseAtOnce(
  reply: Reply,
  message: ArrayBuffer,
  { metrics, host }: { metrics: Metrics; host: Host },
): number {
  const view = new DataView(message);
  const problem = frameProblem(view, 0, message.byteLength);
  if (problem !== FRAME_PROBLEM.NONE) return problem;
  const mti = view.getUint16(FRAME_MTI_OFFSET, true);
  if (!isRequestMti(mti)) return FRAME_PROBLEM.NOT_A_REQUEST;
  const timeMs = host.nowMs();
  words[1] = responseMti(mti);
  words[2] = view.getInt32(FRAME_SENDER_ID_OFFSET, true);
  words[3] = view.getInt32(FRAME_KEY_GENERATION_OFFSET, true);
  words[4] = view.getInt32(FRAME_SEQUENCE_OFFSET, true);
  words[TIME_WORD] = timeMs | 0;
  const timeHigh = Math.floor(timeMs / WORD_RANGE) & 0xffff;
  words[TIME_WORD + 1] = timeHigh | (RESPONSE_CODE_WORDS[REASON.OVERLOADED]! << 16);
  metrics.countFrame(REASON.OVERLOADED);
  reply.queue(bytes);
  reply.flush();
  new Uint8Array(message).fill(0);
  return FRAME_PROBLEM.NONE;
}
