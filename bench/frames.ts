// Frames of a terminal, made ahead of time, one behind the other, so that sending many is one
// write. A record is a template with card and STAN put in.

import { sealFrame, writeFrameHeader, writeUseRecord } from "../protocol/encode.js";
import { FRAME_HEADER_SIZE, FRAME_MAC_SIZE } from "../protocol/frame.js";
import { MTI_USE_REQUEST } from "../protocol/mti.js";
import {
  MEDIUM_CHIP,
  STAN_MAX,
  USE_PAN_OFFSET,
  USE_RECORD_SIZE,
  USE_STAN_OFFSET,
} from "../protocol/use-record.js";
import type { TerminalKeys } from "./sign-on.js";
import type { Messages } from "./window.js";
import { AMOUNT_MINOR, ITEM_CODE, panOf, writeCardBlock } from "./world.js";

/** What a terminal sends. */
export interface FramePlan {
  terminalId: number;
  /** YYYYMMDD. */
  businessDate: number;
  frameCount: number;
  recordsPerFrame: number;
  /** Sequence of the first frame, 1 and up; the STANs of its records follow from it. */
  firstSequence: number;
  /** Picks the card of the next use. */
  nextCard: () => number;
  /** Of all uses, seconds since 1970; now without it. What is asked again must be the same. */
  localTime?: number;
}

/** Bytes of a frame of `records` uses. */
export function useFrameSize(records: number): number {
  return FRAME_HEADER_SIZE + records * USE_RECORD_SIZE + FRAME_MAC_SIZE;
}

/**
 * Makes the frames of a plan under the terminal's request key. Throws when they are more than a
 * terminal has STANs for.
 */
export function makeFrames(plan: FramePlan, keys: TerminalKeys): Messages {
  const { frameCount, recordsPerFrame, firstSequence } = plan;
  const lastStan = (firstSequence - 1 + frameCount) * recordsPerFrame;
  if (lastStan > STAN_MAX) {
    throw new RangeError(
      `${lastStan} uses of a terminal on one business date, and it has ${STAN_MAX} STANs: plan ` +
        "more terminals, or fewer uses",
    );
  }
  const size = useFrameSize(recordsPerFrame);
  const bytes = Buffer.allocUnsafeSlow(frameCount * size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const record = recordTemplate(plan);
  const header = frameHeader(plan, keys);
  for (let f = 0; f < frameCount; f++) {
    const start = f * size;
    header.sequence = firstSequence + f;
    writeFrameHeader(view, start, header);
    for (let r = 0; r < recordsPerFrame; r++) {
      const offset = start + FRAME_HEADER_SIZE + r * USE_RECORD_SIZE;
      record.copy(bytes, offset);
      writeCardBlock(bytes, offset + USE_PAN_OFFSET, plan.nextCard());
      const stan = (header.sequence - 1) * recordsPerFrame + r + 1;
      view.setUint32(offset + USE_STAN_OFFSET, stan, true);
    }
    sealFrame(keys.request, bytes, start, size - FRAME_MAC_SIZE);
  }
  return { bytes, size, count: frameCount };
}

/** The frames one by one: bodies of POSTs. */
export function bodiesOf({ bytes, size, count }: Messages): Buffer[] {
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/** A record in which card and STAN are missing. */
export function recordTemplate({
  terminalId,
  businessDate,
  localTime = Math.floor(Date.now() / 1000),
}: Pick<FramePlan, "terminalId" | "businessDate" | "localTime">): Buffer {
  const bytes = Buffer.alloc(USE_RECORD_SIZE);
  writeUseRecord(bytes, 0, {
    pan: panOf(0),
    terminalId,
    stan: 0,
    businessDate,
    itemCode: ITEM_CODE,
    amountMinor: AMOUNT_MINOR,
    localTime,
    medium: MEDIUM_CHIP,
    originalStan: 0,
    originalBusinessDate: 0,
  });
  return bytes;
}

function frameHeader(plan: FramePlan, keys: TerminalKeys) {
  return {
    flags: 0,
    mti: MTI_USE_REQUEST,
    count: plan.recordsPerFrame,
    senderId: plan.terminalId,
    keyGeneration: keys.generation,
    sequence: 0,
    bodySize: plan.recordsPerFrame * USE_RECORD_SIZE,
    timeMs: Date.now(),
    status: "",
  };
}
