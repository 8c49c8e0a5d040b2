// One sign-on of a terminal: challenge and proof under the sign-on key (protocol/README.md).
// Each attempt has a nonce of its own, so that an answer to another attempt does not fit.

import { randomBytes } from "node:crypto";
import {
  createMac,
  deriveSignOnKey,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  type FrameHeader,
  FUNCTION_SIGN_ON,
  frameVerified,
  MANAGEMENT_RECORD_SIZE,
  type Mac,
  type Management,
  MTI_MANAGEMENT_REQUEST,
  NONCE_SIZE,
  readManagement,
  readParameters,
  type SessionParameters,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
  sealFrame,
  writeFrameHeader,
  writeManagement,
} from "../../protocol/index.js";
import { Session, type TerminalIdentity } from "./session.js";

/** What a frame received during sign-on leads to. */
export type SignOnStep =
  | { kind: "ignore" }
  | { kind: "send"; frame: Uint8Array }
  | { kind: "refused"; status: string }
  | { kind: "open"; session: Session; parameters: SessionParameters };

const IGNORE: SignOnStep = { kind: "ignore" };

export class SignOn {
  private readonly identity: TerminalIdentity;
  private readonly mac: Mac;
  private readonly terminalNonce: Uint8Array = randomBytes(NONCE_SIZE);
  private serverNonce: Uint8Array | null = null;

  constructor(identity: TerminalIdentity) {
    this.identity = identity;
    const { macAlgorithm, masterKey, terminalId, masterKeyVersion } = identity;
    const key = deriveSignOnKey(macAlgorithm, masterKey, terminalId, masterKeyVersion);
    this.mac = createMac(macAlgorithm, key);
    key.fill(0);
  }

  /** The frame that begins the sign-on. */
  challenge(timeMs: number): Uint8Array {
    return this.frame(SIGN_ON_CHALLENGE, new Uint8Array(NONCE_SIZE), timeMs);
  }

  /** Takes a sound 0810 that is not flagged unauthenticated. */
  receive(header: FrameHeader, frame: Uint8Array, timeMs: number): SignOnStep {
    if (header.keyGeneration !== 0) return this.receiveSession(header, frame);
    if (!frameVerified(this.mac, frame, 0, frame.length)) return IGNORE;
    if (header.status !== "00") return { kind: "refused", status: header.status };
    const record = this.recordOf(header, frame, SIGN_ON_CHALLENGE);
    if (record === null || this.serverNonce !== null) return IGNORE;
    this.serverNonce = record.serverNonce;
    return { kind: "send", frame: this.frame(SIGN_ON_PROOF, record.serverNonce, timeMs) };
  }

  close(): void {
    this.mac.close();
  }

  /** The last answer: its MAC holds only under the keys of the session that it opens. */
  private receiveSession(header: FrameHeader, frame: Uint8Array): SignOnStep {
    const record = this.recordOf(header, frame, SIGN_ON_PROOF);
    if (record === null || this.serverNonce === null || header.status !== "00") return IGNORE;
    const { keyGeneration } = header;
    const { identity, terminalNonce, serverNonce } = this;
    const session = new Session(identity, keyGeneration, terminalNonce, serverNonce);
    const verified = frameVerified(session.responseMac, frame, 0, frame.length);
    if (!verified || record.keyGeneration !== keyGeneration) {
      session.close();
      return IGNORE;
    }
    const start = FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE;
    const parameters = readParameters(frame, start, frame.length - FRAME_MAC_SIZE);
    return { kind: "open", session, parameters };
  }

  /** The management record, when it is one of this attempt. */
  private recordOf(header: FrameHeader, frame: Uint8Array, step: number): Management | null {
    if (header.count !== 1) return null;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const record = readManagement(view, FRAME_HEADER_SIZE);
    const fits =
      record.functionCode === FUNCTION_SIGN_ON &&
      record.step === step &&
      Buffer.compare(record.terminalNonce, this.terminalNonce) === 0;
    return fits ? record : null;
  }

  private frame(step: number, serverNonce: Uint8Array, timeMs: number): Uint8Array {
    const { terminalId, macAlgorithm, masterKeyVersion } = this.identity;
    const size = FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE;
    const bytes = new Uint8Array(size + FRAME_MAC_SIZE);
    writeFrameHeader(new DataView(bytes.buffer), 0, {
      flags: 0,
      mti: MTI_MANAGEMENT_REQUEST,
      count: 1,
      senderId: terminalId,
      keyGeneration: 0,
      sequence: 0,
      bodySize: MANAGEMENT_RECORD_SIZE,
      timeMs,
      status: "",
    });
    writeManagement(bytes, FRAME_HEADER_SIZE, {
      functionCode: FUNCTION_SIGN_ON,
      step,
      macAlgorithm,
      masterKeyVersion,
      keyGeneration: 0,
      expiresAt: 0,
      terminalNonce: this.terminalNonce,
      serverNonce,
    });
    sealFrame(this.mac, bytes, 0, size);
    return bytes;
  }
}
