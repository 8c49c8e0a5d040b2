// A terminal that sends whatever bytes it is told to: the protocol by hand, over a WebSocket or an
// HTTP request, without the care that the client library takes.

import { randomBytes } from "node:crypto";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { WebSocket } from "ws";
import {
  createMac,
  deriveSessionKeys,
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
  OUTCOME_RECORD_SIZE,
  type Outcome,
  readFrameHeader,
  readManagement,
  readOutcome,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
  sealFrame,
  USE_RECORD_SIZE,
  type UseRecord,
  writeFrameHeader,
  writeManagement,
  writeUseRecord,
} from "../protocol/index.js";
import { chinaDate } from "../src/client/clock.js";
import { algorithmOf, ITEM_BUS, masterKeyOf, within } from "./server-kit.js";

/** Sends a frame and brings its answer. */
export type Exchange = (frame: Uint8Array) => Promise<Uint8Array>;

/** A WebSocket that hands out what it receives one by one. */
export class RawSocket {
  readonly closed: Promise<number>;
  private readonly received: Uint8Array[] = [];
  private readonly waiting: ((bytes: Uint8Array) => void)[] = [];

  private constructor(readonly socket: WebSocket) {
    socket.on("message", (data: Buffer) => {
      const bytes = Uint8Array.from(data);
      const next = this.waiting.shift();
      if (next) next(bytes);
      else this.received.push(bytes);
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Rejects when the server does not take the connection, or none of the subprotocols. */
  static open(url: string, subprotocols: string[] = []): Promise<RawSocket> {
    const socket = new WebSocket(url, subprotocols, { perMessageDeflate: false });
    const raw = new RawSocket(socket);
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(raw));
      socket.once("error", reject);
    });
  }

  send(data: Uint8Array | string): void {
    this.socket.send(data);
  }

  next(): Promise<Uint8Array> {
    const bytes = this.received.shift();
    if (bytes) return Promise.resolve(bytes);
    return within("a message", new Promise((resolve) => this.waiting.push(resolve)));
  }

  /** Messages that have arrived and were not taken. */
  get count(): number {
    return this.received.length;
  }

  readonly exchange: Exchange = (frame) => {
    this.send(frame);
    return this.next();
  };

  close(): Promise<number> {
    this.socket.close();
    return this.closed;
  }
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Uint8Array;
}

/** Posts a body as a terminal does. */
export function post(
  url: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/octet-stream", ...headers },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const whole = Uint8Array.from(Buffer.concat(parts));
        resolve({ status: response.statusCode!, headers: response.headers, body: whole });
      });
    });
    sent.end(body);
  });
}

/** URL of the HTTP transport beside that of the WebSocket. */
export function httpUrlOf(terminalsUrl: string): string {
  return terminalsUrl.replace(/^ws/, "http").replace(/\/v1\/.*$/, "/v1/messages");
}

export function httpExchange(url: string): Exchange {
  return async (frame) => (await post(url, frame)).body;
}

export interface RawTcp {
  socket: Socket;
  /** All that came, as text in latin1, when the other end has closed. */
  ended: Promise<string>;
  /** What has come so far. */
  received: () => string;
}

/** A bare TCP connection, which sends whatever bytes it is told to. */
export function rawTcp(port: number): RawTcp {
  const socket = connect(port, "127.0.0.1");
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part));
  socket.on("error", () => {});
  const received = () => Buffer.concat(parts).toString("latin1");
  const ended = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(received()));
  });
  return { socket, ended, received };
}

/** A response frame, taken apart. */
export interface Answer {
  header: FrameHeader;
  /** Whether its MAC holds under the session's response key. */
  verified: boolean;
  outcomes: Outcome[];
}

/** STANs of one process, so that tests on one server do not meet. */
let lastStan = 200_000;

export class RawTerminal {
  keyGeneration = 0;
  sequence = 0;
  businessDate = chinaDate(Date.now());
  requestMac: Mac | null = null;
  responseMac: Mac | null = null;
  /** Every session key it has had, for tests that look for them where they must not be. */
  readonly sessionKeys: Uint8Array[] = [];

  constructor(
    readonly terminalId: number,
    readonly algorithm = algorithmOf(terminalId),
    readonly masterKeyVersion = 1,
    private readonly masterKey = masterKeyOf(terminalId, masterKeyVersion, algorithm),
  ) {}

  /** Signs on in its two steps; returns the record that opened the session. */
  async signOn(exchange: Exchange): Promise<Management> {
    const { serverNonce, terminalNonce } = await this.challenge(exchange);
    const answer = await exchange(this.proof(terminalNonce, serverNonce));
    const { status } = readFrameHeader(viewOf(answer), 0);
    if (status !== "00") throw new Error(`sign-on refused: ${status}`);
    const opened = readManagement(viewOf(answer), FRAME_HEADER_SIZE);
    this.openSession(opened.keyGeneration, terminalNonce, opened.serverNonce);
    if (!frameVerified(this.responseMac!, answer, 0, answer.length)) throw new Error("MAC wrong");
    return opened;
  }

  /** The first step; returns what the server answered, which must be signed. */
  async challenge(exchange: Exchange): Promise<Management> {
    const nonce = new Uint8Array(randomBytes(NONCE_SIZE));
    const answer = await exchange(this.signOnFrame(SIGN_ON_CHALLENGE, nonce, ZERO_NONCE));
    const { status } = readFrameHeader(viewOf(answer), 0);
    if (status !== "00") throw new Error(`challenge refused: ${status}`);
    if (!frameVerified(this.signOnMac(), answer, 0, answer.length)) throw new Error("MAC wrong");
    return readManagement(viewOf(answer), FRAME_HEADER_SIZE);
  }

  proof(terminalNonce: Uint8Array, serverNonce: Uint8Array): Uint8Array {
    return this.signOnFrame(SIGN_ON_PROOF, terminalNonce, serverNonce);
  }

  signOnFrame(step: number, terminalNonce: Uint8Array, serverNonce: Uint8Array): Uint8Array {
    const body = this.managementBody(FUNCTION_SIGN_ON, step, terminalNonce, serverNonce);
    const header = { mti: MTI_MANAGEMENT_REQUEST, keyGeneration: 0, sequence: 0 };
    return this.seal(header, body, 1, this.signOnMac());
  }

  openSession(keyGeneration: number, terminalNonce: Uint8Array, serverNonce: Uint8Array): void {
    const keys = deriveSessionKeys(
      this.algorithm,
      this.masterKey,
      this.terminalId,
      keyGeneration,
      terminalNonce,
      serverNonce,
    );
    this.sessionKeys.push(keys.requestKey, keys.responseKey);
    this.keyGeneration = keyGeneration;
    this.sequence = 0;
    this.requestMac = createMac(this.algorithm, keys.requestKey);
    this.responseMac = createMac(this.algorithm, keys.responseKey);
  }

  /** A management frame in the session. */
  manage(functionCode: number, terminalNonce: Uint8Array = ZERO_NONCE): Uint8Array {
    const body = this.managementBody(functionCode, 0, terminalNonce, ZERO_NONCE);
    return this.seal({ mti: MTI_MANAGEMENT_REQUEST }, body, 1);
  }

  /** A use with the next STAN. */
  use(pan: string, changes: Partial<UseRecord> = {}): UseRecord {
    return {
      pan,
      terminalId: this.terminalId,
      stan: ++lastStan,
      businessDate: this.businessDate,
      itemCode: ITEM_BUS,
      amountMinor: 200,
      localTime: 1_767_000_000,
      medium: 1,
      originalStan: 0,
      originalBusinessDate: 0,
      ...changes,
    };
  }

  uses(mti: number, records: readonly UseRecord[], header: Partial<FrameHeader> = {}): Uint8Array {
    const body = new Uint8Array(records.length * USE_RECORD_SIZE);
    for (const [i, record] of records.entries()) writeUseRecord(body, i * USE_RECORD_SIZE, record);
    return this.seal({ mti, ...header }, body, records.length);
  }

  /** A frame of this terminal; takes the next sequence unless the header names one. */
  seal(
    header: Partial<FrameHeader>,
    body: Uint8Array,
    count: number,
    mac: Mac | null = this.requestMac,
  ): Uint8Array {
    const bytes = new Uint8Array(FRAME_HEADER_SIZE + body.length + FRAME_MAC_SIZE);
    writeFrameHeader(viewOf(bytes), 0, {
      flags: 0,
      mti: 0,
      count,
      senderId: this.terminalId,
      keyGeneration: this.keyGeneration,
      sequence: header.sequence ?? ++this.sequence,
      bodySize: body.length,
      timeMs: 1_767_000_000_000,
      status: "",
      ...header,
    });
    bytes.set(body, FRAME_HEADER_SIZE);
    sealFrame(mac, bytes, 0, FRAME_HEADER_SIZE + body.length);
    return bytes;
  }

  read(bytes: Uint8Array): Answer {
    const view = viewOf(bytes);
    const header = readFrameHeader(view, 0);
    const mac = this.responseMac;
    const verified = mac !== null && frameVerified(mac, bytes, 0, bytes.length);
    const isUse = header.mti !== 0x0810;
    const outcomes = Array.from({ length: isUse ? header.count : 0 }, (_, i) =>
      readOutcome(view, FRAME_HEADER_SIZE + i * OUTCOME_RECORD_SIZE),
    );
    return { header, verified, outcomes };
  }

  /** Sends a frame and takes its answer apart. */
  async ask(exchange: Exchange, frame: Uint8Array): Promise<Answer> {
    return this.read(await exchange(frame));
  }

  signOnMac(): Mac {
    const { algorithm, masterKey, terminalId, masterKeyVersion } = this;
    const key = deriveSignOnKey(algorithm, masterKey, terminalId, masterKeyVersion);
    return createMac(algorithm, key);
  }

  private managementBody(
    functionCode: number,
    step: number,
    terminalNonce: Uint8Array,
    serverNonce: Uint8Array,
  ): Uint8Array {
    const body = new Uint8Array(MANAGEMENT_RECORD_SIZE);
    writeManagement(body, 0, {
      functionCode,
      step,
      macAlgorithm: this.algorithm,
      masterKeyVersion: this.masterKeyVersion,
      keyGeneration: 0,
      expiresAt: 0,
      terminalNonce,
      serverNonce,
    });
    return body;
  }
}

const ZERO_NONCE = new Uint8Array(NONCE_SIZE);

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
