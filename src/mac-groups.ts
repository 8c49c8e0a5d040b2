// MACs in groups, inline and in the threads of the pool: messages of one key and size that stand
// next to each other (a terminal with several in flight sends and gets them together) go through
// one cipher call for each of their blocks instead of one for each message.

import { assert } from "../protocol/assert.js";
import { WORD } from "../protocol/endian.js";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { type Mac, type Place, tagEquals, tagWordsEqual } from "../protocol/mac.js";
import { REASON } from "../protocol/reason.js";
import type { Batch, PendingBlock } from "./batch.js";
import type { FrameSlot } from "./frame-slot.js";
import type { KeyPair } from "./session-keys.js";

/** Most messages of a group. */
const GROUP_MAX = 256;
const TAG_WORDS = FRAME_MAC_SIZE / WORD.SIZE;

/** Messages of one key, all of `size` bytes, their MACs right behind them. */
export class MacGroup {
  /** Words at which they begin. */
  readonly starts = new Int32Array(GROUP_MAX);
  /** By `verify`: 1 where the MAC holds. */
  readonly holds = new Uint8Array(GROUP_MAX);
  count = 0;
  size = 0;
  /** Of use to nobody but the compiler, which would leave the loads of `warm` out. */
  seen = 0;

  /** Begins a group of messages of `size` bytes with the one at byte `start`. */
  begin(start: number, size: number): void {
    this.count = 0;
    this.size = size;
    this.add(start);
  }

  get full(): boolean {
    return this.count === GROUP_MAX;
  }

  /** Adds the message at byte `start`; the caller has looked at `full`. */
  add(start: number): void {
    assert(start % WORD.SIZE === 0, "frames stand at multiples of a word");
    this.starts[this.count++] = start / WORD.SIZE;
  }

  /** Checks the MACs of all. */
  verify(mac: Mac, place: Place): void {
    const { starts, holds, count, size } = this;
    const tags = mac.signMany(place, starts, count, size);
    if (size % WORD.SIZE !== 0) {
      this.verifyBytes(tags, place);
      return;
    }
    const sizeWords = size / WORD.SIZE;
    for (let i = 0; i < count; i++) {
      const end = starts[i]! + sizeWords;
      holds[i] = tagWordsEqual(tags, i * TAG_WORDS, place.words, end) ? 1 : 0;
    }
  }

  /** Makes the MACs of all. */
  sign(mac: Mac, place: Place): void {
    const { starts, count, size } = this;
    const tags = mac.signMany(place, starts, count, size);
    if (size % WORD.SIZE !== 0) {
      this.signBytes(tags, place);
      return;
    }
    const { words } = place;
    const sizeWords = size / WORD.SIZE;
    for (let i = 0; i < count; i++) {
      const end = starts[i]! + sizeWords;
      for (let w = 0; w < TAG_WORDS; w++) words[end + w] = tags[i * TAG_WORDS + w]!;
    }
  }

  /** MACs that stand at no word: those of management messages, whose bodies have any size. */
  private verifyBytes(tags: Int32Array, { bytes }: Place): void {
    const tagBytes = new Uint8Array(tags.buffer);
    for (let i = 0; i < this.count; i++) {
      const end = this.starts[i]! * WORD.SIZE + this.size;
      this.holds[i] = tagEquals(tagBytes, i * FRAME_MAC_SIZE, bytes, end) ? 1 : 0;
    }
  }

  private signBytes(tags: Int32Array, { bytes }: Place): void {
    const tagBytes = new Uint8Array(tags.buffer);
    for (let i = 0; i < this.count; i++) {
      const tag = tagBytes.subarray(i * FRAME_MAC_SIZE, (i + 1) * FRAME_MAC_SIZE);
      bytes.set(tag, this.starts[i]! * WORD.SIZE + this.size);
    }
  }
}

const group = new MacGroup();

/** Checks the request MACs of all frames that have keys; one that does not hold is refused. */
export function verifyAll(batch: Batch): void {
  const { frames, arena } = batch;
  warmRequests(frames);
  for (let i = 0; i < frames.length; ) {
    const first = frames[i]!;
    if (first.keys === null) {
      i++;
      continue;
    }
    group.begin(first.start, first.size - FRAME_MAC_SIZE);
    let end = i + 1;
    for (; end < frames.length && !group.full && sameRequest(first, frames[end]!); end++) {
      group.add(frames[end]!.start);
    }
    group.verify(first.keys.request, arena);
    for (let j = i; j < end; j++) {
      if (group.holds[j - i] === 0) frames[j]!.refusal = REASON.MAC_INVALID;
    }
    i = end;
  }
}

/** Makes the response MACs of all frames that have a signer. */
export function signAll(block: PendingBlock): void {
  const { frames, arena } = block;
  warmSigners(frames);
  for (let i = 0; i < frames.length; ) {
    const first = frames[i]!;
    if (first.signer === null) {
      i++;
      continue;
    }
    group.begin(first.responseStart, first.responseSize);
    let end = i + 1;
    for (; end < frames.length && !group.full && sameResponse(first, frames[end]!); end++) {
      group.add(frames[end]!.responseStart);
    }
    group.sign(first.signer, arena);
    i = end;
  }
}

function warmRequests(frames: readonly FrameSlot[]): void {
  let last: KeyPair | null = null;
  for (let i = 0; i < frames.length; i++) {
    const { keys } = frames[i]!;
    if (keys === null || keys === last) continue;
    last = keys;
    group.seen ^= keys.request.warm();
  }
}

function warmSigners(frames: readonly FrameSlot[]): void {
  let last: Mac | null = null;
  for (let i = 0; i < frames.length; i++) {
    const { signer } = frames[i]!;
    if (signer === null || signer === last) continue;
    last = signer;
    group.seen ^= signer.warm();
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

function sameRequest(a: FrameSlot, b: FrameSlot): boolean {
  return a.keys === b.keys && a.size === b.size;
}

function sameResponse(a: FrameSlot, b: FrameSlot): boolean {
  return a.signer === b.signer && a.responseSize === b.responseSize;
}
