// A frame on its way through the core, from its arrival until its answer has left. Slots are made
// once and used again: the way of a request allocates next to nothing.

import {
  FRAME_COUNT_OFFSET,
  FRAME_KEY_GENERATION_OFFSET,
  FRAME_MTI_OFFSET,
  FRAME_SENDER_ID_OFFSET,
  FRAME_SEQUENCE_OFFSET,
} from "../protocol/frame.js";
import type { Mac } from "../protocol/mac.js";
import type { KeyPair } from "./session-keys.js";

/** Where a frame came from and its answer goes: a WebSocket or a pending HTTP response. */
export interface Reply {
  /** Whether a message carries several frames, both ways (protocol/message.ts). */
  readonly gathers: boolean;
  /**
   * Takes response frames, `bytes[start..end)`, to be sent or copied by the next `flush`; all that
   * one flush sends stand in one array.
   */
  queue(bytes: Uint8Array, start: number, end: number): void;
  /** Sends what was queued. Does nothing on a connection that is gone. */
  flush(): void;
  /** Marks a reply that `flush` is due for; set and cleared by the core. */
  dirty: boolean;
}

export class FrameSlot {
  reply: Reply | null = null;
  /** When it arrived, performance.now(). */
  receivedMs = 0;
  /** The request: bytes in the batch's arena. */
  start = 0;
  size = 0;
  mti = 0;
  count = 0;
  senderId = 0;
  keyGeneration = 0;
  sequence = 0;
  /** Found while verifying. */
  senderRow = 0;
  sessionBase = 0;
  keys: KeyPair | null = null;
  /** Reason for which the frame is refused as a whole, or 0. */
  refusal = 0;
  /** First of its records among the batch's tokens. */
  tokenIndex = 0;
  /** The response: bytes in the block's arena, without its MAC. */
  responseStart = 0;
  responseSize = 0;
  /** What signs the response; null when it is signed already. */
  signer: Mac | null = null;
}

/** Fills a slot from a well-formed frame, the `size` bytes at `start` of a batch's arena. */
export function readSlot(slot: FrameSlot, view: DataView, start: number, size: number): void {
  slot.start = start;
  slot.size = size;
  slot.mti = view.getUint16(start + FRAME_MTI_OFFSET, true);
  slot.count = view.getUint16(start + FRAME_COUNT_OFFSET, true);
  slot.senderId = view.getUint32(start + FRAME_SENDER_ID_OFFSET, true);
  slot.keyGeneration = view.getUint32(start + FRAME_KEY_GENERATION_OFFSET, true);
  slot.sequence = view.getUint32(start + FRAME_SEQUENCE_OFFSET, true);
}

/** Slots to use again. */
export class FrameSlots {
  private readonly free: FrameSlot[] = [];

  take(): FrameSlot {
    return this.free.pop() ?? new FrameSlot();
  }

  release(slot: FrameSlot): void {
    slot.reply = null;
    slot.keys = null;
    slot.signer = null;
    slot.sessionBase = 0;
    slot.refusal = 0;
    this.free.push(slot);
  }
}
