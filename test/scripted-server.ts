// A peer for the client's tests: speaks the protocol over real sockets and misbehaves on order.
// It decides nothing: a use is approved, and the same STAN gets the same bytes again. It is no
// model of the server; what the server itself does is tested with the server.

import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import {
  createMac,
  deriveSessionKeys,
  deriveSignOnKey,
  FRAME_HEADER_SIZE,
  FRAME_PROBLEM,
  type FrameHeader,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  frameProblem,
  frameVerified,
  MANAGEMENT_RECORD_SIZE,
  type Mac,
  type Management,
  MTI_MANAGEMENT_REQUEST,
  MTI_MANAGEMENT_RESPONSE,
  OUTCOME_RECORD_SIZE,
  readFrameHeader,
  readManagement,
  readUseRecord,
  responseMti,
  SIGN_ON_CHALLENGE,
  sealFrame,
  USE_RECORD_SIZE,
  type UseRecord,
  writeFrameHeader,
  writeManagement,
  writeOutcome,
  writeParameters,
  writeRefusal,
} from "../protocol/index.js";

/** What becomes of a frame: `answer`, or one of the ways in which things go wrong. */
export type Act =
  | "answer"
  | "swallow"
  | "cut"
  | "wrong-mac"
  | "twice"
  | "malformed"
  | { refuse: string; authenticated: boolean }
  | { delayMs: number };

interface Keys {
  request: Mac;
  response: Mac;
  sequences: Set<number>;
}

type Reply = (frame: Uint8Array) => void;

export class ScriptedServer {
  /** Decides on each use frame; `index` counts them from 0. */
  onUse: (index: number, uses: UseRecord[]) => Act = () => "answer";
  /** Decides on each sign-on challenge; `index` counts them from 0. */
  onChallenge: (index: number) => Act = () => "answer";
  recordsInFlightMax = 65_536;
  signOns = 0;
  useFrames = 0;
  connections = 0;
  recordsInFlightPeak = 0;
  /** Uses by terminal, date and STAN: how often each was asked. */
  readonly asked = new Map<string, number>();
  readonly headers: FrameHeader[] = [];
  private readonly sessions = new Map<number, Keys>();
  private readonly masterKey: Uint8Array;
  private readonly algorithm: number;
  private readonly http: Server;
  private readonly sockets: WebSocketServer;
  private serverNonce: Uint8Array = new Uint8Array(16);
  private generation = 0;
  private recordsInFlight = 0;

  constructor(algorithm: number, masterKey: Uint8Array) {
    this.algorithm = algorithm;
    this.masterKey = masterKey;
    this.http = createServer((request, response) => this.post(request, response));
    this.sockets = new WebSocketServer({ server: this.http });
    this.sockets.on("connection", (socket) => {
      this.connections++;
      socket.on("message", (data: Buffer) => {
        const frame = Uint8Array.from(data);
        const cut = (code: number) => (code === 0 ? socket.terminate() : socket.close(code));
        this.receive(frame, (answer) => socket.send(answer), cut);
      });
    });
  }

  /** Listens on a free port of the loopback; returns its number. */
  async listen(port = 0): Promise<number> {
    await new Promise<void>((done) => this.http.listen(port, "127.0.0.1", done));
    return (this.http.address() as AddressInfo).port;
  }

  /** Cuts all connections. */
  cutAll(): void {
    for (const socket of this.sockets.clients) socket.terminate();
  }

  /** Forgets all sessions, as if they had expired. */
  forgetSessions(): void {
    this.sessions.clear();
  }

  /** Sends the same bytes to all connections. */
  inject(frame: Uint8Array): void {
    for (const socket of this.sockets.clients) socket.send(frame);
  }

  async close(): Promise<void> {
    this.cutAll();
    this.sockets.close();
    this.http.closeAllConnections();
    await new Promise((done) => this.http.close(done));
  }

  private post(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const frame = Uint8Array.from(Buffer.concat(chunks));
      const fail = (code: number) =>
        code === 0 ? request.destroy() : response.writeHead(400).end();
      this.receive(frame, (answer) => response.end(answer), fail);
    });
  }

  private receive(frame: Uint8Array, reply: Reply, cut: (code: number) => void): void {
    const view = new DataView(frame.buffer);
    const problem = frameProblem(view, 0, frame.length);
    if (problem !== FRAME_PROBLEM.NONE) return cut(4400 + problem);
    const header = readFrameHeader(view, 0);
    this.headers.push(header);
    if (header.mti !== MTI_MANAGEMENT_REQUEST) return this.receiveUses(header, frame, reply, cut);
    const record = readManagement(view, FRAME_HEADER_SIZE);
    if (header.keyGeneration === 0) return this.receiveSignOn(header, record, frame, reply, cut);
    const keys = this.keysOf(header, frame);
    if (keys === null) return this.refuse(header, "A0", null, reply);
    reply(this.managed(header, record, keys));
  }

  private keysOf(header: FrameHeader, frame: Uint8Array): Keys | null {
    const keys = this.sessions.get(header.keyGeneration);
    if (!keys || !frameVerified(keys.request, frame, 0, frame.length)) return null;
    if (keys.sequences.has(header.sequence)) throw new Error("a sequence number was used twice");
    keys.sequences.add(header.sequence);
    return keys;
  }

  private receiveSignOn(
    header: FrameHeader,
    record: Management,
    frame: Uint8Array,
    reply: Reply,
    cut: (code: number) => void,
  ): void {
    const { senderId } = header;
    const version = record.masterKeyVersion;
    const key = deriveSignOnKey(this.algorithm, this.masterKey, senderId, version);
    const mac = createMac(this.algorithm, key);
    if (!frameVerified(mac, frame, 0, frame.length)) return this.refuse(header, "A0", null, reply);
    if (record.step === SIGN_ON_CHALLENGE) {
      this.serverNonce = randomBytes(16);
      const answer = this.management(header, mac, { ...record, serverNonce: this.serverNonce });
      return this.act(this.onChallenge(this.signOns++), header, answer, mac, reply, cut);
    }
    const { keyGeneration, keys } = this.open(senderId, record.terminalNonce, this.serverNonce);
    const opened = { ...record, keyGeneration, expiresAt: 2_000_000_000 };
    reply(this.management({ ...header, keyGeneration }, keys.response, opened, true));
  }

  private open(
    senderId: number,
    terminalNonce: Uint8Array,
    serverNonce: Uint8Array,
  ): { keyGeneration: number; keys: Keys } {
    const keyGeneration = ++this.generation;
    const { requestKey, responseKey } = deriveSessionKeys(
      this.algorithm,
      this.masterKey,
      senderId,
      keyGeneration,
      terminalNonce,
      serverNonce,
    );
    const request = createMac(this.algorithm, requestKey);
    const keys = {
      request,
      response: createMac(this.algorithm, responseKey),
      sequences: new Set<number>(),
    };
    this.sessions.set(keyGeneration, keys);
    return { keyGeneration, keys };
  }

  private managed(header: FrameHeader, record: Management, keys: Keys): Uint8Array {
    if (record.functionCode === FUNCTION_SIGN_OFF) this.sessions.delete(header.keyGeneration);
    if (record.functionCode !== FUNCTION_KEY_CHANGE) {
      return this.management(header, keys.response, record);
    }
    const serverNonce = randomBytes(16);
    const { keyGeneration } = this.open(header.senderId, record.terminalNonce, serverNonce);
    return this.management(header, keys.response, { ...record, keyGeneration, serverNonce });
  }

  private management(
    header: FrameHeader,
    mac: Mac,
    record: Management,
    withParameters = false,
  ): Uint8Array {
    const bytes = new Uint8Array(1024);
    let end = FRAME_HEADER_SIZE + writeManagement(bytes, FRAME_HEADER_SIZE, record);
    if (withParameters) {
      end += writeParameters(bytes, end, {
        businessDate: 20260105,
        serverTimeMs: Date.now(),
        recordsPerFrameMax: 4096,
        recordsInFlightMax: this.recordsInFlightMax,
        sessionSeconds: 86_400,
        keyOverlapSeconds: 60,
      });
    }
    return this.seal(header, MTI_MANAGEMENT_RESPONSE, 1, bytes, end, mac);
  }

  private seal(
    asked: FrameHeader,
    mti: number,
    count: number,
    bytes: Uint8Array,
    end: number,
    mac: Mac,
  ): Uint8Array {
    const bodySize = end - FRAME_HEADER_SIZE;
    const header = { ...asked, mti, count, bodySize, status: "00" };
    writeFrameHeader(new DataView(bytes.buffer), 0, header);
    return bytes.slice(0, sealFrame(mac, bytes, 0, end));
  }

  private receiveUses(
    header: FrameHeader,
    frame: Uint8Array,
    reply: Reply,
    cut: (code: number) => void,
  ): void {
    const keys = this.keysOf(header, frame);
    if (keys === null) return this.refuse(header, "A0", null, reply);
    const view = new DataView(frame.buffer);
    const uses = Array.from({ length: header.count }, (_, i) =>
      readUseRecord(view, FRAME_HEADER_SIZE + i * USE_RECORD_SIZE),
    );
    this.recordsInFlight += uses.length;
    this.recordsInFlightPeak = Math.max(this.recordsInFlightPeak, this.recordsInFlight);
    const answer = this.outcomes(header, uses, keys.response);
    const act = this.onUse(this.useFrames++, uses);
    const counted = (bytes: Uint8Array) => {
      this.recordsInFlight -= uses.length;
      reply(bytes);
    };
    this.act(act, header, answer, keys.response, counted, cut);
  }

  private outcomes(header: FrameHeader, uses: UseRecord[], mac: Mac): Uint8Array {
    const size = uses.length * OUTCOME_RECORD_SIZE;
    const bytes = new Uint8Array(FRAME_HEADER_SIZE + size + MANAGEMENT_RECORD_SIZE);
    let end = FRAME_HEADER_SIZE;
    for (const { terminalId, stan, businessDate } of uses) {
      const name = `${terminalId} ${businessDate} ${stan}`;
      this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
      end += writeOutcome(bytes, end, {
        terminalId,
        stan,
        businessDate,
        responseCode: "00",
        reason: 0,
        rrn: 1_000_000 + stan,
        authorizationId: stan,
        flags: 0,
        differingField: 0,
      });
    }
    return this.seal(header, responseMti(header.mti), uses.length, bytes, end, mac);
  }

  private act(
    act: Act,
    header: FrameHeader,
    answer: Uint8Array,
    mac: Mac,
    reply: Reply,
    cut: (code: number) => void,
  ): void {
    if (typeof act === "object" && "refuse" in act) {
      return this.refuse(header, act.refuse, act.authenticated ? mac : null, reply);
    }
    if (typeof act === "object") return void setTimeout(() => reply(answer), act.delayMs);
    if (act === "cut") return cut(0);
    if (act === "malformed") return cut(4410);
    if (act === "swallow") return;
    if (act === "wrong-mac") answer[answer.length - 1]! ^= 1;
    reply(answer);
    if (act === "twice") reply(answer);
  }

  private refuse(header: FrameHeader, status: string, mac: Mac | null, reply: Reply): void {
    const bytes = new Uint8Array(48);
    writeRefusal(bytes, 0, header, status, Date.now(), mac);
    reply(bytes);
  }
}
