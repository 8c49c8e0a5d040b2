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
  framesOf,
  frameVerified,
  MANAGEMENT_RECORD_SIZE,
  type Mac,
  type Management,
  MTI_MANAGEMENT_REQUEST,
  MTI_MANAGEMENT_RESPONSE,
  OUTCOME_RECORD_SIZE,
  RESPONSE_CODES,
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

/** The way back to whoever sent a frame. */
interface Peer {
  reply(frame: Uint8Array): void;
  /** Ends the connection; 0 without a code. */
  cut(code: number): void;
}

export class ScriptedServer {
  /** Decides on each use frame; `index` counts them from 0. */
  onUse: (index: number, uses: UseRecord[]) => Act = () => "answer";
  /** Decides on each sign-on challenge; `index` counts them from 0. */
  onChallenge: (index: number) => Act = () => "answer";
  /** Reason of the answer to a use; 0 approves. */
  reasonOf: (use: UseRecord) => number = () => 0;
  /** Keys by terminal, where they are not all the same. */
  profileOf: ((terminalId: number) => { algorithm: number; masterKey: Uint8Array }) | null = null;
  recordsInFlightMax = 65_536;
  recordsPerFrameMax = 4096;
  /** Whether what is answered at once leaves in one message. */
  gathers = false;
  signOns = 0;
  useFrames = 0;
  connections = 0;
  recordsInFlightPeak = 0;
  /** Uses by terminal, date and STAN: how often each was asked. */
  readonly asked = new Map<string, number>();
  readonly headers: FrameHeader[] = [];
  /** Frames in each message of a WebSocket. */
  readonly messages: number[] = [];
  private readonly sessions = new Map<number, Keys>();
  private readonly masterKey: Uint8Array;
  private readonly algorithm: number;
  private readonly http: Server;
  private readonly sockets: WebSocketServer;
  private readonly serverNonces = new Map<number, Uint8Array>();
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
        const frames = [...framesOf(data)];
        this.messages.push(frames.length);
        const answers: Uint8Array[] = [];
        for (const frame of frames) {
          this.receive(Uint8Array.from(frame), {
            reply: (answer) => (this.gathers ? answers.push(answer) : socket.send(answer)),
            cut: (code) => (code === 0 ? socket.terminate() : socket.close(code)),
          });
        }
        if (answers.length > 0) socket.send(Buffer.concat(answers));
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
      this.receive(Uint8Array.from(Buffer.concat(chunks)), {
        reply: (answer) => response.end(answer),
        cut: (code) => (code === 0 ? request.destroy() : response.writeHead(400).end()),
      });
    });
  }

  private receive(frame: Uint8Array, peer: Peer): void {
    const view = new DataView(frame.buffer);
    const problem = frameProblem(view, 0, frame.length);
    if (problem === FRAME_PROBLEM.NONE) this.receiveSound(readFrameHeader(view, 0), frame, peer);
    else peer.cut(4400 + problem);
  }

  private receiveSound(header: FrameHeader, frame: Uint8Array, peer: Peer): void {
    this.headers.push(header);
    const managed = header.mti === MTI_MANAGEMENT_REQUEST;
    const keys = this.keysOf(header, frame);
    if (managed && header.keyGeneration === 0) this.receiveSignOn(header, frame, peer);
    else if (keys === null) refuse(header, "A0", null, peer);
    else if (managed) peer.reply(this.managed(header, recordOf(frame), keys));
    else this.receiveUses(header, frame, keys, peer);
  }

  private keysOf(header: FrameHeader, frame: Uint8Array): Keys | null {
    const keys = this.sessions.get(header.keyGeneration);
    if (!keys || !frameVerified(keys.request, frame, 0, frame.length)) return null;
    if (keys.sequences.has(header.sequence)) throw new Error("a sequence number was used twice");
    keys.sequences.add(header.sequence);
    return keys;
  }

  private receiveSignOn(header: FrameHeader, frame: Uint8Array, peer: Peer): void {
    const record = recordOf(frame);
    const { senderId } = header;
    const version = record.masterKeyVersion;
    const { algorithm, masterKey } = this.profile(senderId);
    const key = deriveSignOnKey(algorithm, masterKey, senderId, version);
    const mac = createMac(algorithm, key);
    if (!frameVerified(mac, frame, 0, frame.length)) refuse(header, "A0", null, peer);
    else if (record.step === SIGN_ON_CHALLENGE) {
      const serverNonce = randomBytes(16);
      this.serverNonces.set(senderId, serverNonce);
      const answer = this.management(header, mac, { ...record, serverNonce });
      perform(this.onChallenge(this.signOns++), header, answer, mac, peer);
    } else {
      const serverNonce = this.serverNonces.get(senderId)!;
      const { keyGeneration, keys } = this.open(senderId, record.terminalNonce, serverNonce);
      const opened = { ...record, keyGeneration, expiresAt: 2_000_000_000 };
      peer.reply(this.management({ ...header, keyGeneration }, keys.response, opened, true));
    }
  }

  private open(
    senderId: number,
    terminalNonce: Uint8Array,
    serverNonce: Uint8Array,
  ): { keyGeneration: number; keys: Keys } {
    const keyGeneration = ++this.generation;
    const { algorithm, masterKey } = this.profile(senderId);
    const { requestKey, responseKey } = deriveSessionKeys(
      algorithm,
      masterKey,
      senderId,
      keyGeneration,
      terminalNonce,
      serverNonce,
    );
    const request = createMac(algorithm, requestKey);
    const keys = {
      request,
      response: createMac(algorithm, responseKey),
      sequences: new Set<number>(),
    };
    this.sessions.set(keyGeneration, keys);
    return { keyGeneration, keys };
  }

  private profile(terminalId: number): { algorithm: number; masterKey: Uint8Array } {
    const { algorithm, masterKey } = this;
    return this.profileOf?.(terminalId) ?? { algorithm, masterKey };
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
        recordsPerFrameMax: this.recordsPerFrameMax,
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

  private receiveUses(header: FrameHeader, frame: Uint8Array, keys: Keys, peer: Peer): void {
    const view = new DataView(frame.buffer);
    const uses = Array.from({ length: header.count }, (_, i) =>
      readUseRecord(view, FRAME_HEADER_SIZE + i * USE_RECORD_SIZE),
    );
    this.recordsInFlight += uses.length;
    this.recordsInFlightPeak = Math.max(this.recordsInFlightPeak, this.recordsInFlight);
    const answer = this.outcomes(header, uses, keys.response);
    perform(this.onUse(this.useFrames++, uses), header, answer, keys.response, {
      reply: (bytes) => {
        this.recordsInFlight -= uses.length;
        peer.reply(bytes);
      },
      cut: peer.cut,
    });
  }

  private outcomes(header: FrameHeader, uses: UseRecord[], mac: Mac): Uint8Array {
    const size = uses.length * OUTCOME_RECORD_SIZE;
    const bytes = new Uint8Array(FRAME_HEADER_SIZE + size + MANAGEMENT_RECORD_SIZE);
    let end = FRAME_HEADER_SIZE;
    for (const use of uses) {
      const { terminalId, stan, businessDate } = use;
      const reason = this.reasonOf(use);
      const name = `${terminalId} ${businessDate} ${stan}`;
      this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
      end += writeOutcome(bytes, end, {
        terminalId,
        stan,
        businessDate,
        responseCode: RESPONSE_CODES[reason]!,
        reason,
        rrn: 1_000_000 + stan,
        authorizationId: reason === 0 ? stan : 0,
        flags: 0,
        differingField: 0,
      });
    }
    return this.seal(header, responseMti(header.mti), uses.length, bytes, end, mac);
  }
}

function recordOf(frame: Uint8Array): Management {
  return readManagement(new DataView(frame.buffer), FRAME_HEADER_SIZE);
}

function perform(act: Act, header: FrameHeader, answer: Uint8Array, mac: Mac, peer: Peer): void {
  if (typeof act === "object") {
    if ("refuse" in act) refuse(header, act.refuse, act.authenticated ? mac : null, peer);
    else setTimeout(() => peer.reply(answer), act.delayMs);
  } else if (act === "cut") peer.cut(0);
  else if (act === "malformed") peer.cut(4410);
  else if (act !== "swallow") {
    if (act === "wrong-mac") answer[answer.length - 1]! ^= 1;
    peer.reply(answer);
    if (act === "twice") peer.reply(answer);
  }
}

function refuse(header: FrameHeader, status: string, mac: Mac | null, peer: Peer): void {
  const bytes = new Uint8Array(48);
  writeRefusal(bytes, 0, header, status, Date.now(), mac);
  peer.reply(bytes);
}
