// Network management (0800): sign-on, sign-off, key change, echo. The rare path: it may allocate.
//
// Sign-on takes two steps. The challenge changes nothing and is answered at once; the proof opens
// a session through the engine, so its answer waits for the block like any other.

import {
  COMMAND,
  OUTCOME,
  SESSION_KEY_CHANGE,
  SESSION_SIGN_OFF,
  SESSION_SIGN_ON,
  SESSION_SIZE,
  writeSession,
} from "../engine/commands.js";
import type { Engine } from "../engine/engine.js";
import { assert } from "../protocol/assert.js";
import { type Management as ManagementRecord, readManagement } from "../protocol/decode.js";
import { frameVerified, sealFrame, writeManagement } from "../protocol/encode.js";
import { FRAME_HEADER_SIZE } from "../protocol/frame.js";
import { deriveSignOnKey } from "../protocol/kdf.js";
import { createMac, type Mac } from "../protocol/mac.js";
import {
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  FUNCTION_SIGN_ON,
  MANAGEMENT_RECORD_SIZE,
  NONCE_SIZE,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
} from "../protocol/management.js";
import { writeParameters } from "../protocol/parameters.js";
import { REASON } from "../protocol/reason.js";
import { Arena } from "./arena.js";
import type { PendingBlock } from "./batch.js";
import type { Config } from "./config.js";
import type { FrameSlot } from "./frame-slot.js";
import type { Host } from "./host.js";
import { beginResponse } from "./responses.js";
import type { SessionKeys } from "./session-keys.js";

/** Most bytes of a management response, parameters included. */
const RESPONSE_ROOM = 512;
/** Bytes of journal entries a management frame makes: its own and a session command. */
const JOURNAL_ROOM = 4 * SESSION_SIZE;
const ZERO_NONCE = new Uint8Array(NONCE_SIZE);

/** The answer has left: it waits for nothing. */
export const ANSWERED_AT_ONCE = -1;

interface Challenge {
  terminalNonce: Uint8Array;
  serverNonce: Uint8Array;
  expiresMs: number;
}

export class Management {
  private readonly challenges = new Map<number, Challenge>();
  private readonly scratch = new Arena(1024, false);

  constructor(
    private readonly config: Config,
    private readonly engine: Engine,
    private readonly keys: SessionKeys,
    private readonly host: Host,
  ) {}

  fits(block: PendingBlock): boolean {
    return this.engine.fits(JOURNAL_ROOM) && block.arena.fits(RESPONSE_ROOM);
  }

  /**
   * Handles a frame whose session, if it names one, was found and its MAC checked. Returns the
   * reason of a refusal, 0 when the response stands in the block, or ANSWERED_AT_ONCE.
   */
  handle(arena: Arena, frame: FrameSlot, block: PendingBlock): number {
    const record = readManagement(arena.view, frame.start + FRAME_HEADER_SIZE);
    if (frame.keyGeneration === 0) return this.signOn(arena, frame, record, block);
    switch (record.functionCode) {
      case FUNCTION_ECHO:
        this.takeFrame(frame);
        return this.respond(frame, block, record, 0, null);
      case FUNCTION_SIGN_OFF:
        this.takeFrame(frame);
        this.session(frame, record, SESSION_SIGN_OFF, 0, ZERO_NONCE);
        return this.respond(frame, block, record, 0, null);
      case FUNCTION_KEY_CHANGE:
        return this.keyChange(frame, record, block);
      default:
        return REASON.FORMAT_INVALID;
    }
  }

  private signOn(
    arena: Arena,
    frame: FrameSlot,
    record: ManagementRecord,
    block: PendingBlock,
  ): number {
    if (record.functionCode !== FUNCTION_SIGN_ON) return REASON.NOT_SIGNED_ON;
    const mac = this.signOnMac(frame, record);
    if (mac === null) return REASON.MAC_INVALID;
    try {
      if (!frameVerified(mac, arena.bytes, frame.start, frame.size)) return REASON.MAC_INVALID;
      if (!this.engine.state.parties.open(frame.senderRow)) return REASON.TERMINAL_CLOSED;
      if (record.step === SIGN_ON_CHALLENGE) return this.challenge(frame, record, mac);
      if (record.step === SIGN_ON_PROOF) return this.proof(frame, record, block);
      return REASON.FORMAT_INVALID;
    } finally {
      mac.close();
    }
  }

  /** The key under which a terminal signs on, or null when it names none of its keys. */
  private signOnMac(frame: FrameSlot, record: ManagementRecord): Mac | null {
    const { senderRow, senderId } = frame;
    const algorithm = this.engine.state.parties.macAlgorithm(senderRow);
    if (record.macAlgorithm !== algorithm) return null;
    const masterKey = this.keys.masterKey(senderRow, record.masterKeyVersion, algorithm);
    if (masterKey === null) return null;
    const key = deriveSignOnKey(algorithm, masterKey, senderId, record.masterKeyVersion);
    masterKey.fill(0);
    const mac = createMac(algorithm, key);
    key.fill(0);
    return mac;
  }

  private challenge(frame: FrameSlot, record: ManagementRecord, mac: Mac): number {
    const { challengesMax, challengeSeconds } = this.config.session;
    this.challenges.delete(frame.senderId);
    if (this.challenges.size >= challengesMax) this.dropOldest();
    const challenge = {
      terminalNonce: record.terminalNonce,
      serverNonce: this.host.random(NONCE_SIZE),
      expiresMs: this.host.nowMs() + challengeSeconds * 1000,
    };
    this.challenges.set(frame.senderId, challenge);
    this.scratch.clear();
    const body = beginResponse(
      this.scratch,
      frame,
      1,
      MANAGEMENT_RECORD_SIZE,
      this.host.nowMs(),
      REASON.APPROVED,
    );
    const { serverNonce } = challenge;
    writeManagement(this.scratch.bytes, body, { ...record, serverNonce });
    const size = sealFrame(mac, this.scratch.bytes, frame.responseStart, frame.responseSize);
    frame.reply!.queue(this.scratch.bytes.slice(0, size), 0, size);
    frame.reply!.flush();
    return ANSWERED_AT_ONCE;
  }

  private proof(frame: FrameSlot, record: ManagementRecord, block: PendingBlock): number {
    const challenge = this.challenges.get(frame.senderId);
    this.challenges.delete(frame.senderId);
    if (challenge === undefined || this.host.nowMs() >= challenge.expiresMs) {
      return REASON.SIGN_ON_REFUSED;
    }
    const sameNonces =
      Buffer.compare(challenge.terminalNonce, record.terminalNonce) === 0 &&
      Buffer.compare(challenge.serverNonce, record.serverNonce) === 0;
    if (!sameNonces) return REASON.SIGN_ON_REFUSED;
    const generation = this.nextGeneration(frame);
    const outcome = this.session(frame, record, SESSION_SIGN_ON, generation, challenge.serverNonce);
    if (outcome !== OUTCOME.DONE) return REASON.SESSIONS_FULL;
    const { senderRow } = frame;
    const { sessions, nowSeconds } = this.engine.state;
    frame.sessionBase = sessions.find(senderRow, generation, nowSeconds);
    frame.keys = this.keys.get(senderRow, frame.sessionBase, generation);
    assert(frame.keys !== null, "the master key of a proof is kept");
    frame.keyGeneration = generation;
    return this.respond(frame, block, record, generation, challenge.serverNonce);
  }

  private keyChange(frame: FrameSlot, record: ManagementRecord, block: PendingBlock): number {
    this.takeFrame(frame);
    const generation = this.nextGeneration(frame);
    const serverNonce = this.host.random(NONCE_SIZE);
    const { macAlgorithm, masterKeyVersion } = this.engine.state.sessions.seed(frame.sessionBase);
    if (macAlgorithm !== this.engine.state.parties.macAlgorithm(frame.senderRow)) {
      return REASON.NOT_SIGNED_ON;
    }
    const masterKey = this.keys.masterKey(frame.senderRow, masterKeyVersion, macAlgorithm);
    if (masterKey === null) return REASON.NOT_SIGNED_ON;
    masterKey.fill(0);
    const current = { ...record, masterKeyVersion };
    this.session(frame, current, SESSION_KEY_CHANGE, generation, serverNonce);
    return this.respond(frame, block, current, generation, serverNonce);
  }

  /** Records the frame itself, which has no records, and takes its sequence. */
  private takeFrame(frame: FrameSlot): void {
    const { senderRow, keyGeneration, sessionBase, sequence } = frame;
    this.engine.beginFrame(frame.mti, senderRow, keyGeneration, sessionBase, sequence);
    this.engine.endFrame();
  }

  private session(
    frame: FrameSlot,
    record: ManagementRecord,
    action: number,
    keyGeneration: number,
    serverNonce: Uint8Array,
  ): number {
    const bytes = new Uint8Array(SESSION_SIZE);
    writeSession(bytes, 0, {
      terminalId: frame.senderId,
      keyGeneration,
      expiresAt: keyGeneration === 0 ? 0 : this.expiresAt(),
      action,
      macAlgorithm: this.engine.state.parties.macAlgorithm(frame.senderRow),
      terminalNonce: record.terminalNonce,
      serverNonce,
      masterKeyVersion: record.masterKeyVersion,
    });
    this.engine.beginCommands(COMMAND.SESSION);
    const outcome = this.engine.command(COMMAND.SESSION, bytes);
    this.engine.endCommands();
    return outcome;
  }

  /** Writes the response into the block; with a generation, the session's parameters follow. */
  private respond(
    frame: FrameSlot,
    block: PendingBlock,
    record: ManagementRecord,
    keyGeneration: number,
    serverNonce: Uint8Array | null,
  ): number {
    const parameters = new Uint8Array(RESPONSE_ROOM);
    const isSignOn = record.functionCode === FUNCTION_SIGN_ON;
    const parameterSize = isSignOn ? writeParameters(parameters, 0, this.parameters()) : 0;
    const body = beginResponse(
      block.arena,
      frame,
      1,
      MANAGEMENT_RECORD_SIZE + parameterSize,
      this.engine.state.registers.timeMs,
      REASON.APPROVED,
    );
    writeManagement(block.arena.bytes, body, {
      ...record,
      keyGeneration,
      expiresAt: keyGeneration === 0 ? 0 : this.expiresAt(),
      serverNonce: serverNonce ?? ZERO_NONCE,
    });
    const parametersStart = body + MANAGEMENT_RECORD_SIZE;
    block.arena.bytes.set(parameters.subarray(0, parameterSize), parametersStart);
    frame.signer = frame.keys!.response;
    return 0;
  }

  private parameters() {
    const { limits, session } = this.config;
    return {
      businessDate: this.engine.state.businessDate,
      serverTimeMs: this.engine.state.registers.timeMs,
      recordsPerFrameMax: limits.recordsPerFrameMax,
      recordsInFlightMax: limits.recordsInFlightMax,
      sessionSeconds: session.seconds,
      keyOverlapSeconds: session.keyOverlapSeconds,
    };
  }

  private nextGeneration(frame: FrameSlot): number {
    return this.engine.state.sessions.lastGeneration(frame.senderRow) + 1;
  }

  private expiresAt(): number {
    return this.engine.state.nowSeconds + this.config.session.seconds;
  }

  private dropOldest(): void {
    for (const terminalId of this.challenges.keys()) {
      this.challenges.delete(terminalId);
      return;
    }
  }
}
