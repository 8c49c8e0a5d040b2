// The corpus: every case by its name, in the order in which they run and are printed.

import { ALLOCATION } from "./allocation-case.js";
import { BLACKLIST } from "./blacklist-case.js";
import type { BenchCase } from "./case.js";
import { CORE } from "./core-case.js";
import { HTTP } from "./http-case.js";
import { LATENCY } from "./latency-case.js";
import { MAC_POOL } from "./mac-pool-case.js";
import { SCALE } from "./scale-case.js";
import { STAGES } from "./stages.js";
import { WIRE_BATCH, WIRE_SINGLE } from "./wire-cases.js";

export const CASES: readonly BenchCase[] = [
  STAGES,
  CORE,
  WIRE_SINGLE,
  WIRE_BATCH,
  HTTP,
  LATENCY,
  MAC_POOL,
  SCALE,
  BLACKLIST,
  ALLOCATION,
];
