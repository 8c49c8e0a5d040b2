// A session at the terminal's end: the two keys of a generation, the next sequence number, and
// which call each number sent belongs to. The invariant: a sequence number is used once.

import {
  createMac,
  deriveSessionKeys,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  type Mac,
  sealFrame,
  writeFrameHeader,
} from "../../protocol/index.js";
import type { Call } from "./call.js";

/** Who the terminal is; the master key is shared with the server. */
export interface TerminalIdentity {
  terminalId: number;
  macAlgorithm: number;
  masterKey: Uint8Array;
  masterKeyVersion: number;
}

const SEQUENCE_MAX = 2 ** 32 - 1;

export class Session {
  readonly keyGeneration: number;
  /** Calls by the sequence number under which they were sent. */
  readonly sent = new Map<number, Call>();
  readonly responseMac: Mac;
  private readonly terminalId: number;
  private readonly requestMac: Mac;
  private sequence = 0;

  constructor(
    identity: TerminalIdentity,
    keyGeneration: number,
    terminalNonce: Uint8Array,
    serverNonce: Uint8Array,
  ) {
    const { macAlgorithm, masterKey, terminalId } = identity;
    const keys = deriveSessionKeys(
      macAlgorithm,
      masterKey,
      terminalId,
      keyGeneration,
      terminalNonce,
      serverNonce,
    );
    this.terminalId = terminalId;
    this.keyGeneration = keyGeneration;
    this.requestMac = createMac(macAlgorithm, keys.requestKey);
    this.responseMac = createMac(macAlgorithm, keys.responseKey);
    keys.requestKey.fill(0);
    keys.responseKey.fill(0);
  }

  /** Whether no sequence number is left: sign on again. */
  get exhausted(): boolean {
    return this.sequence >= SEQUENCE_MAX;
  }

  /** The frame that sends `call` under the next sequence number, which is its from now on. */
  frameOf(call: Call, timeMs: number): Uint8Array {
    this.sequence++;
    this.sent.set(this.sequence, call);
    call.sentAs.push({ session: this, sequence: this.sequence });
    const bytes = new Uint8Array(FRAME_HEADER_SIZE + call.body.length + FRAME_MAC_SIZE);
    writeFrameHeader(new DataView(bytes.buffer), 0, {
      flags: 0,
      mti: call.mti,
      count: call.count,
      senderId: this.terminalId,
      keyGeneration: this.keyGeneration,
      sequence: this.sequence,
      bodySize: call.body.length,
      timeMs,
      status: "",
    });
    bytes.set(call.body, FRAME_HEADER_SIZE);
    sealFrame(this.requestMac, bytes, 0, FRAME_HEADER_SIZE + call.body.length);
    return bytes;
  }

  /** Forgets the keys and which calls were sent. */
  close(): void {
    this.requestMac.close();
    this.responseMac.close();
    this.sent.clear();
  }
}
