// The auditor: what leaves a node is held against what is durable. An answer must be the one that
// the history expects of its frame, under the right key, from a node that lives; a refusal must
// have its cause; after each crash the node that comes back must be the history's.
//
// Invariant: whatever has been answered stays expected for ever.

import { AuditorKeys } from "./auditor-keys.js";
import { type Expected, frameKey, History, type SentFrame } from "./history.js";
import type { ModelOutcome, ModelRules } from "./model.js";
import { Broken } from "./trace.js";
import { hexOf } from "./wire.js";

const MANAGEMENT = 0x0800;
/** Records that may be in flight whatever the load (protocol/README.md, limits). */
const ALWAYS_TAKEN = 64;
const AUTHORIZATION_AT = 24;

/** A response as the auditor reads it. */
interface Response {
  bytes: Uint8Array;
  view: DataView;
  flags: number;
  mti: number;
  count: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
  bodySize: number;
  timeMs: number;
  status: string;
}

/** What a frame was when it was handed to the core. */
export interface Delivered {
  senderId: number;
  keyGeneration: number;
  sequence: number;
  mti: number;
  count: number;
  /** Bytes were changed on the way: nothing may come of it. */
  tampered: boolean;
}

export class Auditor {
  readonly history: History;
  /** Answers checked. */
  answers = 0;
  repeats = 0;
  refusals = 0;
  private readonly keys = new AuditorKeys();
  /** Highest position that anyone was told of. */
  floor = 0;
  /** For each use, the floor when it was first sent: it must be decided after that. */
  private readonly floors = new Map<string, number>();
  /** The first outcome record that left for a use, hex. */
  private readonly firstLeft = new Map<string, string>();
  /** Frames handed to the node that lives and not answered: the records of each. */
  private readonly open = new Map<string, number[]>();
  /** All their records. */
  openRecords = 0;
  /** Frames of this life whose bytes were changed on the way. */
  private readonly tampered = new Set<string>();
  /** The node refuses what comes: it is being stopped. */
  stopping = false;
  /** Sequence numbers ever delivered, by terminal and generation. */
  private readonly deliveredSequences = new Map<string, Map<number, number>>();
  private readonly highestDelivered = new Map<string, number>();

  constructor(
    rules: ModelRules,
    private readonly limits: { recordsInFlightMax: number; recordsPerFrameMax: number },
    private readonly latestMs: () => number,
  ) {
    this.history = new History(rules, latestMs);
  }

  /** Frames handed over and not answered. */
  get unanswered(): number {
    return [...this.open.values()].reduce((sum, counts) => sum + counts.length, 0);
  }

  /** A use is sent for the first time, or again. */
  asked(key: string): void {
    if (!this.floors.has(key)) this.floors.set(key, this.floor);
  }

  /** Someone was told of a position. */
  seen(position: number): void {
    this.floor = Math.max(this.floor, position);
  }

  /** A frame is handed to the core. */
  delivered(frame: Delivered): void {
    const key = openKey(frame);
    this.open.set(key, [...(this.open.get(key) ?? []), frame.count]);
    this.openRecords += frame.count;
    if (frame.tampered) this.tampered.add(key);
    if (frame.tampered || frame.keyGeneration === 0) return;
    const session = `${frame.senderId}/${frame.keyGeneration}`;
    const counts = this.deliveredSequences.get(session) ?? new Map<number, number>();
    counts.set(frame.sequence, (counts.get(frame.sequence) ?? 0) + 1);
    this.deliveredSequences.set(session, counts);
    const highest = this.highestDelivered.get(session) ?? 0;
    this.highestDelivered.set(session, Math.max(highest, frame.sequence));
  }

  /** The core closed the connection on it: it was not taken. */
  malformed(frame: Delivered): void {
    this.close(frame, false);
  }

  /** The process is gone: what it had taken is not answered any more, but it may be durable. */
  crashed(): void {
    this.open.clear();
    this.tampered.clear();
    this.openRecords = 0;
    this.stopping = false;
  }

  /** A response leaves the node. */
  left(bytes: Uint8Array): void {
    const response = readResponse(bytes);
    const inFlight = this.openRecords;
    const key = this.close({ ...response, mti: response.mti & ~0x10 }, response.status === "00");
    if (response.status === "00") this.checkAnswer(response);
    else this.checkRefusal(response, inFlight, this.tampered.has(key));
  }

  /** The answer to a sign-on's proof names the generation that it opened. */
  private close(frame: Omit<Delivered, "tampered" | "count">, answered: boolean): string {
    const opens = answered && frame.mti === MANAGEMENT && frame.sequence === 0;
    const key = openKey(opens ? { ...frame, keyGeneration: 0 } : frame);
    const counts = this.open.get(key) ?? [];
    if (counts.length === 0) throw new Broken("an answer that no one waits for", key);
    this.openRecords -= counts.shift()!;
    if (counts.length === 0) this.open.delete(key);
    return key;
  }

  private checkAnswer(response: Response): void {
    this.answers++;
    const key = frameKey(response);
    check(response.flags === 0, "an answer is authenticated", key);
    if (response.mti === 0x0810 && response.sequence === 0 && response.view.getUint8(34) === 0) {
      this.checkChallenge(response);
      return;
    }
    const expected = this.history.expected.get(key);
    if (expected === undefined) throw new Broken("answered and not durable", key);
    this.checkMac(response, expected);
    check(response.timeMs === expected.timeMs, "an answer has its block's time", key);
    if (response.mti === 0x0810) this.checkManagement(response, expected);
    else this.checkOutcomes(response, expected.outcomes);
  }

  private checkMac(response: Response, expected: Expected): void {
    const mac = this.keys.response(response.senderId, expected.signer);
    const end = response.bytes.length - 16;
    const holds = mac.verify(response.bytes, 0, end, end);
    check(holds, "an answer is under its session's key", frameKey(response));
  }

  private checkChallenge(response: Response): void {
    const { senderId, view, bytes } = response;
    const key = `challenge ${senderId}`;
    const terminal = this.history.model.terminals.get(senderId);
    const version = view.getUint32(36, true);
    const kept = terminal?.keys.find((each) => each.version === version);
    // A challenge waits for nothing: the terminal's key may be on its way to the disk.
    if (terminal !== undefined && kept !== undefined) {
      const mac = this.keys.signOn(senderId, kept.hex, version, terminal.macAlgorithm);
      const end = bytes.length - 16;
      check(mac.verify(bytes, 0, end, end), "a challenge is under the sign-on key", key);
    }
    const terminalNonce = hexOf(bytes.subarray(48, 64));
    const serverNonce = hexOf(bytes.subarray(64, 80));
    this.history.challenges.add(`${senderId}/${terminalNonce}/${serverNonce}`);
  }

  private checkManagement(response: Response, expected: Expected): void {
    const { view, bytes } = response;
    const key = frameKey(response);
    const { opened } = expected;
    check(view.getUint32(40, true) === (opened?.generation ?? 0), "the generation opened", key);
    check(view.getUint32(44, true) === (opened?.expiresAt ?? 0), "the session's end", key);
    if (opened === null) return;
    check(hexOf(bytes.subarray(64, 80)) === hexOf(opened.serverNonce), "its nonce", key);
  }

  private checkOutcomes(response: Response, outcomes: readonly ModelOutcome[]): void {
    const key = frameKey(response);
    check(response.count === outcomes.length, "an outcome for each use", key);
    outcomes.forEach((outcome, i) => {
      this.checkOutcome(response.bytes.subarray(32 + i * 32, 64 + i * 32), outcome);
    });
  }

  private checkOutcome(record: Uint8Array, outcome: ModelOutcome): void {
    const { key } = outcome;
    const view = new DataView(record.buffer, record.byteOffset, 32);
    const authorizationId = view.getUint32(AUTHORIZATION_AT, true);
    const approved = outcome.reason === 0;
    const inRange = authorizationId >= 1 && authorizationId <= 999_999;
    check(approved ? inRange : authorizationId === 0, "an authorization number", key);
    const right = hexOf(outcomeRecord(outcome, authorizationId));
    const hex = hexOf(record);
    if (hex !== right) throw new Broken(`answered ${hex}, and must be ${right}`, key);
    const named = `${key} ${outcome.rrn}`;
    const first = this.firstLeft.get(named);
    if (first !== undefined) this.repeats++;
    check(first === undefined || first === hex, "a repeat gets the first answer", key);
    this.firstLeft.set(named, hex);
    const floor = this.floors.get(key) ?? 0;
    check(outcome.rrn > floor, "a use sees all that was answered before it was sent", key);
    this.seen(outcome.rrn);
  }

  private checkRefusal(response: Response, inFlight: number, tampered: boolean): void {
    this.refusals++;
    const key = frameKey(response);
    check(response.count === 0 && response.bytes.length === 48, "a refusal has no body", key);
    if (tampered) return;
    const sent = this.history.sent.get(key);
    const terminal = this.history.model.terminals.get(response.senderId);
    switch (response.status) {
      case "97":
        check(terminal === undefined, "a registered terminal is known", key);
        break;
      case "A0":
        this.checkNotSignedOn(response);
        break;
      case "63":
        if (response.keyGeneration !== 0) this.checkSequence(response);
        break;
      case "91":
        this.checkOverload(response, sent, inFlight);
        break;
      case "58":
      case "30":
        check(response.mti === 0x0810, "only sign-on is refused so", key);
        break;
      default:
        throw new Broken(`a frame refused with ${response.status}`, key);
    }
  }

  /** A frame under a session in force, with nothing on its way that could end it, is taken. */
  private checkNotSignedOn(response: Response): void {
    const { senderId, keyGeneration } = response;
    if (keyGeneration === 0) return;
    const { model } = this.history;
    const latest = Math.floor(this.latestMs() / 1000);
    const generation = model.generation(senderId, keyGeneration, latest);
    if (generation === null) return;
    if (this.history.changing(senderId)) return;
    const terminal = model.terminals.get(senderId)!;
    if (!terminal.keys.some(({ version }) => version === generation.keyVersion)) return;
    if (generation.macAlgorithm !== terminal.macAlgorithm) return;
    const underWay = [...this.open.keys()].some((key) =>
      key.startsWith(`${MANAGEMENT}/${senderId}/`),
    );
    check(underWay, "a session in force is known", frameKey(response));
  }

  private checkSequence(response: Response): void {
    const session = `${response.senderId}/${response.keyGeneration}`;
    const times = this.deliveredSequences.get(session)?.get(response.sequence) ?? 0;
    const behind = (this.highestDelivered.get(session) ?? 0) - response.sequence;
    check(times > 1 || behind > 255, "a new sequence number is taken", frameKey(response));
  }

  private checkOverload(response: Response, sent: SentFrame | undefined, inFlight: number): void {
    if (response.mti === 0x0810 || this.stopping) return;
    const { recordsInFlightMax, recordsPerFrameMax } = this.limits;
    const count = sent?.uses.length ?? 0;
    // While answers are late, fewer are taken, but always so many.
    const taken = Math.min(ALWAYS_TAKEN, recordsInFlightMax);
    const over = inFlight > taken || count > recordsPerFrameMax;
    check(over, "only an overload is refused with 91", frameKey(response));
  }
}

function openKey(frame: {
  mti: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
}): string {
  return `${frame.mti}/${frameKey(frame)}`;
}

function readResponse(bytes: Uint8Array): Response {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const response = {
    bytes,
    view,
    flags: view.getUint8(3),
    mti: view.getUint16(4, true),
    count: view.getUint16(6, true),
    senderId: view.getUint32(8, true),
    keyGeneration: view.getUint32(12, true),
    sequence: view.getUint32(16, true),
    bodySize: view.getUint32(20, true),
    timeMs: view.getUint32(24, true) + view.getUint16(28, true) * 2 ** 32,
    status: Buffer.from(bytes.subarray(30, 32)).toString("latin1"),
  };
  const key = frameKey(response);
  check(view.getUint16(0, true) === 0x4b54 && view.getUint8(2) === 1, "a frame of ours", key);
  check(bytes.length === 48 + response.bodySize, "a frame's size is told", key);
  return response;
}

/** The outcome record as the protocol's page draws it. */
function outcomeRecord(outcome: ModelOutcome, authorizationId: number): Uint8Array {
  const record = new Uint8Array(32);
  const view = new DataView(record.buffer);
  view.setUint32(0, outcome.terminalId, true);
  view.setUint32(4, outcome.stan, true);
  view.setUint32(8, outcome.date, true);
  record.set(Buffer.from(outcome.code, "latin1"), 12);
  view.setUint16(14, outcome.reason, true);
  view.setBigUint64(16, BigInt(outcome.rrn), true);
  view.setUint32(AUTHORIZATION_AT, authorizationId, true);
  view.setUint8(28, outcome.wouldDecline ? 1 : 0);
  view.setUint8(29, outcome.differing);
  return record;
}

function check(holds: boolean, promise: string, key: string): void {
  if (!holds) throw new Broken(promise, key);
}
