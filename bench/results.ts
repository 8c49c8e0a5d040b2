// The results of a run as one object: machine, commit, settings, and every measurement.

import { arch, cpus, platform, totalmem } from "node:os";
import { ADMIN_TOKEN_VARIABLE } from "../src/admin-token.js";
import { buildInfo } from "../src/build-info.js";
import { ROOT_KEY_VARIABLE } from "../src/root-key.js";
import type { Measurement, Settings, Skipped } from "./case.js";

const SECRETS = [ROOT_KEY_VARIABLE, ADMIN_TOKEN_VARIABLE];

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

/** The configuration that an environment gives the server; secrets are none of it. */
export function configuredBy(environment: NodeJS.ProcessEnv): Record<string, string> {
  const pairs = Object.entries(environment).filter(([name]) => {
    return name.startsWith("TONGKA_") && !SECRETS.includes(name);
  });
  return Object.fromEntries(pairs) as Record<string, string>;
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
