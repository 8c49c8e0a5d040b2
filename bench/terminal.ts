// A terminal of the load: one connection, signed on, and others that may speak over it, as behind a
// concentrator. Every answer is looked at: its status and how many of its records were approved; of
// every hundredth the MAC is checked.

import { frameVerified } from "../protocol/encode.js";
import {
  FRAME_COUNT_OFFSET,
  FRAME_HEADER_SIZE,
  FRAME_SENDER_ID_OFFSET,
  FRAME_STATUS_OFFSET,
} from "../protocol/frame.js";
import { OUTCOME_RECORD_SIZE, OUTCOME_RESPONSE_CODE_OFFSET } from "../protocol/outcome-record.js";
import { signOn, type TerminalKeys } from "./sign-on.js";
import { LoadSocket } from "./socket.js";

/** "00" as a little-endian u16. */
const APPROVED_WORD = 0x3030;
/** "91" as a little-endian u16: not taken, for too much is in flight. */
const OVERLOADED_WORD = 0x3139;
const MAC_CHECKED_EVERY = 100;

/** Who makes frames, and the keys for it. */
export interface Sender {
  terminalId: number;
  keys: TerminalKeys;
}

export class LoadTerminal implements Sender {
  approved = 0;
  declined = 0;
  keys!: TerminalKeys;
  /** Called for each answer frame, in place: bytes[start..start+size). */
  onAnswer: (bytes: Buffer, start: number, size: number) => void = () => {};
  /** Called for each frame that was refused with 91; without it that is a fault. */
  onRefusal: ((bytes: Buffer, start: number) => void) | null = null;
  /** Called after the answers of one read. */
  onRead: () => void = () => {};
  onFault: (error: Error) => void = () => {};
  /** Itself and those that speak over its connection, by terminalId. */
  private readonly keysOf = new Map<number, TerminalKeys>();
  private socket!: LoadSocket;
  private answers = 0;
  private waiting: ((payload: Buffer) => void) | null = null;

  private constructor(readonly terminalId: number) {}

  /** Connects and signs on; with `gathers` frames that are sent at once are one message. */
  static async open(url: string, terminalId: number, gathers = true): Promise<LoadTerminal> {
    const terminal = new LoadTerminal(terminalId);
    terminal.socket = await LoadSocket.open(
      url,
      gathers,
      (bytes, start, size) => terminal.take(bytes, start, size),
      () => terminal.onRead(),
    );
    terminal.keys = await terminal.signOn(terminalId);
    return terminal;
  }

  /** Itself, and those that were signed on over its connection. */
  get senders(): Sender[] {
    return Array.from(this.keysOf, ([terminalId, keys]) => ({ terminalId, keys }));
  }

  /** Signs a terminal on over this connection. */
  async signOn(terminalId: number): Promise<TerminalKeys> {
    const keys = await signOn((frame) => this.exchange(frame), terminalId);
    this.keysOf.set(terminalId, keys);
    return keys;
  }

  /** Sends one frame and resolves with its answer. */
  exchange(frame: Buffer): Promise<Buffer> {
    return new Promise((resolve) => {
      this.waiting = resolve;
      this.socket.send(frame);
    });
  }

  /** Sends frames that stand one behind the other. */
  send(frames: Buffer): void {
    this.socket.send(frames);
  }

  close(): void {
    this.socket.close();
    for (const { request, response } of this.keysOf.values()) {
      request.close();
      response.close();
    }
  }

  private take(bytes: Buffer, start: number, size: number): void {
    if (this.waiting !== null) {
      const { waiting } = this;
      this.waiting = null;
      waiting(Buffer.from(bytes.subarray(start, start + size)));
      return;
    }
    const status = bytes.readUInt16LE(start + FRAME_STATUS_OFFSET);
    if (status === OVERLOADED_WORD && this.onRefusal !== null) {
      this.onRefusal(bytes, start);
      return;
    }
    this.look(status, bytes, start, size);
    this.onAnswer(bytes, start, size);
  }

  private look(status: number, bytes: Buffer, start: number, size: number): void {
    if (status !== APPROVED_WORD) {
      const text = String.fromCharCode(status & 0xff, status >> 8);
      this.onFault(new Error(`a frame was refused with ${text}`));
    }
    const count = bytes.readUInt16LE(start + FRAME_COUNT_OFFSET);
    const first = start + FRAME_HEADER_SIZE + OUTCOME_RESPONSE_CODE_OFFSET;
    for (let i = 0; i < count; i++) {
      const code = bytes.readUInt16LE(first + i * OUTCOME_RECORD_SIZE);
      if (code === APPROVED_WORD) this.approved++;
      else this.declined++;
    }
    if (++this.answers % MAC_CHECKED_EVERY !== 0) return;
    const keys = this.keysOf.get(bytes.readUInt32LE(start + FRAME_SENDER_ID_OFFSET));
    if (keys !== undefined && frameVerified(keys.response, bytes, start, size)) return;
    this.onFault(new Error("the MAC of an answer does not hold"));
  }
}

/** Opens `count` terminals; `idOf` names terminal `index` of them. */
export function openTerminals(
  url: string,
  count: number,
  idOf: (index: number) => number,
  gathers = true,
): Promise<LoadTerminal[]> {
  const open = (_: unknown, i: number) => LoadTerminal.open(url, idOf(i), gathers);
  return Promise.all(Array.from({ length: count }, open));
}
