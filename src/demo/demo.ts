// The demonstration: a province is generated if there is none, imported and served, and simulated
// terminals tap through its day until it is stopped; now and then a card is reported lost, and its
// next tap shown. How to import and serve is handed in, so that the server may be anywhere.

import { join } from "node:path";
import type { ProvinceOptions, ProvinceSummary } from "../province/province.js";
import type { FleetFigures, FleetOptions, LostCard } from "./fleet.js";
import { type FleetNews, startFleetThread } from "./fleet-thread.js";
import { generateMissing } from "./generate-missing.js";
import { type DemoView, declinesOf, type Loss, Screen } from "./screen.js";

export interface ServerStatus {
  journalPosition: number;
  blacklistSize: number;
}

/** A server that takes uses, wherever it runs. */
export interface DemoServer {
  /** ws://host:port/v1/terminal */
  terminalUrl: string;
  /** Reports a card lost; resolves when that is on disk. */
  reportLost(pan: string): Promise<void>;
  status(): Promise<ServerStatus>;
  /** Drains and ends it. */
  stop(): Promise<void>;
}

export interface DemoParts {
  /** Imports all files of the province in `folder`. */
  importAll(summary: ProvinceSummary, folder: string): Promise<void>;
  startServer(): Promise<DemoServer>;
  onGenerate?: (holdersDone: number, holdersTotal: number) => void;
  onSignOn?: (signedOn: number, total: number) => void;
}

export interface DemoOptions {
  /** Where the province's files stand or are written to. */
  provinceFolder: string;
  province: ProvinceOptions;
  connections: number;
  /** Mean of the simulated day. */
  usesPerSecond: number;
  dayMinutes: number;
  startMinutes: number;
  /** Ends by itself after so many seconds of tapping; 0: only by the signal. */
  seconds: number;
  signal: AbortSignal;
  stream: NodeJS.WriteStream;
}

export const DEMO_DEFAULTS = {
  connections: 200,
  usesPerSecond: 600,
  dayMinutes: 4,
  startMinutes: 7 * 60,
} as const;

export interface DemoSummary {
  seconds: number;
  answered: number;
  approved: number;
  /** Declines by reason. */
  declined: Record<string, number>;
  errors: Record<string, number>;
  latencyMs: FleetFigures["latency"];
  /** Cards reported lost, and how many of their next taps were declined. */
  lost: number;
  lostDeclined: number;
  journalPosition: number;
}

const SCREEN_INTERVAL_TTY_MS = 250;
const SCREEN_INTERVAL_PLAIN_MS = 1000;
/** A little less than a second: timers come early by a millisecond now and then. */
const RATE_INTERVAL_MS = 900;
const LOSS_FIRST_MS = 2000;
const LOSS_INTERVAL_MS = 5000;

/**
 * Runs the demonstration to its end. Throws what generating, importing or serving throws, and an
 * Error when the terminals cannot sign on.
 */
export async function runDemo(options: DemoOptions, parts: DemoParts): Promise<DemoSummary> {
  const { province, provinceFolder } = options;
  const summary = await generateMissing(provinceFolder, province, parts.onGenerate);
  await parts.importAll(summary, provinceFolder);
  const server = await parts.startServer();
  try {
    const { seed, today, holders, terminals } = summary;
    return await new DemoRun(options, parts, server, { seed, today, holders, terminals }).run();
  } finally {
    await server.stop();
  }
}

const STANS_FILE = "stans.json";

class DemoRun {
  private readonly options: DemoOptions;
  private readonly parts: DemoParts;
  private readonly server: DemoServer;
  private readonly fleetOptions: FleetOptions;
  private readonly screen: Screen;
  private readonly losses: Loss[];
  private readonly view: DemoView;
  private readonly timers: NodeJS.Timeout[];
  private lostDeclined: number;
  private waiting: LostCard | null;
  private startedMs: number;
  private shown: { answered: number; atMs: number };
  private order: ReturnType<typeof startFleetThread>["order"];
  private end: (error: Error | null) => void;

  constructor(
    options: DemoOptions,
    parts: DemoParts,
    server: DemoServer,
    province: Required<ProvinceOptions>,
  ) {
    const { connections, usesPerSecond, dayMinutes, startMinutes } = options;
    const url = server.terminalUrl;
    const pace = { usesPerSecond, dayMinutes, startMinutes };
    this.options = options;
    this.parts = parts;
    this.server = server;
    const stansFile = join(options.provinceFolder, STANS_FILE);
    this.fleetOptions = { province, url, connections, stansFile, ...pace };
    this.screen = new Screen(options.stream);
    this.losses = [];
    this.view = {
      title: `Tongka · Hainan, ${province.holders.toLocaleString("en-US")} holders, \
${connections} terminals`,
      figures: emptyFigures(startMinutes),
      usesPerSecond: 0,
      journalPosition: 0,
      blacklistSize: 0,
      losses: this.losses,
    };
    this.timers = [];
    this.lostDeclined = 0;
    this.waiting = null;
    this.startedMs = 0;
    this.shown = { answered: 0, atMs: 0 };
    this.order = () => undefined;
    this.end = () => undefined;
  }

  async run(): Promise<DemoSummary> {
    const ended = new Promise<Error | null>((resolve) => {
      this.end = resolve;
    });
    const thread = startFleetThread(this.fleetOptions, (news) => this.hear(news));
    this.order = thread.order;
    const stop = () => this.stop();
    this.options.signal.addEventListener("abort", stop);
    if (this.options.signal.aborted) stop();
    const error = await ended;
    this.options.signal.removeEventListener("abort", stop);
    for (const timer of this.timers) clearInterval(timer);
    if (error !== null) this.order({ type: "stop" });
    await thread.ended;
    this.screen.done();
    if (error !== null) throw error;
    return this.summary();
  }

  private hear(news: FleetNews): void {
    switch (news.type) {
      case "signing-on":
        this.parts.onSignOn?.(news.signedOn, news.total);
        if (news.signedOn === news.total) this.begin();
        break;
      case "figures":
        this.view.figures = news.figures;
        break;
      case "lost":
        if (news.lost !== null) this.report(news.lost).catch((error) => this.end(error));
        break;
      case "retapped":
        this.noteRetap(news.retap);
        break;
      case "failed":
        this.end(new Error(`the simulated terminals failed: ${news.message}`));
        break;
      case "stopped":
        this.view.figures = news.figures;
        this.end(null);
        break;
    }
  }

  private begin(): void {
    this.startedMs = performance.now();
    this.shown.atMs = this.startedMs;
    const { stream, seconds } = this.options;
    const every = stream.isTTY ? SCREEN_INTERVAL_TTY_MS : SCREEN_INTERVAL_PLAIN_MS;
    this.timers.push(setInterval(() => this.show(), every));
    this.timers.push(setInterval(() => this.lose(), LOSS_INTERVAL_MS));
    this.timers.push(setTimeout(() => this.lose(), LOSS_FIRST_MS));
    if (seconds > 0) this.timers.push(setTimeout(() => this.stop(), seconds * 1000));
  }

  private stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.order({ type: "stop" });
  }

  private lose(): void {
    if (this.waiting === null) this.order({ type: "lose" });
  }

  private async report(lost: LostCard): Promise<void> {
    this.waiting = lost;
    await this.server.reportLost(lost.pan);
    const { minutes } = this.view.figures;
    const place = lost.kind.replace("-", " ");
    this.losses.push({ lastDigits: lost.pan.slice(-4), place, minutes, next: "" });
    this.order({ type: "retap", lost });
  }

  private noteRetap(retap: Extract<FleetNews, { type: "retapped" }>["retap"]): void {
    this.waiting = null;
    const loss = this.losses.at(-1);
    if (loss === undefined) return;
    if (retap === null) loss.next = "no answer";
    else if (retap.approved) loss.next = "approved";
    else {
      this.lostDeclined++;
      const { reasonName, responseCode, latencyMs } = retap;
      loss.next = `declined ${responseCode} ${reasonName} in ${latencyMs.toFixed(1)} ms`;
    }
  }

  private show(): void {
    const nowMs = performance.now();
    const { answered } = this.view.figures;
    if (nowMs - this.shown.atMs >= RATE_INTERVAL_MS) {
      const seconds = (nowMs - this.shown.atMs) / 1000;
      this.view.usesPerSecond = (answered - this.shown.answered) / seconds;
      this.shown = { answered, atMs: nowMs };
      this.readStatus();
    }
    this.screen.update(this.view);
  }

  private readStatus(): void {
    this.server.status().then(
      ({ journalPosition, blacklistSize }) => {
        this.view.journalPosition = journalPosition;
        this.view.blacklistSize = blacklistSize;
      },
      // The server answers no question while it is busy or stopping: the last figures stand.
      () => undefined,
    );
  }

  private summary(): DemoSummary {
    const { figures } = this.view;
    const declines = declinesOf(figures.byReason).map(([name, , n]): [string, number] => [name, n]);
    return {
      seconds: this.startedMs === 0 ? 0 : (performance.now() - this.startedMs) / 1000,
      answered: figures.answered,
      approved: figures.byReason[0] ?? 0,
      declined: Object.fromEntries(declines),
      errors: figures.errors,
      latencyMs: figures.latency,
      lost: this.losses.length,
      lostDeclined: this.lostDeclined,
      journalPosition: Math.max(figures.journalPosition, this.view.journalPosition),
    };
  }
}

function emptyFigures(minutes: number): FleetFigures {
  const latency = { p50: 0, p99: 0, p999: 0, max: 0 };
  const none = { answered: 0, byReason: [], errors: {}, journalPosition: 0, inFlight: 0 };
  return { ...none, latency, minutes };
}
