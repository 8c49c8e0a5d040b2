// A message of several frames: where both ends of a WebSocket have agreed on it by the subprotocol,
// what one of them has to send at once goes in one message, frame behind frame. A frame says its
// own size, so nothing stands between them. It saves what a message costs by itself, at both ends.
//
//   message of a terminal or a concentrator         one message of answers, or several
//   +---------+---------+---------+                 +---------+---------+---------+
//   | frame   | frame   | frame   |  ───────────▶   | answer  | answer  | answer  |
//   +---------+---------+---------+                 +---------+---------+---------+
//
// The invariant: each frame begins at a multiple of 8 bytes, so that records are read in place as
// words. Frames of uses and of outcomes are such multiples; another one ends its message.

import { FRAME_BODY_SIZE_OFFSET, FRAME_SIZE_MIN } from "./frame.js";

/** Name of the subprotocol (RFC 6455, 1.9) by which a message may carry several frames. */
export const GATHERED_SUBPROTOCOL = "tongka.frames.v1";

/** Bytes at a multiple of which each frame of a message begins. */
export const GATHERED_ALIGNMENT = 8;

/**
 * Bytes of the frame at `offset` of a message whose last byte stands before `end`: what it says of
 * itself, or all of the rest when that is no frame with another behind it. Nothing is believed by
 * that: `frameProblem` of so many bytes says whether it is a frame.
 */
export function gatheredFrameSize(view: DataView, offset: number, end: number): number {
  const rest = end - offset;
  if (rest < FRAME_SIZE_MIN) return rest;
  const size = FRAME_SIZE_MIN + view.getUint32(offset + FRAME_BODY_SIZE_OFFSET, true);
  return size < rest && size % GATHERED_ALIGNMENT === 0 ? size : rest;
}

/** The frames of a message one by one, as views of it. */
export function* framesOf(message: Uint8Array): Generator<Uint8Array> {
  const { buffer, byteOffset, length } = message;
  const view = new DataView(buffer, byteOffset, length);
  let offset = 0;
  do {
    const size = gatheredFrameSize(view, offset, length);
    yield message.subarray(offset, offset + size);
    offset += size;
  } while (offset < length);
}
