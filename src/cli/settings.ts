// How commands come to their configuration: the same file, environment variables and flags for all
// of them, so that `tongka card show` finds the server that `tongka serve` started.

//
// The configuration's schema takes a third of a second to load: only commands that run need it.

import type { Config } from "../config.js";
import type { ConfigKey } from "../config-keys.js";
import type { Context, OptionSpec, Options } from "./command.js";

/** The options with which any command finds its data folder and configuration. */
export const FOLDER_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "-d, --data <folder>",
    text: 'data folder (environment TONGKA_DATA; default "data")',
  },
  {
    flags: "-c, --config <file>",
    text: "configuration file (default: tongka.json in the data folder)",
  },
];

/** Every key of the configuration as an option. */
export async function configOptions(): Promise<readonly OptionSpec[]> {
  const { CONFIG_KEYS } = await import("../config-keys.js");
  const keys = CONFIG_KEYS.filter((key) => key.key !== "data");
  return [
    ...FOLDER_OPTIONS,
    ...keys.map((key) => ({
      flags: `${key.flag} <value>`,
      text: `${key.text}; ${key.range}${unit(key)} (default ${defaultText(key)})`,
    })),
  ];
}

/** Reads and checks the whole configuration. Rejects with ConfigError. */
export async function settingsOf(context: Context, options: Options): Promise<Config> {
  const { CONFIG_KEYS } = await import("../config-keys.js");
  const { loadConfig } = await import("../config.js");
  const flags: Record<string, unknown> = {};
  for (const key of CONFIG_KEYS) {
    const value = options[optionName(key)];
    if (value !== undefined) flags[key.key] = value;
  }
  return loadConfig({
    configFile: options.config as string | undefined,
    environment: context.environment,
    flags,
  });
}

/** "terminals.tlsCertFile" is the option terminalsTlsCertFile. */
function optionName(key: ConfigKey): string {
  if (key.section === "") return key.name;
  return `${key.section}${key.name.charAt(0).toUpperCase()}${key.name.slice(1)}`;
}

function defaultText(key: ConfigKey): string {
  return key.defaultValue === "" ? "none" : String(key.defaultValue);
}

function unit(key: ConfigKey): string {
  return key.unit === "" ? "" : ` ${key.unit}`;
}
