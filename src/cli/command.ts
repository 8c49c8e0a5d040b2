// What a command of `tongka` is: its words for the help text and what it does. Commands know
// nothing of the parser (src/cli/program.ts), and write only through their context.

import type { Readable } from "node:stream";
import { usageError } from "./cli-error.js";
import type { Output } from "./output.js";

export interface OptionSpec {
  /** As in help: "--stan <number>". */
  flags: string;
  text: string;
  /** Turns the argument into a value; throws usageError. Must not repeat a secret. */
  parse?: (value: string) => unknown;
  /** Value when the option is not given. */
  fallback?: string | number | boolean;
  required?: boolean;
}

/** Options as parsed, by camel-cased name: "--until-date" is `untilDate`. */
export type Options = Readonly<Record<string, unknown>>;

export interface Context {
  output: Output;
  /** What "-" on the command line reads from. */
  input: Readable & { isTTY?: boolean };
  /** Print data as JSON. */
  json: boolean;
  /** Aborted by the first Ctrl-C; the second one ends the process at once. */
  signal: AbortSignal;
  environment: Readonly<Record<string, string | undefined>>;
}

export interface CommandSpec {
  name: string;
  /** "<pan>", "[version]", "<file...>"; left out for none. */
  arguments?: string;
  summary: string;
  /** More than the summary, for the command's own help. */
  details?: string;
  /** A function when it takes long to know them: asked only when the command is used. */
  options?: readonly OptionSpec[] | (() => Promise<readonly OptionSpec[]>);
  /** Whole command lines that work as they stand, a comment line before where it helps. */
  examples: readonly string[];
  /** Does it; resolves to the exit code when that is not 0. */
  run(context: Context, args: readonly string[], options: Options): Promise<number | undefined>;
}

/** Commands under one word: `tongka card show`. */
export interface GroupSpec {
  name: string;
  summary: string;
  commands: readonly CommandSpec[];
}

/** A parser of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw usageError(`must be a whole number from ${min} to ${max}`);
  };
}

/** A parser of one of `words`. */
export function oneOf(words: readonly string[]): (value: string) => string {
  return (value) => {
    if (words.includes(value)) return value;
    throw usageError(`must be one of ${words.join(", ")}`);
  };
}

/** A parser of several of `words` with commas between them. */
export function listOf(words: readonly string[]): (value: string) => string[] {
  const one = oneOf(words);
  return (value) => value.split(",").map((word) => one(word.trim()));
}

/** A parser of dates, YYYYMMDD or YYYY-MM-DD, as the number YYYYMMDD. */
export function date(value: string): number {
  const digits = /^\d{4}-\d{2}-\d{2}$/.test(value) ? value.replaceAll("-", "") : value;
  const text = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}`;
  const time = /^\d{8}$/.test(digits) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) return Number(digits);
  throw usageError("must be a date, like 20260131 or 2026-01-31");
}
