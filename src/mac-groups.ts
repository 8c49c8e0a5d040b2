// MACs inline, in groups: frames of one session that stand next to each other in a batch or block
// (a terminal with several in flight sends and gets them together) go through one cipher call for
// each of their blocks instead of one for each frame.

import { assert } from "../protocol/assert.js";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { type Mac, tagEquals } from "../protocol/mac.js";
import { REASON } from "../protocol/reason.js";
import type { Batch, PendingBlock } from "./batch.js";
import type { FrameSlot } from "./frame-slot.js";

const GROUP_MAX = 256;
const CIPHER_BLOCK_SIZE = 16;
const starts = new Int32Array(GROUP_MAX);
const tags = new Uint8Array(GROUP_MAX * FRAME_MAC_SIZE);

/** Checks the request MACs of all frames that have keys; one that does not hold is refused. */
export function verifyAll(batch: Batch): void {
  const { frames, arena } = batch;
  for (let i = 0; i < frames.length; ) {
    const first = frames[i]!;
    const size = first.size - FRAME_MAC_SIZE;
    if (first.keys === null) {
      i++;
      continue;
    }
    const mac = first.keys.request;
    let end = i + 1;
    while (end < frames.length && end - i < GROUP_MAX && sameRequest(first, frames[end]!)) end++;
    if (!pays(mac, end - i, size)) {
      for (; i < end; i++) verifyFrame(batch, frames[i]!);
      continue;
    }
    for (let j = i; j < end; j++) starts[j - i] = wordOf(frames[j]!.start);
    mac.signMany!(arena.words, starts, end - i, size, tags);
    for (let j = i; j < end; j++) {
      const holds = tagEquals(tags, (j - i) * FRAME_MAC_SIZE, arena.bytes, frames[j]!.start + size);
      if (!holds) frames[j]!.refusal = REASON.MAC_INVALID;
    }
    i = end;
  }
}

/** Makes the response MACs of all frames that have a signer. */
export function signAll(block: PendingBlock): void {
  const { frames, arena } = block;
  for (let i = 0; i < frames.length; ) {
    const first = frames[i]!;
    const size = first.responseSize;
    if (first.signer === null) {
      i++;
      continue;
    }
    let end = i + 1;
    while (end < frames.length && end - i < GROUP_MAX && sameResponse(first, frames[end]!)) end++;
    if (!pays(first.signer, end - i, size)) {
      for (; i < end; i++) signFrame(block, frames[i]!);
      continue;
    }
    for (let j = i; j < end; j++) starts[j - i] = wordOf(frames[j]!.responseStart);
    first.signer.signMany!(arena.words, starts, end - i, size, tags);
    for (let j = i; j < end; j++) {
      const to = frames[j]!.responseStart + size;
      const from = (j - i) * FRAME_MAC_SIZE;
      for (let b = 0; b < FRAME_MAC_SIZE; b++) arena.bytes[to + b] = tags[from + b]!;
    }
    i = end;
  }
}

/** Checks the MAC of one frame. */
export function verifyFrame(batch: Batch, frame: FrameSlot): void {
  if (frame.keys === null) return;
  const end = frame.start + frame.size - FRAME_MAC_SIZE;
  if (frame.keys.request.verify(batch.arena.bytes, frame.start, end, end)) return;
  frame.refusal = REASON.MAC_INVALID;
}

/** Makes the MAC of one response. */
export function signFrame(block: PendingBlock, frame: FrameSlot): void {
  if (frame.signer === null) return;
  const end = frame.responseStart + frame.responseSize;
  frame.signer.sign(block.arena.bytes, frame.responseStart, end, block.arena.bytes, end);
}

/** A group takes one call for each block of a message: it pays for more messages than that. */
function pays(mac: Mac, count: number, size: number): boolean {
  const wholeBlocks = size % CIPHER_BLOCK_SIZE === 0;
  return mac.signMany !== null && wholeBlocks && count > size / CIPHER_BLOCK_SIZE;
}

function sameRequest(a: FrameSlot, b: FrameSlot): boolean {
  return a.keys === b.keys && a.size === b.size;
}

function sameResponse(a: FrameSlot, b: FrameSlot): boolean {
  return a.signer === b.signer && a.responseSize === b.responseSize;
}

function wordOf(offset: number): number {
  assert(offset % 4 === 0, "frames stand at multiples of a word");
  return offset >> 2;
}
