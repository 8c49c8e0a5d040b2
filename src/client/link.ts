// The link of one terminal to the server: keeps a connection and a session alive and brings each
// call its answer, or its error at the deadline.
//
//   idle --start--> connecting --opened--> signing-on --session--> ready --stop--> closed
//                     ^    |                  ^   |                  |
//                     |    +---- lost --------|---+------ lost ------+---> backing-off
//                     +------ after a while --|------------------------------+
//                                             +---- A0 ----- ready
//
// The twist: a session outlives its connection, so a new connection goes on with the old session
// and only A0 leads to a new sign-on. A call is in `waiting`, or in flight, or between the two
// until its repeat is due; it settles once. Unauthenticated refusals only ever cause a repeat.

import {
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_PROBLEM,
  FRAME_SIZE_MIN,
  type FrameHeader,
  frameProblem,
  frameVerified,
  isResponseMti,
  MTI_MANAGEMENT_RESPONSE,
  readFrameHeader,
  responseMti,
  type SessionParameters,
  USE_RECORD_SIZE,
} from "../../protocol/index.js";
import { type Call, forgetSent } from "./call.js";
import type { Clock } from "./clock.js";
import { TerminalError, type TerminalErrorCode } from "./errors.js";
import type { Session, TerminalIdentity } from "./session.js";
import { SignOn, type SignOnStep } from "./sign-on.js";
import { CLOSE_CODE_MALFORMED, openTransport, type Transport } from "./transport.js";

export interface LinkOptions {
  url: string;
  identity: TerminalIdentity;
  /** After how long without an answer a frame is sent again, on a connection that holds. */
  answerTimeoutMs: number;
  backoffMsMin: number;
  backoffMsMax: number;
  /** Most calls that wait or are in flight. */
  callsMax: number;
  clock: Clock;
  /** 0 up to 1: spreads the repeats of many terminals. */
  random: () => number;
}

/** What the link has done since it was made. */
export interface LinkCounters {
  connections: number;
  signOns: number;
  /** Frames sent again. */
  repeats: number;
  /** Frames received that were malformed, not ours, or whose MAC did not hold. */
  ignored: number;
}

type Phase = "idle" | "connecting" | "signing-on" | "ready" | "backing-off" | "closed";

const STATUS_SIGN_ON_AGAIN = "A0";
const STATUS_TERMINAL_UNKNOWN = "97";
const STATUS_OVERLOAD = "91";
const STATUS_SEQUENCE = "63";
const STATUS_FORMAT = "30";
const NO_TIMER = () => {};

export class Link {
  readonly counters: LinkCounters = { connections: 0, signOns: 0, repeats: 0, ignored: 0 };
  parameters: SessionParameters | null = null;
  private readonly options: LinkOptions;
  private readonly calls = new Set<Call>();
  private readonly waiting = new Set<Call>();
  private phase: Phase = "idle";
  private transport: Transport | null = null;
  private session: Session | null = null;
  /** The session before a key change: answers under it still come. */
  private previous: Session | null = null;
  private signOn: SignOn | null = null;
  private recordsInFlight = 0;
  /** Failures in a row, of connections and sign-ons; a verified answer ends the row. */
  private failures = 0;
  private cancelTimer = NO_TIMER;

  constructor(options: LinkOptions) {
    this.options = options;
  }

  /** Begins to connect, when it has not. */
  start(): void {
    if (this.phase === "idle") this.connect();
  }

  /** Takes a call: it will be answered, or fail at its deadline. */
  submit(call: Call): void {
    if (this.phase === "closed") call.failed(new TerminalError("CLOSED"));
    else if (this.calls.size >= this.options.callsMax) {
      call.failed(new TerminalError("BACKLOG_FULL"));
    } else {
      this.calls.add(call);
      this.waiting.add(call);
      this.arm(call);
      this.start();
      this.flush();
    }
  }

  /** Ends a session that was signed off; the next call signs on again. */
  dropSession(): void {
    this.closeSessions();
    this.phase = "idle";
    this.transport?.close();
    this.transport = null;
    this.requeueAll();
    if (this.calls.size > 0) this.start();
  }

  /** Replaces the session after a key change; the old one goes on being answered. */
  changeSession(session: Session): void {
    this.previous?.close();
    this.previous = this.session;
    this.session = session;
  }

  /** Fails all calls and ends the connection; the link is of no use afterwards. */
  stop(): void {
    this.failAll("CLOSED", "");
    this.phase = "closed";
  }

  private connect(): void {
    this.phase = "connecting";
    this.counters.connections++;
    this.transport = openTransport(this.options.url, {
      opened: () => this.opened(),
      received: (bytes) => this.received(bytes),
      lost: (code) => this.lost(code),
    });
  }

  private opened(): void {
    if (this.session === null) this.beginSignOn();
    else {
      this.phase = "ready";
      this.flush();
    }
  }

  /** The connection is gone: all that was in flight is sent again on the next. */
  private lost(code: number): void {
    this.transport = null;
    if (code >= CLOSE_CODE_MALFORMED) {
      this.failAll("PROTOCOL", "");
      return;
    }
    this.requeueAll();
    this.phase = "backing-off";
    this.after(this.backoffMs(this.failures++), () => this.connect());
  }

  private beginSignOn(): void {
    this.phase = "signing-on";
    this.signOn?.close();
    this.signOn = new SignOn(this.options.identity);
    this.counters.signOns++;
    this.send(this.signOn.challenge(this.options.clock.nowMs()));
    this.after(this.options.answerTimeoutMs, () => this.signOnFailed());
  }

  private signOnFailed(): void {
    this.phase = "signing-on";
    this.after(this.backoffMs(this.failures++), () => this.beginSignOn());
  }

  private received(bytes: Uint8Array): void {
    const header = this.headerOf(bytes);
    if (header === null) this.ignore();
    else if (this.phase === "signing-on") this.receivedInSignOn(header, bytes);
    else this.receivedInSession(header, bytes);
  }

  /** The header of a sound response to this terminal; null for all else. */
  private headerOf(bytes: Uint8Array): FrameHeader | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (frameProblem(view, 0, bytes.length) !== FRAME_PROBLEM.NONE) return null;
    const header = readFrameHeader(view, 0);
    const ours = header.senderId === this.options.identity.terminalId;
    return ours && isResponseMti(header.mti) ? header : null;
  }

  private receivedInSession(header: FrameHeader, bytes: Uint8Array): void {
    const session = this.sessionOf(header.keyGeneration);
    const call = session?.sent.get(header.sequence);
    if (!session || !call || header.mti !== responseMti(call.mti)) this.ignore();
    else if (isUnauthenticated(header)) this.refused(call, session, header.status, false);
    else if (!frameVerified(session.responseMac, bytes, 0, bytes.length)) this.ignore();
    else {
      this.failures = 0;
      if (header.count === 0) this.refused(call, session, header.status, true);
      else this.settle(call, () => call.answered(header, bytes));
    }
  }

  private receivedInSignOn(header: FrameHeader, bytes: Uint8Array): void {
    const step = this.signOnStep(header, bytes);
    if (step.kind === "send") this.send(step.frame);
    else if (step.kind === "open") this.sessionOpened(step.session, step.parameters);
    else if (step.kind === "refused") this.signOnRefused(step.status);
    else this.ignore();
  }

  /** Session parameters that do not read are the other end's fault: the sign-on is refused. */
  private signOnStep(header: FrameHeader, bytes: Uint8Array): SignOnStep {
    if (header.mti !== MTI_MANAGEMENT_RESPONSE || this.signOn === null) return { kind: "ignore" };
    if (isUnauthenticated(header)) {
      return header.keyGeneration === 0 ? refusedWith(header.status) : { kind: "ignore" };
    }
    try {
      return this.signOn.receive(header, bytes, this.options.clock.nowMs());
    } catch {
      return refusedWith(STATUS_FORMAT);
    }
  }

  private sessionOpened(session: Session, parameters: SessionParameters): void {
    this.cancelTimer();
    this.signOn?.close();
    this.signOn = null;
    this.session = session;
    this.parameters = parameters;
    this.phase = "ready";
    this.flush();
  }

  private signOnRefused(status: string): void {
    for (const call of this.calls) call.lastStatus = status;
    if (status === STATUS_TERMINAL_UNKNOWN) this.failAll("TERMINAL_UNKNOWN", status);
    else if (status === STATUS_FORMAT) this.failAll("PROTOCOL", status);
    else this.signOnFailed();
  }

  /** A frame was refused as a whole. Only an authenticated refusal is an answer. */
  private refused(call: Call, session: Session, status: string, authenticated: boolean): void {
    call.lastStatus = status;
    if (status === STATUS_TERMINAL_UNKNOWN) this.failAll("TERMINAL_UNKNOWN", status);
    else if (status === STATUS_SIGN_ON_AGAIN) this.sessionRefused(session);
    else if (status === STATUS_OVERLOAD || status === STATUS_SEQUENCE) this.repeatLater(call);
    else if (!authenticated) this.ignore();
    else this.settle(call, () => call.failed(new TerminalError("REFUSED", status)));
  }

  /** A0: the session is over, or the answer was forged. Signing on again serves both. */
  private sessionRefused(session: Session): void {
    if (session === this.previous) {
      for (const call of [...session.sent.values()]) if (call.inFlight) this.requeue(call);
      this.flush();
      return;
    }
    this.closeSessions();
    this.requeueAll();
    if (this.failures++ > 0) this.signOnFailed();
    else this.beginSignOn();
  }

  private closeSessions(): void {
    this.session?.close();
    this.previous?.close();
    this.session = null;
    this.previous = null;
  }

  private sessionOf(keyGeneration: number): Session | null {
    if (this.session?.keyGeneration === keyGeneration) return this.session;
    return this.previous?.keyGeneration === keyGeneration ? this.previous : null;
  }

  /** Sends what waits, as far as the server's limit of records in flight allows. */
  private flush(): void {
    for (const call of this.waiting) {
      const limit = this.parameters?.recordsInFlightMax ?? 0;
      if (this.phase !== "ready" || this.session === null) return;
      if (this.recordsInFlight > 0 && this.recordsInFlight + call.count > limit) return;
      if (this.session.exhausted) {
        this.sessionRefused(this.session);
        return;
      }
      this.waiting.delete(call);
      this.transmit(call, this.session);
    }
  }

  private transmit(call: Call, session: Session): void {
    const now = this.options.clock.nowMs();
    if (call.attempts++ > 0) this.counters.repeats++;
    call.inFlight = true;
    call.repeatAtMs = now + this.options.answerTimeoutMs;
    this.recordsInFlight += call.count;
    this.arm(call);
    this.send(session.frameOf(call, now));
  }

  /** A message may be as long as the largest frame that the server takes of this terminal. */
  private send(frame: Uint8Array): void {
    const records = this.parameters?.recordsPerFrameMax ?? 1;
    this.transport!.send(frame, FRAME_SIZE_MIN + records * USE_RECORD_SIZE);
  }

  /** Back to the queue. Numbers it was sent under stay known: a late answer is an answer. */
  private requeue(call: Call): void {
    if (call.inFlight) this.recordsInFlight -= call.count;
    call.inFlight = false;
    call.repeatAtMs = Number.POSITIVE_INFINITY;
    this.waiting.add(call);
    this.arm(call);
  }

  private requeueAll(): void {
    for (const call of this.calls) if (call.inFlight) this.requeue(call);
  }

  private repeatLater(call: Call): void {
    this.requeue(call);
    this.waiting.delete(call);
    call.repeatAtMs = this.options.clock.nowMs() + this.backoffMs(call.attempts);
    this.arm(call);
  }

  private arm(call: Call): void {
    call.cancelTimer();
    const now = this.options.clock.nowMs();
    const delayMs = Math.max(0, Math.min(call.deadlineAtMs, call.repeatAtMs) - now);
    call.cancelTimer = this.options.clock.after(delayMs, () => this.due(call));
  }

  private due(call: Call): void {
    const now = this.options.clock.nowMs();
    if (now >= call.deadlineAtMs) {
      const error = new TerminalError("DEADLINE", call.lastStatus);
      this.settle(call, () => call.failed(error));
    } else if (now < call.repeatAtMs) this.arm(call);
    else {
      this.requeue(call);
      this.flush();
    }
  }

  /** A call settles once; then nothing of it is kept. */
  private settle(call: Call, tell: () => void): void {
    if (!this.calls.delete(call)) return;
    call.cancelTimer();
    this.waiting.delete(call);
    if (call.inFlight) this.recordsInFlight -= call.count;
    call.inFlight = false;
    forgetSent(call);
    tell();
    this.flush();
  }

  /** Ends all there is with one error; the next call begins anew. */
  private failAll(code: TerminalErrorCode, status: string): void {
    this.cancelTimer();
    this.transport?.close();
    this.transport = null;
    this.signOn?.close();
    this.signOn = null;
    this.closeSessions();
    this.phase = "idle";
    const failing = [...this.calls];
    for (const call of failing) {
      this.settle(call, () => call.failed(new TerminalError(code, status)));
    }
  }

  private backoffMs(attempt: number): number {
    const { backoffMsMin, backoffMsMax, random } = this.options;
    const ceiling = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(attempt, 30));
    return ceiling * (0.5 + random() / 2);
  }

  /** The one timer of connecting and signing on. */
  private after(delayMs: number, run: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.options.clock.after(delayMs, run);
  }

  private ignore(): void {
    this.counters.ignored++;
  }
}

function isUnauthenticated(header: FrameHeader): boolean {
  return (header.flags & FRAME_FLAG_UNAUTHENTICATED) !== 0;
}

function refusedWith(status: string): SignOnStep {
  return { kind: "refused", status };
}
