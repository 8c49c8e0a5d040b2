// `tongka demo`: a small province, made once and kept in its data folder, a server in this process,
// and simulated terminals that tap along a day's curve over real sockets.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADMIN_TOKEN_FILE, createAdminToken, loadAdminToken } from "../admin-token.js";
import type { Config } from "../config.js";
import type { DemoServer, DemoSummary } from "../demo/demo.js";
import { IMPORT_SORTS } from "../import/lanes.js";
import { type ProvinceSummary, readProvinceSummary } from "../province/province.js";
import {
  createRootKey,
  loadKeyExchangeKey,
  ROOT_KEY_FILE,
  ROOT_KEY_VARIABLE,
} from "../root-key.js";
import { CliError } from "./cli-error.js";
import type { CommandSpec, Context, Options } from "./command.js";
import { wholeNumber } from "./command.js";
import { EXIT } from "./exit-codes.js";
import { ImportBar } from "./import-bar.js";
import { type Progress, startProgress } from "./progress.js";
import { configOptions, settingsOf } from "./settings.js";

const DATA_FOLDER = "data/demo";
/** Exists when the whole province is in the data folder. */
const IMPORTED_FILE = "imported";
const CARDS_PER_HOLDER_MAX = 4;

export const DEMO: CommandSpec = {
  name: "demo",
  summary: "make a small province, serve it, and let simulated terminals tap",
  details:
    "Shows one screen that updates in place, or plain lines without a terminal. Cards are " +
    "reported lost on the way, and their next tap shown. Goes on until Ctrl-C, then prints a " +
    `summary. The province stays in the data folder (default ${DATA_FOLDER}) for the next time.`,
  options: async () => [
    {
      flags: "--seconds <number>",
      text: "end by itself after so many seconds of tapping",
      parse: wholeNumber(1, 86_400),
    },
    {
      flags: "--holders <number>",
      text: "holders of the province",
      parse: wholeNumber(1000, 10_000_000),
      fallback: 100_000,
    },
    {
      flags: "--seed <number>",
      text: "seed of the province",
      parse: wholeNumber(0, 4_294_967_295),
      fallback: 46,
    },
    {
      flags: "--uses-per-second <number>",
      text: "mean of the simulated day (default 600)",
      parse: wholeNumber(1, 20_000),
    },
    ...(await configOptions()),
  ],
  examples: [
    "tongka demo",
    "tongka demo --seconds 20",
    "tongka demo --seconds 20 --json > summary.json",
    "tongka demo --holders 1000000 --data data/big --uses-per-second 5000",
  ],
  run: demo,
};

async function demo(context: Context, _args: readonly string[], options: Options) {
  const { DEMO_DEFAULTS, runDemo } = await import("../demo/demo.js");
  const config = await settingsOf(context, demoOptions(context, options));
  const provinceFolder = join(config.data, "province");
  const holders = options.holders as number;
  const seed = options.seed as number;
  checkProvince(provinceFolder, holders, seed);
  prepareFolder(config.data, context);
  const generating = new LazyProgress(context, "making a province");
  const signingOn = new LazyProgress(context, "signing on terminals");
  const { signal } = context;
  const usesPerSecond =
    (options.usesPerSecond as number | undefined) ?? DEMO_DEFAULTS.usesPerSecond;
  const seconds = (options.seconds as number | undefined) ?? 0;
  const stream = context.json ? process.stderr : process.stdout;
  const province = { seed, today: todayAt(config.businessDay.utcOffsetMinutes), holders };
  const run = { ...DEMO_DEFAULTS, usesPerSecond, seconds, stream, signal };
  const summary = await runDemo(
    { ...run, provinceFolder, province },
    {
      importAll: (made, folder) => importAll(context, config, made, folder),
      startServer: () => startDemoServer(context, config),
      onGenerate: (done, total) => generating.update(done, total),
      onSignOn: (done, total) => signingOn.update(done, total),
    },
  );
  print(context, summary);
  return verdict(summary);
}

/** What the demo sets unless told otherwise: folder, free ports, tables that fit, few logs. */
function demoOptions(context: Context, options: Options): Options {
  const cards = (options.holders as number) * CARDS_PER_HOLDER_MAX;
  const { TONGKA_DATA } = context.environment;
  return {
    ...(TONGKA_DATA === undefined ? { data: DATA_FOLDER } : {}),
    terminalsPort: "0",
    controlPort: "0",
    logLevel: "warn",
    tablesCardsMax: String(cards),
    tablesHoldersMax: String(cards),
    ...options,
  };
}

/** The folder keeps one province: another one needs another folder. */
function checkProvince(folder: string, holders: number, seed: number): void {
  const standing = readProvinceSummary(folder);
  if (standing === null || (standing.holders === holders && standing.seed === seed)) return;
  throw new CliError(
    `${folder} holds a province of ${standing.holders} holders, seed ${standing.seed}: ` +
      "ask for these, or choose another --data",
    EXIT.USAGE,
  );
}

function prepareFolder(data: string, context: Context): void {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const given = context.environment[ROOT_KEY_VARIABLE] !== undefined;
  if (!given && !existsSync(join(data, ROOT_KEY_FILE))) createRootKey(data).fill(0);
  if (!existsSync(join(data, ADMIN_TOKEN_FILE))) createAdminToken(data);
}

/** Imports what a run before has not imported, through the same way as `tongka import`. */
async function importAll(
  context: Context,
  config: Config,
  summary: ProvinceSummary,
  folder: string,
): Promise<void> {
  const marker = join(folder, IMPORTED_FILE);
  if (existsSync(marker)) return;
  const { importFile } = await import("../import/import.js");
  const { openLocalSink } = await import("../local-sink.js");
  const kek = loadKeyExchangeKey(join(folder, summary.files.keyExchangeKey));
  const sink = await openLocalSink(config);
  const { vault } = sink;
  const { signal } = context;
  try {
    for (const sort of IMPORT_SORTS) {
      const bar = new ImportBar(context, `importing ${sort}`);
      const path = join(folder, summary.files[sort]);
      const onProgress = bar.update.bind(bar);
      const request = { sort, path, sink, vault, stateFolder: folder, kek, signal, onProgress };
      const { interrupted, rejected, reportPath } = await importFile(request);
      bar.stop();
      if (interrupted) throw new CliError("stopped while importing", EXIT.INTERRUPTED);
      if (rejected > 0) throw new CliError(`${path}: ${rejected} rows rejected, see ${reportPath}`);
    }
  } finally {
    await sink.close();
  }
  writeFileSync(marker, "");
}

async function startDemoServer(context: Context, config: Config): Promise<DemoServer> {
  const { ControlClient } = await import("../control/client.js");
  const { createLogger } = await import("../log.js");
  const { startServer } = await import("../server.js");
  const server = await startServer(config, createLogger("tongka", config.log.level));
  const adminToken = loadAdminToken(config.data, context.environment);
  const client = new ControlClient({ url: server.controlUrl, adminToken });
  context.output.message(`administration ${server.controlUrl}, data folder ${config.data}`);
  return {
    terminalUrl: server.terminalsUrl,
    reportLost: async (pan) => {
      await client.cardEvent({ cardNumber: pan, event: "lose-temporary" });
    },
    status: async () => {
      const { position, blacklist } = await client.status();
      return { journalPosition: position, blacklistSize: blacklist };
    },
    stop: () => server.stop(),
  };
}

/** Progress whose total is known at the first update; ends by itself when all is done. */
class LazyProgress {
  private readonly context: Context;
  private readonly what: string;
  private progress: Progress | null;

  constructor(context: Context, what: string) {
    this.context = context;
    this.what = what;
    this.progress = null;
  }

  update(done: number, total: number): void {
    this.progress ??= startProgress(this.what, total, this.context.output);
    this.progress.update(done);
    if (done >= total) this.progress.stop();
  }
}

function print(context: Context, summary: DemoSummary): void {
  const { output } = context;
  if (context.json) {
    output.json(summary);
    return;
  }
  const { latencyMs, declined, errors } = summary;
  const rate = summary.seconds === 0 ? 0 : Math.round(summary.answered / summary.seconds);
  output.fields([
    ["seconds", summary.seconds.toFixed(1)],
    ["uses answered", `${summary.answered} (${rate} a second)`],
    ["approved", summary.approved],
    ...Object.entries(declined).map(([reason, n]) => [`declined ${reason}`, n] as const),
    ["latency p50", `${latencyMs.p50.toFixed(2)} ms`],
    ["latency p99", `${latencyMs.p99.toFixed(2)} ms`],
    ["latency p99.9", `${latencyMs.p999.toFixed(2)} ms`],
    ["cards reported lost", summary.lost],
    ["declined at their next tap", summary.lostDeclined],
    ["journal position", summary.journalPosition],
    ...Object.entries(errors).map(([error, n]) => [`error ${error}`, n] as const),
  ]);
}

/** The last card reported lost may not have tapped again before the end. */
function verdict({ errors, lost, lostDeclined }: DemoSummary): number | undefined {
  const failed = Object.keys(errors).length > 0 || lostDeclined < lost - 1;
  return failed ? EXIT.FAILED : undefined;
}

/** Today as YYYYMMDD where the business day is. */
function todayAt(utcOffsetMinutes: number): number {
  const local = new Date(Date.now() + utcOffsetMinutes * 60_000);
  return Number(local.toISOString().slice(0, 10).replaceAll("-", ""));
}
