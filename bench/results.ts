// The results of a run as one object: machine, commit, settings, and every measurement.

import { arch, cpus, platform, totalmem } from "node:os";
import { buildInfo } from "../src/build-info.js";
import type { Measurement, Settings, Skipped } from "./case.js";

export interface Results {
  machine: {
    cpu: string;
    cores: number;
    memoryBytes: number;
    platform: string;
    node: string;
  };
  version: string;
  commit: string;
  /** UTC, ISO 8601. */
  startedAt: string;
  settings: Settings;
  cases: Measurement[];
  skipped: Skipped[];
}

/** Results of a run that begins now. */
export function resultsOf(settings: Settings): Results {
  const [cpu] = cpus();
  return {
    machine: {
      cpu: cpu!.model.trim(),
      cores: cpus().length,
      memoryBytes: totalmem(),
      platform: `${platform()} ${arch()}`,
      node: process.version,
    },
    ...buildInfo(),
    startedAt: new Date().toISOString(),
    settings,
    cases: [],
    skipped: [],
  };
}
