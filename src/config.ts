// Configuration: defaults, then a JSON file, then environment variables, then flags; the later
// wins. Everything is checked together before anything starts, and each wrong value gives one
// line that says which key, where it came from and what it must be. A key that no one knows is an
// error too: a misspelt limit must not silently be the default.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DOCUMENT_SIZE_MAX } from "../engine/commands.js";
import { assert } from "../protocol/assert.js";
import { CONFIG_KEYS, CONFIG_KEYS_BY_NAME, type ConfigKey } from "./config-keys.js";
import { type Config, useFrameSize } from "./config-schema.js";
import { nearestName } from "./nearest-name.js";

export type { Config } from "./config-schema.js";

const CONFIG_FILE_NAME = "tongka.json";
/** Secrets, which are no configuration keys and are never printed. */
const SECRET_VARIABLES = ["TONGKA_ROOT_KEY", "TONGKA_ADMIN_TOKEN"];
/** What Kubernetes sets in every pod beside a service named tongka. */
const FOREIGN_VARIABLES = /^TONGKA_(SERVICE_(HOST|PORT)|PORT)(_|$)/;
const DATA_IN_ITSELF = "must not be set in the data folder's own file";

export interface ConfigSources {
  /** The file of --config; without it, tongka.json in the data folder if there is one. */
  configFile?: string | undefined;
  /** Process environment, or what a test puts in its place. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** Flags by dotted key: { "terminals.port": "7080" }. Text is parsed; undefined is not given. */
  flags?: Readonly<Record<string, unknown>>;
}

/** Bad configuration: `lines` has one line for each wrong value. */
export class ConfigError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join("\n"));
    this.name = "ConfigError";
    this.lines = lines;
  }
}

interface Given {
  value: unknown;
  /** "file /etc/tongka.json", "environment TONGKA_X", "flag --x" or "default". */
  origin: string;
}

/** Reads and checks the whole configuration. Throws ConfigError with every wrong value in it. */
export function loadConfig(sources: ConfigSources): Config {
  const lines: string[] = [];
  const given = new Map<string, Given>();
  const environment = fromEnvironment(sources.environment ?? {}, lines);
  const flags = fromFlags(sources.flags ?? {}, lines);
  const file = findFile(sources.configFile, flags.get("data") ?? environment.get("data"));
  const named = sources.configFile !== undefined;
  for (const source of [fromFile(file, named, lines), environment, flags]) {
    for (const [key, value] of source) given.set(key, value);
  }
  const config = build(given, lines);
  if (lines.length === 0) checkRelations(config, given, lines);
  if (lines.length > 0) throw new ConfigError(lines);
  config.data = resolve(config.data);
  return config;
}

/** A table of all keys, for `tongka serve --help` and the documents. */
export function describeConfig(): string {
  const rows = CONFIG_KEYS.map((key) => [
    key.key,
    `${key.defaultValue}` === "" ? '""' : `${key.defaultValue}`,
    `${key.text}${key.unit === "" ? "" : ` [${key.unit}]`}; ${key.range}`,
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => `${row[0]!.padEnd(widths[0]!)}  ${row[1]!.padEnd(widths[1]!)}  ${row[2]}`)
    .join("\n");
}

function findFile(configFile: string | undefined, data: Given | undefined): string | null {
  if (configFile !== undefined) return configFile;
  const folder = data?.value ?? CONFIG_KEYS_BY_NAME.get("data")!.defaultValue;
  // What is no text is told of with the other faults.
  if (typeof folder !== "string") return null;
  const path = join(folder, CONFIG_FILE_NAME);
  return existsSync(path) ? path : null;
}

function fromFile(path: string | null, named: boolean, lines: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  if (path === null) return given;
  const origin = `file ${path}`;
  const document = parseFile(path, lines);
  for (const [section, value] of Object.entries(document)) {
    if (CONFIG_KEYS_BY_NAME.has(section)) {
      given.set(section, { value, origin });
      if (!named) lines.push(`${section} = ${shown(value)} (${origin}): ${DATA_IN_ITSELF}`);
    } else if (!CONFIG_KEYS.some((key) => key.section === section)) {
      lines.push(unknownLine(section, origin, sectionNames()));
    } else if (!isObject(value)) {
      lines.push(`${section} (${origin}): must be an object of keys`);
    } else {
      takeSection(section, value, origin, given, lines);
    }
  }
  return given;
}

function takeSection(
  section: string,
  values: Record<string, unknown>,
  origin: string,
  given: Map<string, Given>,
  lines: string[],
): void {
  for (const [name, value] of Object.entries(values)) {
    const key = `${section}.${name}`;
    if (CONFIG_KEYS_BY_NAME.has(key)) given.set(key, { value, origin });
    else lines.push(unknownLine(key, origin, [...CONFIG_KEYS_BY_NAME.keys()]));
  }
}

function parseFile(path: string, lines: string[]): Record<string, unknown> {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    lines.push(`configuration file ${path}: cannot be read (${code})`);
    return {};
  }
  try {
    const document: unknown = JSON.parse(content);
    if (isObject(document)) return document;
  } catch {
    // told below, in the same words as for a document of the wrong kind
  }
  lines.push(`configuration file ${path}: must be one JSON object`);
  return {};
}

function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  lines: string[],
): Map<string, Given> {
  const given = new Map<string, Given>();
  const byVariable = new Map(CONFIG_KEYS.map((key) => [key.variable, key]));
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith("TONGKA_") || text === undefined) continue;
    if (SECRET_VARIABLES.includes(variable)) continue;
    const key = byVariable.get(variable);
    if (key) given.set(key.key, { value: key.parse(text), origin: `environment ${variable}` });
    else if (!FOREIGN_VARIABLES.test(variable)) {
      lines.push(unknownLine(variable, "environment", [...byVariable.keys()]));
    }
  }
  return given;
}

function fromFlags(flags: Readonly<Record<string, unknown>>, lines: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const key = CONFIG_KEYS_BY_NAME.get(name);
    if (!key) {
      lines.push(unknownLine(name, "flag", [...CONFIG_KEYS_BY_NAME.keys()]));
      continue;
    }
    const parsed = typeof value === "string" ? key.parse(value) : value;
    given.set(name, { value: parsed, origin: `flag ${key.flag}` });
  }
  return given;
}

/** Builds the configuration of what is given and valid, defaults for the rest. */
function build(given: Map<string, Given>, lines: string[]): Config {
  const config: Record<string, unknown> = {};
  for (const key of CONFIG_KEYS) {
    const from = given.get(key.key) ?? { value: key.defaultValue, origin: "default" };
    if (!key.valid(from.value)) lines.push(invalidLine(key, from));
    if (key.section === "") config[key.name] = from.value;
    else section(config, key.section)[key.name] = from.value;
  }
  return config as Config;
}

function section(config: Record<string, unknown>, name: string): Record<string, unknown> {
  config[name] ??= {};
  return config[name] as Record<string, unknown>;
}

/** Relations between keys, each with the reason it must hold. */
function checkRelations(config: Config, given: Map<string, Given>, lines: string[]): void {
  const { terminals, control, limits, session, journal } = config;
  const wrong = (key: string, why: string) => {
    const from = given.get(key) ?? { value: CONFIG_KEYS_BY_NAME.get(key)!.defaultValue };
    const origin = given.get(key)?.origin ?? "default";
    lines.push(`${key} = ${shown(from.value)} (${origin}): ${why}`);
  };
  if (limits.recordsInFlightMax < limits.recordsPerFrameMax) {
    wrong("limits.recordsInFlightMax", relation("limits.recordsPerFrameMax", config));
  }
  if (terminals.frameSizeMax < useFrameSize(limits.recordsPerFrameMax)) {
    const size = useFrameSize(limits.recordsPerFrameMax);
    wrong(
      "terminals.frameSizeMax",
      `must be at least ${size}, or no frame of limits.recordsPerFrameMax fits`,
    );
  }
  if (session.keyOverlapSeconds >= session.seconds) {
    wrong("session.keyOverlapSeconds", `must be less than session.seconds (${session.seconds})`);
  }
  if (session.challengeSeconds >= session.seconds) {
    wrong("session.challengeSeconds", `must be less than session.seconds (${session.seconds})`);
  }
  if ((terminals.tlsCertFile === "") !== (terminals.tlsKeyFile === "")) {
    const missing = terminals.tlsCertFile === "" ? "tlsCertFile" : "tlsKeyFile";
    wrong(`terminals.${missing}`, "the certificate and its key are given both or neither");
  }
  if (terminals.port !== 0 && terminals.port === control.port && terminals.host === control.host) {
    wrong("control.port", "must differ from terminals.port on the same host");
  }
  assert(journal.blockSizeMax > DOCUMENT_SIZE_MAX, "a block holds the largest document");
}

function relation(key: string, config: Config): string {
  const [sectionName, name] = key.split(".") as [keyof Config, string];
  const value = (config[sectionName] as Record<string, unknown>)[name];
  return `must be at least ${key} (${shown(value)})`;
}

function invalidLine(key: ConfigKey, from: Given): string {
  const unit = key.unit === "" ? "" : ` (${key.unit})`;
  return `${key.key} = ${shown(from.value)} (${from.origin}): must be ${key.range}${unit}`;
}

function unknownLine(name: string, origin: string, known: string[]): string {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `; did you mean ${nearest}?`;
  return `${name} (${origin}): no such key${hint}`;
}

function sectionNames(): string[] {
  return [...new Set(CONFIG_KEYS.map((key) => key.section || key.name))];
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
