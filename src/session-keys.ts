// The keys of sessions, ready to use, for as many sessions as fit: they are derived again from the
// master key and the nonces when a session that was put out comes back.

import type { State } from "../engine/state.js";
import { assert } from "../protocol/assert.js";
import { deriveSessionKeys } from "../protocol/kdf.js";
import { createMac, type Mac } from "../protocol/mac.js";
import { MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { MTI_MANAGEMENT_REQUEST } from "../protocol/mti.js";
import { REASON } from "../protocol/reason.js";
import type { FrameSlot } from "./frame-slot.js";
import type { KeyVault } from "./vault.js";

/** Bytes of one slot in the shared key table: algorithm, version, request key, response key. */
export const KEY_SLOT_SIZE = 72;
export const KEY_SLOT_ALGORITHM_OFFSET = 0;
export const KEY_SLOT_VERSION_OFFSET = 4;
export const KEY_SLOT_REQUEST_OFFSET = 8;
export const KEY_SLOT_RESPONSE_OFFSET = 40;

/** Blocks after which no frame can hold keys that were put out before them. */
const RETIRED_BLOCKS = 4;

/** The two keys of one key generation. */
export interface KeyPair {
  /** Slot in the shared key table, for the threads of the pool. */
  slot: number;
  /** Tells the threads of the pool whether the slot still holds these keys. */
  version: number;
  sessionBase: number;
  keyGeneration: number;
  request: Mac;
  response: Mac;
  /** Used since the hand last passed. */
  recent: boolean;
}

export class SessionKeys {
  /** Keys as the pool's threads read them. */
  readonly table: SharedArrayBuffer;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  /** By slot. */
  private readonly pairs: (KeyPair | null)[] = [];
  /** Slots in which no keys are. */
  private readonly free: number[] = [];
  /** By place of the generation. */
  private readonly byGeneration: (KeyPair | undefined)[];
  /** Put out, but a frame that is on its way may still need them. */
  private retired: { pair: KeyPair; atDelivery: number }[] = [];
  private deliveries = 0;
  private hand = 0;
  private version = 0;

  constructor(
    private readonly state: State,
    private readonly vault: KeyVault,
    private readonly pairsMax: number,
  ) {
    this.byGeneration = new Array(state.sessions.generationsMax);
    this.table = new SharedArrayBuffer(pairsMax * KEY_SLOT_SIZE);
    this.bytes = new Uint8Array(this.table);
    this.view = new DataView(this.table);
  }

  /**
   * Finds each frame's terminal, session and keys, or why it is refused. Step by step, for the
   * look-ups of one step do not wait for each other.
   */
  findAll(frames: readonly FrameSlot[]): void {
    const { parties } = this.state;
    for (let i = 0; i < frames.length; i++) {
      frames[i]!.senderRow = parties.find(frames[i]!.senderId);
    }
    for (let i = 0; i < frames.length; i++) this.findSession(frames[i]!);
    for (let i = 0; i < frames.length; i++) this.findKeys(frames[i]!);
  }

  private findSession(frame: FrameSlot): void {
    const { state } = this;
    const { senderRow, keyGeneration } = frame;
    if (senderRow === 0) {
      frame.refusal = REASON.TERMINAL_UNKNOWN;
    } else if (frame.mti !== MTI_MANAGEMENT_REQUEST || keyGeneration !== 0) {
      frame.sessionBase = state.sessions.find(senderRow, keyGeneration, state.nowSeconds);
      if (frame.sessionBase === 0) frame.refusal = REASON.NOT_SIGNED_ON;
    }
  }

  private findKeys(frame: FrameSlot): void {
    const { senderRow, sessionBase, keyGeneration } = frame;
    if (sessionBase === 0) return;
    frame.keys = this.get(senderRow, sessionBase, keyGeneration);
    if (frame.keys === null) frame.refusal = REASON.NOT_SIGNED_ON;
  }

  /**
   * The keys of the generation at `sessionBase` (engine/sessions.ts) of terminal `row`; null when
   * they would have to be derived and their master key has been replaced since.
   */
  get(row: number, sessionBase: number, keyGeneration: number): KeyPair | null {
    const pair = this.byGeneration[this.state.sessions.placeOf(sessionBase)];
    if (pair !== undefined && pair.keyGeneration === keyGeneration) {
      pair.recent = true;
      return pair;
    }
    if (pair !== undefined) this.putOut(pair);
    return this.derive(row, sessionBase, keyGeneration);
  }

  /**
   * A master key of a terminal in clear, to be zeroed by the caller; null when it is not kept, is
   * of another algorithm's size or was wrapped under another key.
   */
  masterKey(row: number, version: number, algorithm: number): Buffer | null {
    const wrapped = this.state.parties.masterKey(row, version);
    if (wrapped === null) return null;
    try {
      const key = this.vault.unwrapKey(wrapped.wrapped);
      if (key.length === MAC_KEY_SIZES[algorithm]) return key;
      key.fill(0);
      return null;
    } catch {
      return null;
    }
  }

  /**
   * Tells that the answers of a block have left. A frame that was on its way when its keys were put
   * out is in one of the next three blocks, so after a fourth the keys are zeroed.
   */
  delivered(): void {
    this.deliveries++;
    while (
      this.retired.length > 0 &&
      this.retired[0]!.atDelivery + RETIRED_BLOCKS <= this.deliveries
    )
      closePair(this.retired.shift()!.pair);
  }

  /** Zeroes the keys that were put out. To be called when no frame is on its way. */
  closeRetired(): void {
    for (const { pair } of this.retired) closePair(pair);
    this.retired = [];
  }

  /** Zeroes every key. */
  close(): void {
    for (const pair of this.pairs) if (pair !== null) this.putOut(pair);
    this.closeRetired();
  }

  private derive(row: number, sessionBase: number, keyGeneration: number): KeyPair | null {
    const seed = this.state.sessions.seed(sessionBase);
    assert(seed.keyGeneration === keyGeneration, "the session has this generation");
    const masterKey = this.masterKey(row, seed.masterKeyVersion, seed.macAlgorithm);
    if (masterKey === null) return null;
    const keys = deriveSessionKeys(
      seed.macAlgorithm,
      masterKey,
      this.state.parties.terminalId(row),
      keyGeneration,
      seed.terminalNonce,
      seed.serverNonce,
    );
    masterKey.fill(0);
    const pair: KeyPair = {
      slot: this.freeSlot(),
      version: ++this.version,
      sessionBase,
      keyGeneration,
      request: createMac(seed.macAlgorithm, keys.requestKey),
      response: createMac(seed.macAlgorithm, keys.responseKey),
      recent: true,
    };
    this.place(pair, seed.macAlgorithm, keys.requestKey, keys.responseKey);
    return pair;
  }

  private place(pair: KeyPair, algorithm: number, request: Uint8Array, response: Uint8Array): void {
    const offset = pair.slot * KEY_SLOT_SIZE;
    this.view.setUint32(offset + KEY_SLOT_ALGORITHM_OFFSET, algorithm, true);
    this.view.setUint32(offset + KEY_SLOT_VERSION_OFFSET, pair.version, true);
    this.bytes.set(request, offset + KEY_SLOT_REQUEST_OFFSET);
    this.bytes.set(response, offset + KEY_SLOT_RESPONSE_OFFSET);
    request.fill(0);
    response.fill(0);
    this.pairs[pair.slot] = pair;
    this.byGeneration[this.state.sessions.placeOf(pair.sessionBase)] = pair;
  }

  /** When all are taken, by second chance: the first not used since the hand last passed. */
  private freeSlot(): number {
    if (this.free.length === 0 && this.pairs.length < this.pairsMax) {
      this.free.push(this.pairs.push(null) - 1);
    }
    while (this.free.length === 0) {
      const pair = this.pairs[this.hand]!;
      this.hand = (this.hand + 1) % this.pairs.length;
      if (!pair.recent) this.putOut(pair);
      pair.recent = false;
    }
    return this.free.pop()!;
  }

  private putOut(pair: KeyPair): void {
    this.retired.push({ pair, atDelivery: this.deliveries });
    this.bytes.fill(0, pair.slot * KEY_SLOT_SIZE, (pair.slot + 1) * KEY_SLOT_SIZE);
    this.pairs[pair.slot] = null;
    this.free.push(pair.slot);
    const place = this.state.sessions.placeOf(pair.sessionBase);
    if (this.byGeneration[place] === pair) this.byGeneration[place] = undefined;
  }
}

function closePair(pair: KeyPair): void {
  pair.request.close();
  pair.response.close();
}
