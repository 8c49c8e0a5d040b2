// The configuration schema seen as a flat list of dotted keys ("terminals.port"), each with the
// names it has in the environment and on the command line.

import { CONFIG_SCHEMA } from "./config-schema.js";
import { compileSchema, type TSchema } from "./schema.js";

/** The part of JSON Schema that configuration keys use. */
interface LeafSchema {
  type?: "integer" | "string";
  enum?: readonly string[];
  anyOf?: { type: string; const?: string; minimum?: number; maximum?: number }[];
  default: string | number;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  unit?: string;
  description: string;
}

export interface ConfigKey {
  /** Dotted name, as in error lines and documents. */
  key: string;
  section: string;
  name: string;
  /** TONGKA_TERMINALS_PORT */
  variable: string;
  /** --terminals-port */
  flag: string;
  defaultValue: string | number;
  /** "" for none. */
  unit: string;
  /** "a whole number from 0 to 65,535" */
  range: string;
  text: string;
  /** Turns the text of a variable or flag into the value meant; leaves what it cannot read. */
  parse(text: string): unknown;
  valid(value: unknown): boolean;
}

/** All keys, in the order of the schema. */
export const CONFIG_KEYS: readonly ConfigKey[] = collect();

export const CONFIG_KEYS_BY_NAME: ReadonlyMap<string, ConfigKey> = new Map(
  CONFIG_KEYS.map((key) => [key.key, key]),
);

function collect(): ConfigKey[] {
  const keys: ConfigKey[] = [];
  for (const [section, schema] of Object.entries(CONFIG_SCHEMA.properties)) {
    if (schema.type !== "object") {
      keys.push(describe("", section, schema));
      continue;
    }
    for (const [name, leaf] of Object.entries(schema.properties)) {
      keys.push(describe(section, name, leaf as TSchema));
    }
  }
  return keys;
}

function describe(section: string, name: string, schema: TSchema): ConfigKey {
  const leaf = schema as unknown as LeafSchema;
  const check = compileSchema(schema);
  const words = snake(section === "" ? name : `${section}.${name}`);
  const wantsNumber = leaf.type === "integer" || leaf.anyOf?.some((s) => s.type === "integer");
  return {
    key: section === "" ? name : `${section}.${name}`,
    section,
    name,
    variable: `TONGKA_${words.toUpperCase()}`,
    flag: `--${words.replaceAll("_", "-")}`,
    defaultValue: leaf.default,
    unit: leaf.unit ?? "",
    range: rangeText(leaf),
    text: leaf.description,
    parse: (text) => (wantsNumber && /^-?[0-9]{1,15}$/.test(text) ? Number(text) : text),
    valid: (value) => check.check(value),
  };
}

/** "terminals.tlsCertFile" as "terminals_tls_cert_file". */
function snake(key: string): string {
  return key
    .replaceAll(".", "_")
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .toLowerCase();
}

function rangeText(leaf: LeafSchema): string {
  if (leaf.type === "integer") return wholeText(leaf.minimum!, leaf.maximum!);
  if (leaf.enum) return `one of ${leaf.enum.join(", ")}`;
  if (leaf.anyOf) {
    return leaf.anyOf
      .map((s) => (s.const === undefined ? wholeText(s.minimum!, s.maximum!) : s.const))
      .join(" or ");
  }
  return leaf.minLength === 0 ? "text, or empty" : "text";
}

function wholeText(minimum: number, maximum: number): string {
  return `a whole number from ${group(minimum)} to ${group(maximum)}`;
}

function group(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
