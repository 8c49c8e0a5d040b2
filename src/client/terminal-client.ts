// A terminal's end of the protocol: asks whether cards may be used and hands back the answers.
// Each call ends with an answer whose MAC held, or with a TerminalError, by its deadline. A lost
// answer, a lost connection or an ended session is mended underneath by sending the very same
// record again: the server answers a repeat with its first answer, so nothing counts twice.

import { randomBytes } from "node:crypto";
import {
  FRAME_HEADER_SIZE,
  FRAME_RECORDS_MAX,
  type FrameHeader,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  isReversalMti,
  isUseMti,
  MANAGEMENT_RECORD_SIZE,
  type Management,
  MEDIUM_CHIP,
  MTI_MANAGEMENT_REQUEST,
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  readManagement,
  type SessionParameters,
  USE_RECORD_SIZE,
  type UseRecord,
  writeManagement,
  writeUseRecord,
} from "../../protocol/index.js";
import type { Call } from "./call.js";
import { type Clock, chinaDate, SYSTEM_CLOCK } from "./clock.js";
import { TerminalError } from "./errors.js";
import { Link, type LinkCounters } from "./link.js";
import { identityOf, type TerminalClientOptions, urlOf } from "./options.js";
import { Session, type TerminalIdentity } from "./session.js";
import { StanAllocator } from "./stan.js";
import { checkUse, readOutcomes, type TerminalOutcome, type Use } from "./use.js";

const DEADLINE_MS = 5_000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;
const CALLS_MAX = 65_536;

export class TerminalClient {
  private readonly identity: TerminalIdentity;
  private readonly deadlineMs: number;
  private readonly clock: Clock;
  private readonly stans: StanAllocator;
  private readonly link: Link;

  /** Checks the options; opens nothing yet. Throws a TypeError that names the bad option. */
  constructor(options: TerminalClientOptions) {
    this.identity = identityOf(options);
    this.deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    if (!(this.deadlineMs > 0)) throw new TypeError("deadlineMs must be over 0");
    this.clock = options.clock ?? SYSTEM_CLOCK;
    this.stans = options.stans ?? new StanAllocator();
    this.link = new Link({
      url: urlOf(options),
      identity: this.identity,
      answerTimeoutMs: options.answerTimeoutMs ?? this.deadlineMs / 3,
      backoffMsMin: options.backoffMsMin ?? BACKOFF_MS_MIN,
      backoffMsMax: options.backoffMsMax ?? BACKOFF_MS_MAX,
      callsMax: options.callsMax ?? CALLS_MAX,
      clock: this.clock,
      random: options.random ?? Math.random,
    });
  }

  /** What the link underneath has done: connections, sign-ons, repeats, frames ignored. */
  get counters(): Readonly<LinkCounters> {
    return this.link.counters;
  }

  /** Connects without waiting, and keeps connected; every other call does so by itself. */
  connect(): void {
    this.link.start();
  }

  /** Signs on, unless signed on, and returns the session's parameters. */
  async signOn(): Promise<SessionParameters> {
    await this.echo();
    return this.link.parameters!;
  }

  /** 0100: may this card be used here, now, for this? */
  async authorize(use: Use): Promise<TerminalOutcome> {
    return (await this.batch(MTI_USE_REQUEST, [this.prepare(use)]))[0]!;
  }

  /** 0120: tells of a use that has happened. */
  async advise(use: Use): Promise<TerminalOutcome> {
    return (await this.batch(MTI_USE_ADVICE, [this.prepare(use)]))[0]!;
  }

  /** 0400: asks to undo a use; `original` is the record that was sent. */
  async reverse(original: UseRecord): Promise<TerminalOutcome> {
    return (await this.batch(MTI_REVERSAL_REQUEST, [this.prepareReversal(original)]))[0]!;
  }

  /** 0420: tells that a use was undone, as after an answer that never came. */
  async reverseAdvice(original: UseRecord): Promise<TerminalOutcome> {
    return (await this.batch(MTI_REVERSAL_ADVICE, [this.prepareReversal(original)]))[0]!;
  }

  /**
   * Sends up to recordsPerFrameMax records (4,096 at most) of one MTI in one frame; outcomes come
   * in their order. Records keep their STAN: sending one again asks for its first answer.
   */
  async batch(mti: number, uses: readonly UseRecord[]): Promise<TerminalOutcome[]> {
    const recordsMax = this.link.parameters?.recordsPerFrameMax ?? FRAME_RECORDS_MAX;
    if (!isUseMti(mti) || uses.length === 0 || uses.length > recordsMax) {
      throw new TerminalError("USE_INVALID", "30", "mti or number of records");
    }
    const body = new Uint8Array(uses.length * USE_RECORD_SIZE);
    for (const [i, use] of uses.entries()) {
      checkUse(use, isReversalMti(mti));
      writeUseRecord(body, i * USE_RECORD_SIZE, use);
    }
    return this.call(mti, uses.length, body, (header, frame) => readOutcomes(header, frame, uses));
  }

  /** 0800 function 301: the round trip in milliseconds. */
  async echo(): Promise<number> {
    const startMs = this.clock.nowMs();
    await this.manage(FUNCTION_ECHO, new Uint8Array(NONCE_SIZE), () => {});
    return this.clock.nowMs() - startMs;
  }

  /** 0800 function 101: new session keys; returns their generation. */
  changeKey(): Promise<number> {
    const terminalNonce = randomBytes(NONCE_SIZE);
    return this.manage(FUNCTION_KEY_CHANGE, terminalNonce, (record) => {
      const { keyGeneration, serverNonce } = record;
      const session = new Session(this.identity, keyGeneration, terminalNonce, serverNonce);
      this.link.changeSession(session);
      return keyGeneration;
    });
  }

  /** 0800 function 2: ends the session; a later call signs on again. */
  async signOff(): Promise<void> {
    await this.manage(FUNCTION_SIGN_OFF, new Uint8Array(NONCE_SIZE), () => {});
    this.link.dropSession();
  }

  /** Ends the connection at once; calls without an answer reject with CLOSED. */
  close(): void {
    this.link.stop();
    this.identity.masterKey.fill(0);
  }

  /** The whole record of a use, with STAN, date and time: keep it to repeat or reverse it. */
  prepare(use: Use): UseRecord {
    const nowMs = this.clock.nowMs();
    const businessDate = use.businessDate ?? chinaDate(nowMs);
    const record = {
      pan: use.pan,
      terminalId: use.terminalId ?? this.identity.terminalId,
      stan: use.stan ?? 1,
      businessDate,
      itemCode: use.itemCode,
      amountMinor: use.amountMinor,
      localTime: use.localTime ?? Math.floor(nowMs / 1000),
      medium: use.medium ?? MEDIUM_CHIP,
      originalStan: 0,
      originalBusinessDate: 0,
    };
    checkUse(record, false);
    return { ...record, stan: use.stan ?? this.stans.next(businessDate) };
  }

  /** The record that undoes `original`, with a STAN of its own. */
  prepareReversal(original: UseRecord): UseRecord {
    const nowMs = this.clock.nowMs();
    const businessDate = chinaDate(nowMs);
    return {
      ...original,
      stan: this.stans.next(businessDate),
      businessDate,
      localTime: Math.floor(nowMs / 1000),
      originalStan: original.stan,
      originalBusinessDate: original.businessDate,
    };
  }

  private manage<T>(
    functionCode: number,
    terminalNonce: Uint8Array,
    read: (record: Management) => T,
  ): Promise<T> {
    const body = new Uint8Array(MANAGEMENT_RECORD_SIZE);
    writeManagement(body, 0, {
      functionCode,
      step: 0,
      macAlgorithm: this.identity.macAlgorithm,
      masterKeyVersion: this.identity.masterKeyVersion,
      keyGeneration: 0,
      expiresAt: 0,
      terminalNonce,
      serverNonce: new Uint8Array(NONCE_SIZE),
    });
    return this.call(MTI_MANAGEMENT_REQUEST, 1, body, (_header, frame) => {
      const record = readManagement(viewOf(frame), FRAME_HEADER_SIZE);
      if (record.functionCode !== functionCode) throw new TerminalError("PROTOCOL");
      return read(record);
    });
  }

  private call<T>(
    mti: number,
    count: number,
    body: Uint8Array,
    read: (header: FrameHeader, frame: Uint8Array) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call = {
        mti,
        count,
        body,
        deadlineAtMs: this.clock.nowMs() + this.deadlineMs,
        answered: (header, frame) => settle(resolve, reject, () => read(header, frame)),
        failed: reject,
        sentAs: [],
        inFlight: false,
        attempts: 0,
        repeatAtMs: Number.POSITIVE_INFINITY,
        lastStatus: "",
        cancelTimer: () => {},
      };
      this.link.submit(call);
    });
  }
}

function settle<T>(
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
  read: () => T,
): void {
  try {
    resolve(read());
  } catch (error) {
    reject(error);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
