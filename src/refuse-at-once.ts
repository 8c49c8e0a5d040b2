// The refusal of a frame that is not even taken: more is in flight than can be answered in time. It
// must cost next to nothing, for there are many of them: the frame is looked at where it lies, and
// the answer is one prepared frame in which a few words change.

import { FRAME_SIZE_MAX, frameProblem, isRequestMti } from "../protocol/decode.js";
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
const bytes = new Uint8Array(FRAME_SIZE_MIN);
const words = new Int32Array(bytes.buffer);
words[0] = FRAME_MAGIC | (FRAME_VERSION << 16) | (FRAME_FLAG_UNAUTHENTICATED << 24);

/**
 * Refuses the frame `message` without a key. Returns FRAME_PROBLEM.NONE, or what is wrong with it:
 * then the connection is to be closed.
 */
export function refuseAtOnce(
  reply: Reply,
  message: Uint8Array,
  { metrics, host }: { metrics: Metrics; host: Host },
): number {
  const end = Math.min(message.length, FRAME_HEADER_SIZE);
  for (let i = 0; i < end; i++) seen[i] = message[i]!;
  const problem = frameProblem(view, 0, message.length);
  if (problem !== FRAME_PROBLEM.NONE) return problem;
  const mti = view.getUint16(FRAME_MTI_OFFSET, true);
  if (!isRequestMti(mti)) return FRAME_PROBLEM.NOT_A_REQUEST;
  const answered = {
    senderId: view.getInt32(FRAME_SENDER_ID_OFFSET, true),
    keyGeneration: view.getInt32(FRAME_KEY_GENERATION_OFFSET, true),
    sequence: view.getInt32(FRAME_SEQUENCE_OFFSET, true),
  };
  writeAnswered(words, 0, answered, responseMti(mti), host.nowMs(), REASON.OVERLOADED);
  metrics.countFrame(REASON.OVERLOADED);
  reply.queue(bytes);
  reply.flush();
  return FRAME_PROBLEM.NONE;
}
