// A terminal: signs on, asks, and asks again with the same record and a new sequence number until
// it is answered, across lost answers, new sessions, its own restarts and those of the node.

import type { FrameHeader, Management } from "../../protocol/decode.js";
import { readFrameHeader, readManagement } from "../../protocol/decode.js";
import {
  frameVerified,
  sealFrame,
  writeFrameHeader,
  writeManagement,
} from "../../protocol/encode.js";
import { deriveSessionKeys, deriveSignOnKey } from "../../protocol/kdf.js";
import { createMac, type Mac } from "../../protocol/mac.js";
import { frameKey } from "./history.js";
import { useKey } from "./model-uses.js";
import type { Registration } from "./office.js";
import type { Taps, Work } from "./taps.js";
import { readSentUse } from "./wire.js";
import type { World } from "./world.js";

const MANAGEMENT = 0x0800;
const SIGN_ON = 1;
const SIGN_OFF = 2;
const KEY_CHANGE = 101;
const ECHO = 301;
const IN_FLIGHT_MAX = 6;
const WAITING_MAX = 12;
/** How often several are asked at once. */
const BURST_RATE = 0.25;
const ZERO = new Uint8Array(16);

interface Session {
  generation: number;
  request: Mac;
  response: Mac;
  sequence: number;
  keyVersion: number;
}

export class Gate {
  /** Answered and left to ask. */
  settled = 0;
  private session: Session | null = null;
  private readonly sessions = new Map<number, Session>();
  private waiting: Work[] = [];
  private readonly inFlight = new Map<string, Work>();
  /** Frames that leave together, in one message or in several. */
  private outbox: Uint8Array[] = [];
  private nonce: Uint8Array = ZERO;
  private proof: Management | null = null;
  private signingOn = false;
  private attempt = 0;

  constructor(
    private readonly world: World,
    readonly registration: Registration,
    /** Terminals it speaks for, itself included. */
    private readonly terminalIds: readonly number[],
    private readonly taps: Taps,
    private readonly send: (gate: Gate, bytes: Uint8Array) => void,
  ) {}

  get idle(): boolean {
    return this.waiting.length === 0 && this.inFlight.size === 0;
  }

  /** Something to ask, or to manage. */
  tap(): void {
    const { chance } = this.world;
    const asked = chance.hit(BURST_RATE) ? 1 + chance.below(IN_FLIGHT_MAX) : 1;
    for (let i = 0; i < asked; i++) {
      if (this.world.healed || this.waiting.length >= WAITING_MAX) break;
      this.waiting.push(this.taps.next(this.terminalIds));
    }
    if (this.session === null) this.signOn();
    else if (chance.hit(0.02) && !this.world.healed) this.manage();
    this.flush();
  }

  /** Power is gone and comes back: what was asked is kept, sessions are not. */
  restart(): void {
    this.sessions.clear();
    this.dropSession();
  }

  received(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = readFrameHeader(view, 0);
    if (header.flags !== 0 || header.keyGeneration === 0 || header.sequence === 0) {
      this.receivedOutside(header, bytes, view);
      return;
    }
    const session = this.sessions.get(header.keyGeneration);
    if (session === undefined || !frameVerified(session.response, bytes, 0, bytes.length)) return;
    const key = frameKey(header);
    if (header.mti === 0x0810) this.managed(view, header, session);
    else if (header.status === "00") {
      if (this.inFlight.delete(key)) this.settled++;
      this.flush();
    } else this.again(key);
  }

  private dropSession(): void {
    this.session = null;
    this.signingOn = false;
    for (const key of [...this.inFlight.keys()]) this.again(key);
  }

  private again(key: string): void {
    const work = this.inFlight.get(key);
    if (work === undefined) return;
    this.inFlight.delete(key);
    this.waiting.push(work);
  }

  /** Answers to sign-on, and refusals that anyone can write: a hint at the most. */
  private receivedOutside(header: FrameHeader, bytes: Uint8Array, view: DataView): void {
    if (header.flags !== 0) {
      if (this.signingOn && header.keyGeneration === 0) this.signingOn = false;
      const current = this.session?.generation === header.keyGeneration;
      if (current && header.status === "A0") this.dropSession();
      this.again(frameKey(header));
      return;
    }
    if (!this.signingOn || header.status !== "00" || header.count === 0) {
      this.signingOn = false;
      return;
    }
    const record = readManagement(view, 32);
    if (Buffer.compare(record.terminalNonce, this.nonce) !== 0) return;
    if (record.step === 0) this.prove(record, bytes);
    else this.signedOn(record, header, bytes);
  }

  private signOn(): void {
    if (this.signingOn) return;
    const { chance, timeline } = this.world;
    this.signingOn = true;
    this.proof = null;
    this.nonce = chance.bytes(16);
    this.sendOutside(this.record({ functionCode: SIGN_ON, terminalNonce: this.nonce }));
    const attempt = ++this.attempt;
    timeline.after(chance.between(5_000, 60_000), () => {
      if (attempt === this.attempt) this.signingOn = false;
    });
  }

  private prove(record: Management, bytes: Uint8Array): void {
    if (this.proof !== null) return;
    const mac = this.signOnMac(record.masterKeyVersion);
    if (!frameVerified(mac, bytes, 0, bytes.length)) return;
    this.proof = { ...record, step: 1 };
    this.sendOutside(this.proof);
  }

  private signedOn(record: Management, header: FrameHeader, bytes: Uint8Array): void {
    if (this.proof === null) return;
    const session = this.derive(header.keyGeneration, record, record.masterKeyVersion);
    if (!frameVerified(session.response, bytes, 0, bytes.length)) return;
    this.signingOn = false;
    this.session = session;
    this.flush();
  }

  private derive(generation: number, record: Management, keyVersion: number): Session {
    const { terminalId, macAlgorithm, keys } = this.registration;
    const master = Buffer.from(keys.get(keyVersion)!, "hex");
    const { terminalNonce, serverNonce } = record;
    const derived = deriveSessionKeys(
      macAlgorithm,
      master,
      terminalId,
      generation,
      terminalNonce,
      serverNonce,
    );
    const session = {
      generation,
      request: createMac(macAlgorithm, derived.requestKey),
      response: createMac(macAlgorithm, derived.responseKey),
      sequence: 0,
      keyVersion,
    };
    this.sessions.set(generation, session);
    return session;
  }

  private manage(): void {
    const { chance } = this.world;
    const functionCode = chance.pick([ECHO, KEY_CHANGE, KEY_CHANGE, SIGN_OFF]);
    const terminalNonce = functionCode === KEY_CHANGE ? chance.bytes(16) : ZERO;
    const record = this.record({ functionCode, terminalNonce });
    const body = new Uint8Array(64);
    writeManagement(body, 0, record);
    this.sendFrame(MANAGEMENT, 1, body, functionCode);
    this.leave();
    if (functionCode === SIGN_OFF) this.dropSession();
  }

  private managed(view: DataView, header: FrameHeader, session: Session): void {
    if (header.count === 0) return;
    const record = readManagement(view, 32);
    if (record.functionCode !== KEY_CHANGE || this.session !== session) return;
    const opened = this.derive(record.keyGeneration, record, session.keyVersion);
    // Some go on under the old keys until they are told that these have ended.
    if (!this.world.chance.hit(0.3)) this.session = opened;
    this.flush();
  }

  private flush(): void {
    const { chance, timeline } = this.world;
    while (this.session !== null && this.waiting.length > 0) {
      if (this.inFlight.size >= IN_FLIGHT_MAX) break;
      const work = this.waiting.shift()!;
      const body = Buffer.concat(work.records);
      const key = this.sendFrame(work.mti, work.records.length, body, 0);
      this.inFlight.set(key, work);
      if (work.records.length > 48) this.inFlight.delete(key);
      timeline.after(chance.between(20_000, 120_000), () => {
        this.again(key);
        this.flush();
      });
    }
    this.leave();
  }

  private leave(): void {
    const { chance, plan } = this.world;
    const room = plan.config.terminals.frameSizeMax;
    const gathers = this.outbox.length > 1 && chance.hit(0.6);
    let message: Uint8Array[] = [];
    let size = 0;
    for (const frame of this.outbox) {
      if (message.length > 0 && (!gathers || size + frame.length > room)) {
        this.sendMessage(message);
        message = [];
        size = 0;
      }
      message.push(frame);
      size += frame.length;
    }
    if (message.length > 0) this.sendMessage(message);
    this.outbox = [];
  }

  private sendMessage(frames: Uint8Array[]): void {
    if (frames.length > 1) this.world.count("message of several frames");
    this.send(this, Uint8Array.from(Buffer.concat(frames)));
  }

  private sendFrame(mti: number, count: number, body: Uint8Array, functionCode: number): string {
    const session = this.session!;
    const { auditor } = this.world;
    const sort = mti === MANAGEMENT ? `management ${functionCode}` : `use ${mti.toString(16)}`;
    this.world.count(sort);
    const frame = {
      senderId: this.registration.terminalId,
      keyGeneration: session.generation,
      sequence: ++session.sequence,
      mti,
      functionCode,
      uses: Array.from({ length: mti === MANAGEMENT ? 0 : count }, (_, i) => {
        return readSentUse(mti, body.subarray(i * 64, (i + 1) * 64));
      }),
    };
    auditor.history.sent.set(frameKey(frame), frame);
    for (const use of frame.uses) auditor.asked(useKey(use));
    this.outbox.push(this.frame(frame, count, body, session.request));
    return frameKey(frame);
  }

  private record(fields: { functionCode: number; terminalNonce: Uint8Array }): Management {
    const { macAlgorithm } = this.registration;
    const masterKeyVersion = this.session?.keyVersion ?? this.keyVersion();
    const rest = { step: 0, keyGeneration: 0, expiresAt: 0, serverNonce: ZERO };
    return { ...fields, ...rest, macAlgorithm, masterKeyVersion };
  }

  /** The newest master key that Tongka has for certain; now and then the one before. */
  private keyVersion(): number {
    const known = this.world.auditor.history.model.terminals.get(this.registration.terminalId);
    const keys = known?.keys ?? [{ version: 1 }];
    return keys[this.world.chance.hit(0.1) ? keys.length - 1 : 0]!.version;
  }

  private signOnMac(version: number): Mac {
    const { terminalId, macAlgorithm, keys } = this.registration;
    const master = Buffer.from(keys.get(version)!, "hex");
    return createMac(macAlgorithm, deriveSignOnKey(macAlgorithm, master, terminalId, version));
  }

  private sendOutside(record: Management): void {
    this.world.count(`management ${record.functionCode}`);
    const body = new Uint8Array(64);
    writeManagement(body, 0, record);
    const senderId = this.registration.terminalId;
    const header = { senderId, keyGeneration: 0, sequence: 0, mti: MANAGEMENT };
    const mac = this.signOnMac(record.masterKeyVersion);
    this.send(this, this.frame(header, 1, body, mac));
  }

  private frame(
    fields: { senderId: number; keyGeneration: number; sequence: number; mti: number },
    count: number,
    body: Uint8Array,
    mac: Mac,
  ): Uint8Array {
    const bytes = new Uint8Array(48 + body.length);
    const header = { ...fields, flags: 0, count, bodySize: body.length, status: "" };
    const timeMs = this.world.clock.nowMs();
    writeFrameHeader(new DataView(bytes.buffer), 0, { ...header, timeMs });
    bytes.set(body, 32);
    sealFrame(mac, bytes, 0, 32 + body.length);
    return bytes;
  }
}
