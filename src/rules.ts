// What a data folder was made with and must be opened with again: rules that replay depends on,
// and the root key, known by a check value. A folder opened with others would lie.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Config } from "./config.js";
import type { KeyVault } from "./vault.js";

export interface Rules {
  rootKeyCheck: string;
  businessDatesKept: number;
  utcOffsetMinutes: number;
  cutoverMinutes: number;
  keyOverlapSeconds: number;
}

const KEYS: Readonly<Record<keyof Rules, string>> = {
  rootKeyCheck: "the root key",
  businessDatesKept: "duplicates.businessDatesKept",
  utcOffsetMinutes: "businessDay.utcOffsetMinutes",
  cutoverMinutes: "businessDay.cutoverMinutes",
  keyOverlapSeconds: "session.keyOverlapSeconds",
};

/** Writes the rules of a new folder, or throws when an old one has others. */
export function checkRules(path: string, config: Config, vault: KeyVault): void {
  const rules: Rules = {
    rootKeyCheck: vault.tokenize(Buffer.alloc(16)).toString("hex").slice(0, 6),
    businessDatesKept: config.duplicates.businessDatesKept,
    utcOffsetMinutes: config.businessDay.utcOffsetMinutes,
    cutoverMinutes: config.businessDay.cutoverMinutes,
    keyOverlapSeconds: config.session.keyOverlapSeconds,
  };
  if (!existsSync(path)) {
    writeFileSync(path, `${JSON.stringify(rules, null, 2)}\n`, { mode: 0o600 });
    return;
  }
  const made = parseRules(path, readFileSync(path, "utf8"));
  for (const name of Object.keys(KEYS) as (keyof Rules)[]) {
    if (made[name] === rules[name]) continue;
    const change = name === "rootKeyCheck" ? "is not the one" : `is not ${made[name]}, the value`;
    throw new Error(`${KEYS[name]} ${change} this data folder was made with: use that one`);
  }
}

/** The rules in a file's text. Throws with one line, which holds none of it. */
export function parseRules(path: string, text: string): Rules {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // told below, in the same words as for a document of the wrong kind
  }
  const rules = (value ?? {}) as Record<keyof Rules, unknown>;
  const names = (Object.keys(KEYS) as (keyof Rules)[]).filter((name) => name !== "rootKeyCheck");
  const whole = names.every((name) => Number.isInteger(rules[name]));
  if (!whole || typeof rules.rootKeyCheck !== "string") {
    throw new Error(`${path}: is damaged: restore it from its backup`);
  }
  return rules as unknown as Rules;
}
