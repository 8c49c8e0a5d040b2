// The measured server as a case sees it: a process with a data folder of its own.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { businessDateAt } from "../engine/calendar.js";
import { Child } from "./child.js";
import { makeFolder, removeFolder } from "./folder.js";
import type { HostOptions, HostReady, HostUsage } from "./host.js";
import { PROFILE_FOLDER_VARIABLE } from "./profiler.js";

const BUSINESS_DAY = { utcOffsetMinutes: 480, cutoverMinutes: 0 };

export interface ServerPlan {
  terminalCount: number;
  cardCount: number;
  /** Most uses that will be remembered. */
  usesMax: number;
  /** Further configuration by dotted key. */
  flags?: Record<string, unknown>;
}

/** First part of the name of a profile of a server under load. */
export const UNDER_LOAD = "under-load-";

/** What a piece of work cost the server, and how long its answers took (HostUsage). */
export interface UnderLoad<Result> {
  result: Result;
  cpuMicroseconds: number;
  approved: number;
  latencies: number[];
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

  /** Does `work` and tells what it cost the server. */
  async underLoad<Result>(work: () => Promise<Result>): Promise<UnderLoad<Result>> {
    const profileFolder = process.env[PROFILE_FOLDER_VARIABLE];
    if (profileFolder !== undefined) await this.host.ask("profileStart");
    const before = await this.host.ask<HostUsage>("usage");
    const result = await work();
    const after = await this.host.ask<HostUsage>("usage");
    if (profileFolder !== undefined) {
      const profile = await this.host.ask("profileStop");
      const file = `${UNDER_LOAD}${process.pid}-${Date.now()}.cpuprofile`;
      writeFileSync(join(profileFolder, file), JSON.stringify(profile));
    }
    return {
      result,
      cpuMicroseconds: after.cpuMicroseconds - before.cpuMicroseconds,
      approved: after.approved - before.approved,
      latencies: after.latencies.map((count, i) => count - before.latencies[i]!),
    };
  }

  async stop(): Promise<void> {
    await this.host.stop();
    removeFolder(this.folder);
  }

  /** Stops it and leaves its folder, which is the caller's to remove. */
  leaveFolder(): Promise<void> {
    return this.host.stop();
  }
}

/** Memory ahead of what is written needs Linux. */
const MEMORY = process.platform === "linux" ? "at-start" : "as-needed";

/**
 * Configuration for a plan, by dotted key. Tables have their memory when a load begins, as those of
 * a server that has been up for days.
 */
function flagsOf({ cardCount, usesMax, flags }: ServerPlan): Record<string, unknown> {
  return {
    "log.level": "warn",
    "tables.cardsMax": Math.max(cardCount, 1000),
    "tables.holdersMax": Math.max(cardCount, 1000),
    "tables.usesPerDateMax": Math.max(usesMax, 1000),
    "tables.memory": MEMORY,
    ...flags,
  };
}

/** The business date now, YYYYMMDD. */
export function businessDateNow(): number {
  return businessDateAt(Date.now(), BUSINESS_DAY);
}
