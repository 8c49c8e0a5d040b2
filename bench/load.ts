// The load of the wire cases: terminals that sign on, then send frames made and MACed ahead of
// time, so many in flight on each connection. Every answer is looked at: its status and how many
// of its records were approved; of every hundredth the MAC is checked.

import { randomBytes } from "node:crypto";
import { readFrameHeader, readManagement } from "../protocol/decode.js";
import {
  frameVerified,
  sealFrame,
  writeFrameHeader,
  writeManagement,
  writeUseRecord,
} from "../protocol/encode.js";
import {
  FRAME_COUNT_OFFSET,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_STATUS_OFFSET,
} from "../protocol/frame.js";
import { deriveSessionKeys, deriveSignOnKey } from "../protocol/kdf.js";
import { createMac, type Mac } from "../protocol/mac.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import {
  FUNCTION_SIGN_ON,
  MANAGEMENT_RECORD_SIZE,
  NONCE_SIZE,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
} from "../protocol/management.js";
import { MTI_MANAGEMENT_REQUEST, MTI_USE_REQUEST } from "../protocol/mti.js";
import { OUTCOME_RECORD_SIZE, OUTCOME_RESPONSE_CODE_OFFSET } from "../protocol/outcome-record.js";
import { MEDIUM_CHIP, USE_RECORD_SIZE } from "../protocol/use-record.js";
import { clientHeaderSize, LoadSocket, writeClientHeader } from "./socket.js";
import { AMOUNT_MINOR, ITEM_CODE, MASTER_KEY_VERSION, masterKeyOf, panOf } from "./world.js";

const APPROVED_WORD = 0x3030;
const MAC_CHECKED_EVERY = 100;

/** What a terminal sends in a case. */
export interface LoadPlan {
  url: string;
  terminalId: number;
  frameCount: number;
  recordsPerFrame: number;
  inFlight: number;
  cardCount: number;
  /** YYYYMMDD. */
  businessDate: number;
  /** Picks a card, 0 to 1. */
  random: () => number;
}

export class LoadTerminal {
  approved = 0;
  declined = 0;
  answered = 0;
  private socket!: LoadSocket;
  private generation = 0;
  private request!: Mac;
  private response!: Mac;
  private frames: Buffer = Buffer.alloc(0);
  private frameSize = 0;
  private messageSize = 0;
  private sent = 0;
  private finish: (() => void) | null = null;
  private fail: ((error: Error) => void) | null = null;
  private waiting: ((payload: Buffer) => void) | null = null;

  constructor(private readonly plan: LoadPlan) {}

  /** Connects, signs on and makes all frames. */
  async prepare(): Promise<void> {
    const onMessage = (bytes: Buffer, start: number, size: number) => {
      if (this.waiting !== null) this.waiting(Buffer.from(bytes.subarray(start, start + size)));
      else this.take(bytes, start, size);
    };
    this.socket = await LoadSocket.open(this.plan.url, onMessage, () => {
      this.sendNext(this.answered + this.plan.inFlight - this.sent);
    });
    await this.signOn();
    this.makeFrames();
  }

  /** The frames made, as HTTP bodies. */
  bodies(): Buffer[] {
    const headerSize = clientHeaderSize(this.frameSize);
    return Array.from({ length: this.plan.frameCount }, (_, i) => {
      const start = i * this.messageSize + headerSize;
      return this.frames.subarray(start, start + this.frameSize);
    });
  }

  /** Sends everything; resolves when the last answer is there. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
      this.sendNext(this.plan.inFlight);
    });
  }

  close(): void {
    this.socket.close();
    this.request.close();
    this.response.close();
  }

  private sendNext(count: number): void {
    const end = Math.min(this.sent + count, this.plan.frameCount);
    if (end <= this.sent || this.frames.length === 0) return;
    const { messageSize } = this;
    this.socket.send(this.frames.subarray(this.sent * messageSize, end * messageSize));
    this.sent = end;
  }

  private take(bytes: Buffer, start: number, size: number): void {
    const status = bytes.readUInt16LE(start + FRAME_STATUS_OFFSET);
    if (status !== APPROVED_WORD) {
      const text = String.fromCharCode(status & 0xff, status >> 8);
      this.fail?.(new Error(`a frame was refused with ${text}`));
      return;
    }
    const count = bytes.readUInt16LE(start + FRAME_COUNT_OFFSET);
    for (let i = 0; i < count; i++) {
      const code =
        start + FRAME_HEADER_SIZE + i * OUTCOME_RECORD_SIZE + OUTCOME_RESPONSE_CODE_OFFSET;
      if (bytes.readUInt16LE(code) === APPROVED_WORD) this.approved++;
      else this.declined++;
    }
    if (++this.answered % MAC_CHECKED_EVERY === 0) {
      if (!frameVerified(this.response, bytes, start, size)) {
        this.fail?.(new Error("the MAC of an answer does not hold"));
        return;
      }
    }
    if (this.answered === this.plan.frameCount) this.finish?.();
  }

  private async signOn(): Promise<void> {
    const { terminalId } = this.plan;
    const masterKey = masterKeyOf(terminalId);
    const algorithm = MAC_ALGORITHM.AES_128_CMAC;
    const key = deriveSignOnKey(algorithm, masterKey, terminalId, MASTER_KEY_VERSION);
    const mac = createMac(algorithm, key);
    const terminalNonce = new Uint8Array(randomBytes(NONCE_SIZE));
    const zero = new Uint8Array(NONCE_SIZE);
    const challenge = await this.manage(mac, SIGN_ON_CHALLENGE, terminalNonce, zero);
    const serverNonce = readManagement(viewOf(challenge), FRAME_HEADER_SIZE).serverNonce;
    const opened = await this.manage(mac, SIGN_ON_PROOF, terminalNonce, serverNonce);
    this.generation = readFrameHeader(viewOf(opened), 0).keyGeneration;
    const keys = deriveSessionKeys(
      algorithm,
      masterKey,
      terminalId,
      this.generation,
      terminalNonce,
      serverNonce,
    );
    this.request = createMac(algorithm, keys.requestKey);
    this.response = createMac(algorithm, keys.responseKey);
    mac.close();
  }

  private manage(
    mac: Mac,
    step: number,
    terminalNonce: Uint8Array,
    serverNonce: Uint8Array,
  ): Promise<Buffer> {
    const size = FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE + FRAME_MAC_SIZE;
    const headerSize = clientHeaderSize(size);
    const bytes = Buffer.alloc(headerSize + size);
    writeClientHeader(bytes, 0, size);
    this.header(bytes, headerSize, MTI_MANAGEMENT_REQUEST, 1, MANAGEMENT_RECORD_SIZE, 0);
    writeManagement(bytes, headerSize + FRAME_HEADER_SIZE, {
      functionCode: FUNCTION_SIGN_ON,
      step,
      macAlgorithm: MAC_ALGORITHM.AES_128_CMAC,
      masterKeyVersion: MASTER_KEY_VERSION,
      keyGeneration: 0,
      expiresAt: 0,
      terminalNonce,
      serverNonce,
    });
    sealFrame(mac, bytes, headerSize, FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE);
    return new Promise((resolve) => {
      this.waiting = (payload) => {
        this.waiting = null;
        resolve(payload);
      };
      this.socket.send(bytes);
    });
  }

  private makeFrames(): void {
    const { frameCount, recordsPerFrame, cardCount, random } = this.plan;
    const bodySize = recordsPerFrame * USE_RECORD_SIZE;
    const size = FRAME_HEADER_SIZE + bodySize + FRAME_MAC_SIZE;
    const headerSize = clientHeaderSize(size);
    this.frameSize = size;
    this.messageSize = headerSize + size;
    this.frames = Buffer.alloc(frameCount * this.messageSize);
    let stan = 0;
    for (let f = 0; f < frameCount; f++) {
      const start =
        f * this.messageSize + writeClientHeader(this.frames, f * this.messageSize, size);
      this.header(this.frames, start, MTI_USE_REQUEST, recordsPerFrame, bodySize, f + 1);
      for (let r = 0; r < recordsPerFrame; r++) {
        const card = Math.floor(random() * cardCount);
        this.record(start + FRAME_HEADER_SIZE + r * USE_RECORD_SIZE, ++stan, card);
      }
      sealFrame(this.request, this.frames, start, FRAME_HEADER_SIZE + bodySize);
    }
  }

  private record(offset: number, stan: number, card: number): void {
    writeUseRecord(this.frames, offset, {
      pan: panOf(card),
      terminalId: this.plan.terminalId,
      stan,
      businessDate: this.plan.businessDate,
      itemCode: ITEM_CODE,
      amountMinor: AMOUNT_MINOR,
      localTime: Math.floor(Date.now() / 1000),
      medium: MEDIUM_CHIP,
      originalStan: 0,
      originalBusinessDate: 0,
    });
  }

  private header(
    bytes: Buffer,
    start: number,
    mti: number,
    count: number,
    bodySize: number,
    sequence: number,
  ): void {
    writeFrameHeader(viewOf(bytes), start, {
      flags: 0,
      mti,
      count,
      senderId: this.plan.terminalId,
      keyGeneration: mti === MTI_MANAGEMENT_REQUEST ? 0 : this.generation,
      sequence,
      bodySize,
      timeMs: Date.now(),
      status: "",
    });
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
