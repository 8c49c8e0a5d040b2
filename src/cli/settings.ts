// How commands come to their configuration: the same file, environment variables and flags for all
// of them, so that `tongka card show` finds the server that `tongka serve` started.

import { type Config, loadConfig } from "../config.js";
import { CONFIG_KEYS, type ConfigKey } from "../config-keys.js";
import type { Context, OptionSpec, Options } from "./command.js";

export const DATA_OPTION: OptionSpec = {
  flags: "-d, --data <folder>",
  text: 'data folder (environment TONGKA_DATA; default "data")',
};
export const CONFIG_OPTION: OptionSpec = {
  flags: "-c, --config <file>",
  text: "configuration file (default: tongka.json in the data folder)",
};
/** The options with which any command finds its data folder and configuration. */
export const FOLDER_OPTIONS: readonly OptionSpec[] = [DATA_OPTION, CONFIG_OPTION];

/** Every key of the configuration as an option. */
export const CONFIG_OPTIONS: readonly OptionSpec[] = [
  ...FOLDER_OPTIONS,
  ...CONFIG_KEYS.filter((key) => key.key !== "data").map((key) => ({
    flags: `${key.flag} <value>`,
    text: `${key.text}; ${key.range}${unit(key)} (default ${key.defaultValue || "empty"})`,
  })),
];

/** Reads and checks the whole configuration. Throws ConfigError. */
export function settingsOf(context: Context, options: Options): Config {
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

function unit(key: ConfigKey): string {
  return key.unit === "" ? "" : ` ${key.unit}`;
}
