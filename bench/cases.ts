// The corpus: every case by its name, in the order in which they run and are printed.

import type { BenchCase } from "./case.js";
import { CORE } from "./core-case.js";
import { HTTP } from "./http-case.js";
import { LATENCY } from "./latency-case.js";
import { STAGES } from "./stages.js";
import { WIRE_BATCH, WIRE_SINGLE } from "./wire-cases.js";

export const CASES: readonly BenchCase[] = [STAGES, CORE, WIRE_SINGLE, WIRE_BATCH, HTTP, LATENCY];
