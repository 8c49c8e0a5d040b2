// The simulated terminals: they sign on over real sockets, tap along the day's curve and measure
// from the tap to the checked answer. Runs in a thread of its own (src/demo/fleet-worker.ts).

import type { MacAlgorithmName } from "../../protocol/mac-algorithms.js";
import { REASON_COUNT } from "../../protocol/reason.js";
import { TerminalClient, TerminalError, type TerminalOutcome } from "../client/index.js";
import { Province, type ProvinceOptions } from "../province/province.js";
import type { TerminalKind } from "../province/terminals.js";
import { type LatencyFigures, LatencyHistogram } from "./latency.js";
import { StanBook } from "./stans.js";
import { type Seat, seatsOf, type Tap, TapDay, type TapDayOptions } from "./tap-day.js";

export interface FleetOptions extends TapDayOptions {
  province: ProvinceOptions;
  /** ws://host:port/v1/terminal */
  url: string;
  /** Terminals that sign on. */
  connections: number;
  /** Terminals that sign on at a time; 16 when left out. */
  signOnsAtOnce?: number;
  /** Where STANs are reserved, for a later run of the same day. */
  stansFile?: string;
}

/** What the fleet has seen so far. */
export interface FleetFigures {
  /** Uses with an answer whose MAC held. */
  answered: number;
  /** Answers by reason number (protocol/reason.ts). */
  byReason: number[];
  /** Calls without answer, by the client's error code. */
  errors: Record<string, number>;
  latency: LatencyFigures;
  /** Highest journal position in an answer. */
  journalPosition: number;
  /** Minutes after midnight in the simulated day. */
  minutes: number;
  inFlight: number;
}

/** A card to report lost: it has just been used. */
export interface LostCard {
  pan: string;
  kind: TerminalKind;
  tap: Tap;
}

export interface Retap {
  kind: TerminalKind;
  approved: boolean;
  reasonName: string;
  responseCode: string;
  latencyMs: number;
}

const TICK_MS = 5;
const SIGN_ONS_AT_ONCE = 16;
const IN_FLIGHT_MAX = 4096;
const SETTLE_MS_MAX = 5000;

export class Fleet {
  private readonly options: FleetOptions;
  private readonly seats: Seat[];
  private readonly clients: TerminalClient[];
  private readonly signedOn: TerminalClient[];
  private readonly day: TapDay;
  private readonly stans: StanBook;
  private readonly histogram: LatencyHistogram;
  private readonly byReason: number[];
  private readonly errors: Record<string, number>;
  private timer: NodeJS.Timeout | null;
  private startMs: number;
  private dueAt: number;
  private due: number;
  private answered: number;
  private inFlight: number;
  private journalPosition: number;
  private lastApproved: Tap | null;
  private stopping: boolean;

  /** `masterKeyOf` defaults to the keys of the province. */
  constructor(
    options: FleetOptions,
    masterKeyOf?: (terminalId: number, algorithm: MacAlgorithmName) => Uint8Array,
  ) {
    const province = new Province(options.province);
    const keyOf = masterKeyOf ?? province.keys.masterKey.bind(province.keys);
    this.options = options;
    this.seats = seatsOf(province, options.connections);
    this.clients = this.seats.map(({ speaker }) => {
      const { terminalId, macAlgorithm } = speaker;
      const masterKey = keyOf(terminalId, macAlgorithm);
      return new TerminalClient({ url: options.url, terminalId, macAlgorithm, masterKey });
    });
    this.signedOn = [];
    this.day = new TapDay(province, this.seats, options);
    this.stans = new StanBook(options.stansFile ?? null);
    this.histogram = new LatencyHistogram();
    this.byReason = new Array(REASON_COUNT).fill(0);
    this.errors = {};
    this.timer = null;
    this.startMs = 0;
    this.dueAt = 0;
    this.due = 0;
    this.answered = 0;
    this.inFlight = 0;
    this.journalPosition = 0;
    this.lastApproved = null;
    this.stopping = false;
  }

  /** Signs all terminals on, a few at a time; throws TerminalError when one cannot. */
  async signOn(onProgress?: (signedOn: number, total: number) => void): Promise<void> {
    const waiting = [...this.clients];
    const lane = async () => {
      for (let client = waiting.pop(); client !== undefined; client = waiting.pop()) {
        if (this.stopping) return;
        await client.signOn();
        this.signedOn.push(client);
        onProgress?.(this.signedOn.length, this.clients.length);
      }
    };
    const lanes = this.options.signOnsAtOnce ?? SIGN_ONS_AT_ONCE;
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** Begins to tap, unless it is to stop. */
  start(): void {
    if (this.stopping) return;
    this.startMs = performance.now();
    this.dueAt = this.startMs;
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Stops tapping, waits a few seconds for the answers that are due, signs off and closes. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    const until = performance.now() + SETTLE_MS_MAX;
    while (this.inFlight > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    await Promise.allSettled(this.signedOn.map((client) => client.signOff()));
    for (const client of this.clients) client.close();
  }

  figures(): FleetFigures {
    return {
      answered: this.answered,
      byReason: [...this.byReason],
      errors: { ...this.errors },
      latency: this.histogram.figures(),
      journalPosition: this.journalPosition,
      minutes: this.day.minutes(this.startMs === 0 ? 0 : performance.now() - this.startMs),
      inFlight: this.inFlight,
    };
  }

  /** A card that was approved just now; null before the first. Each is handed out once. */
  takeLostCard(): LostCard | null {
    const tap = this.lastApproved;
    this.lastApproved = null;
    return tap === null ? null : { pan: tap.pan, kind: tap.kind, tap };
  }

  /** Taps a card again; null when no answer came. */
  async retap(lost: LostCard): Promise<Retap | null> {
    const startMs = performance.now();
    const outcome = await this.tap(this.day.again(lost.tap));
    if (outcome === null) return null;
    const { approved, reasonName, responseCode } = outcome;
    const latencyMs = performance.now() - startMs;
    return { kind: lost.kind, approved, reasonName, responseCode, latencyMs };
  }

  private tick(): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.startMs;
    this.due += (this.day.rate(elapsedMs) * (nowMs - this.dueAt)) / 1000;
    this.dueAt = nowMs;
    for (; this.due >= 1; this.due--) {
      if (this.inFlight >= IN_FLIGHT_MAX) return;
      void this.tap(this.day.next(elapsedMs));
    }
  }

  private async tap(tap: Tap): Promise<TerminalOutcome | null> {
    const { pan, itemCode, amountMinor, medium, terminalId } = tap;
    const stan = this.stans.next(terminalId);
    const startMs = performance.now();
    this.inFlight++;
    try {
      const use = { pan, itemCode, amountMinor, medium, terminalId, stan };
      const outcome = await this.clients[tap.seat]!.authorize(use);
      this.histogram.record(performance.now() - startMs);
      this.count(tap, outcome);
      return outcome;
    } catch (error) {
      const code = error instanceof TerminalError ? error.code : "UNEXPECTED";
      this.errors[code] = (this.errors[code] ?? 0) + 1;
      return null;
    } finally {
      this.inFlight--;
    }
  }

  private count(tap: Tap, outcome: TerminalOutcome): void {
    this.answered++;
    this.byReason[outcome.reason] = (this.byReason[outcome.reason] ?? 0) + 1;
    this.journalPosition = Math.max(this.journalPosition, Number(outcome.rrn));
    if (outcome.approved) this.lastApproved = tap;
  }
}
