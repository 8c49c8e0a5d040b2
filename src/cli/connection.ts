// A running server as commands see it: its administration API, found by the same configuration
// that the server was started with, or by --url.

import { loadAdminToken } from "../admin-token.js";
import { ControlClient } from "../control/client.js";
import type { CommandDone } from "../control/commands.js";
import type { Context, OptionSpec, Options } from "./command.js";
import { wholeNumber } from "./command.js";
import { FOLDER_OPTIONS, settingsOf } from "./settings.js";

export const CONNECTION_OPTIONS: readonly OptionSpec[] = [
  ...FOLDER_OPTIONS,
  {
    flags: "--url <url>",
    text: "administration API of the server (default: control.host and control.port)",
  },
];

const PAGE_COUNT_MAX = 1000;
const PAGE_COUNT = 100;
export const PAGE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--after <id>",
    text: "begin after this id",
    parse: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    fallback: 0,
  },
  {
    flags: "--count <number>",
    text: `most rows, up to ${PAGE_COUNT_MAX}`,
    parse: wholeNumber(1, PAGE_COUNT_MAX),
    fallback: PAGE_COUNT,
  },
];

/** A client of the server's administration API. Throws ConfigError or SecretError. */
export function connect(context: Context, options: Options): ControlClient {
  const config = settingsOf(context, options);
  const adminToken = loadAdminToken(config.data, context.environment);
  const given = options.url as string | undefined;
  return new ControlClient({ url: given ?? urlOf(config.control), adminToken });
}

/** `after` and `count` of PAGE_OPTIONS. */
export function pageOf(options: Options): { after: number; count: number } {
  return { after: options.after as number, count: options.count as number };
}

/** Says on standard error how to go on when a page is full. */
export function tellMore(context: Context, options: Options, rows: number, lastId: number): void {
  if (rows < (options.count as number)) return;
  context.output.message(`there may be more: --after ${lastId}`);
}

/** Prints what a change did. */
export function printDone(context: Context, done: CommandDone): void {
  if (context.json) context.output.json(done);
  else if (done.outcome === "UNCHANGED") context.output.text("unchanged: it was so already");
  else context.output.text(`done, journal position ${done.position}`);
}

/** A server that listens on every address is reached on the loopback one. */
function urlOf({ host, port }: { host: string; port: number }): string {
  const reached = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  return `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`;
}
