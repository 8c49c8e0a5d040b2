// The measured server as a case sees it: a process with a data folder of its own.

import { businessDateAt } from "../engine/calendar.js";
import { Child } from "./child.js";
import { makeFolder, removeFolder } from "./folder.js";
import type { HostOptions, HostReady, HostUsage } from "./host.js";

const BUSINESS_DAY = { utcOffsetMinutes: 480, cutoverMinutes: 0 };

export interface ServerPlan {
  terminalCount: number;
  cardCount: number;
  /** Most uses that will be remembered. */
  usesMax: number;
  /** Further configuration by dotted key. */
  flags?: Record<string, unknown>;
}

export class Server {
  private constructor(
    readonly host: Child<HostReady>,
    readonly folder: string,
  ) {}

  /** Starts a server on a folder that is there, which is the caller's to remove. */
  static async startOn(folder: string, plan: ServerPlan): Promise<Server> {
    const options: HostOptions = { folder, seed: null, flags: flagsOf(plan) };
    return new Server(await Child.start<HostReady>("host", options), folder);
  }

  /** Starts a server with the world in it. */
  static async start(plan: ServerPlan): Promise<Server> {
    const folder = makeFolder();
    const { terminalCount, cardCount } = plan;
    const seed = { terminalCount, cardCount };
    const options: HostOptions = { folder, seed, flags: flagsOf(plan) };
    return new Server(await Child.start<HostReady>("host", options), folder);
  }

  get terminalsUrl(): string {
    return this.host.ready.terminalsUrl;
  }

  /** Cards it had when it started to serve. */
  get cardCount(): number {
    return this.host.ready.cardCount;
  }

  usage(): Promise<HostUsage> {
    return this.host.ask("usage");
  }

  async stop(): Promise<void> {
    await this.host.stop();
    removeFolder(this.folder);
  }
}

/** Configuration for a plan, by dotted key. */
function flagsOf({ cardCount, usesMax, flags }: ServerPlan): Record<string, unknown> {
  return {
    "log.level": "warn",
    "tables.cardsMax": Math.max(cardCount, 1000),
    "tables.holdersMax": Math.max(cardCount, 1000),
    "tables.usesPerDateMax": Math.max(usesMax, 1000),
    ...flags,
  };
}

/** The business date now, YYYYMMDD. */
export function businessDateNow(): number {
  return businessDateAt(Date.now(), BUSINESS_DAY);
}
