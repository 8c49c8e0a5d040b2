// What a run is made of, drawn from its seed: the limits of the node, who takes part, and how often
// which fault strikes. Every run is another: some know no fault of one kind and many of another.

import type { Config } from "../../src/config.js";
import type { Chance } from "./chance.js";
import type { DiskFaults } from "./false-disk.js";
import type { ModelRules } from "./model.js";

/** 2026-01-05 10:00 in UTC+8. */
const START_MS = Date.UTC(2026, 0, 5, 2);
/** So many of all runs are quiet ones, 0..1. */
const QUIET = 0.3;

export interface NetworkFaults {
  lost: number;
  repeated: number;
  delayed: number;
  cut: number;
  changed: number;
}

export interface Plan {
  config: Config;
  rules: ModelRules;
  startMs: number;
  cards: number;
  gates: number;
  concentrators: number;
  /** Journal and tables may be on two disks, each with faults of its own. */
  journalDisk: DiskFaults;
  /** Bytes of zeros that stand ready behind the blocks of a file. */
  journalRoom: number;
  tablesDisk: DiskFaults;
  network: NetworkFaults;
  /** Mean times between, milliseconds. */
  crashMs: number;
  checkpointMs: number;
  /** How often a checkpoint is begun while a command is being committed, 0..1. */
  checkpointAtCommand: number;
  /** How often a crash comes soon after a checkpoint has begun, 0..1. */
  crashAtCheckpoint: number;
  commandMs: number;
  /** How many changes are of a catalogue or an organisation, 0..1. */
  documents: number;
  clockMs: number;
  /** The disk is full now and then. */
  fullMs: number;
  restartMs: number;
  /** A terminal begins something new every so often. */
  tapMs: number;
  recordsMax: number;
  /** What a turn of the core decides at the most: batches here are small, and so are slices. */
  sliceWork: number;
  /** Length of the run, milliseconds of false time. */
  lengthMs: number;
}

/** Zero for some runs, small for others, large for a few. */
function rate(chance: Chance, large: number): number {
  return chance.pick([0, large / 20, large / 4, large]);
}

export function drawPlan(chance: Chance): Plan {
  const plan = drawUsual(chance);
  return chance.hit(QUIET) ? { ...plan, ...drawQuiet(chance) } : plan;
}

function drawUsual(chance: Chance): Plan {
  const config = drawConfig(chance);
  const { session, limits, tables, duplicates, businessDay } = config;
  return {
    config,
    rules: {
      datesKept: duplicates.businessDatesKept,
      usesPerDateMax: tables.usesPerDateMax,
      sessionsMax: limits.sessionsMax,
      sessionSeconds: session.seconds,
      keyOverlapSeconds: session.keyOverlapSeconds,
      ...businessDay,
    },
    startMs: START_MS + chance.below(86_400_000),
    cards: chance.pick([40, 300, 1500]),
    gates: chance.between(3, 12),
    concentrators: chance.between(1, 3),
    journalDisk: drawDisk(chance, 0.004),
    journalRoom: chance.pick([0, 4096, 1 << 16]),
    // A failed write of the journal ends the process; one of the tables ends checkpoints only.
    tablesDisk: drawDisk(chance, 0.25),
    network: {
      lost: rate(chance, 0.1),
      repeated: rate(chance, 0.1),
      delayed: rate(chance, 0.2),
      cut: rate(chance, 0.02),
      changed: rate(chance, 0.02),
    },
    crashMs: chance.pick([30, 80, 300, 1500]),
    checkpointMs: chance.pick([15, 60, 400]),
    checkpointAtCommand: chance.pick([0.2, 0.2, 0.8]),
    crashAtCheckpoint: chance.pick([0.1, 0.1, 0.5]),
    commandMs: chance.pick([4, 20, 100]),
    documents: chance.pick([0.08, 0.08, 0.4]),
    clockMs: chance.pick([150, 1000, 1e9]),
    restartMs: chance.pick([5, 50]),
    tapMs: chance.pick([3, 10]),
    recordsMax: chance.pick([1, 6, 40]),
    sliceWork: chance.between(1, 64),
    fullMs: chance.pick([200, 1e9, 1e9, 1e9]),
    lengthMs: 3000,
  };
}

/**
 * Little happens among many cards, so most pages rest; and a crash often comes when the little that
 * does happen is in a checkpoint and not yet in the journal. What such a checkpoint leaves behind
 * is not written over soon.
 */
function drawQuiet(chance: Chance): Partial<Plan> {
  return {
    cards: 1500,
    gates: chance.between(1, 3),
    journalDisk: { ...drawDisk(chance, 0), slow: 0.5 },
    tablesDisk: drawDisk(chance, 0.2),
    crashMs: 300,
    checkpointMs: 15,
    checkpointAtCommand: 0.8,
    crashAtCheckpoint: 0.3,
    commandMs: chance.pick([10, 30]),
    tapMs: 50,
    recordsMax: 1,
  };
}

function drawDisk(chance: Chance, failWrite: number): DiskFaults {
  return {
    slow: rate(chance, 0.5),
    stuck: rate(chance, 0.002),
    failWrite: rate(chance, failWrite),
    failFlush: rate(chance, 0.02),
  };
}

function drawConfig(chance: Chance): Config {
  const recordsPerFrameMax = 48;
  return {
    data: "",
    terminals: {
      host: "",
      port: 0,
      tlsCertFile: "",
      tlsKeyFile: "",
      connectionsMax: 1000,
      frameSizeMax: 4200,
      idleSeconds: 120,
    },
    control: { host: "", port: 0, importSizeMax: 1 << 20, keyExchangeKeyFile: "" },
    limits: {
      sessionsMax: chance.pick([8, 100, 100]),
      recordsInFlightMax: chance.pick([50, 200, 1000]),
      recordsPerFrameMax,
      answerMs: 5,
    },
    session: {
      seconds: chance.pick([60, 3600, 86_400]),
      keyOverlapSeconds: chance.pick([1, 30]),
      challengeSeconds: 30,
      challengesMax: chance.pick([2, 1000]),
    },
    tables: {
      cardsMax: 3000,
      holdersMax: 3000,
      terminalsMax: 100,
      blacklistMax: 3000,
      usesPerDateMax: chance.pick([60, 600, 4000, 4000]),
      memory: "as-needed",
    },
    duplicates: { businessDatesKept: chance.between(1, 3) },
    businessDay: { utcOffsetMinutes: 480, cutoverMinutes: chance.pick([0, 0, 240]) },
    journal: {
      commitSecondsMax: 5,
      checkpointSeconds: 60,
      blockSizeMax: chance.pick([1 << 15, 1 << 17]),
      // Some smaller than one may say, so that files follow each other often.
      fileSizeMax: chance.pick([1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 25]),
    },
    crypto: { workers: 0 },
    log: { level: "silent" },
  };
}
