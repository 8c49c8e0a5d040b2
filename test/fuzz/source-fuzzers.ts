// Fuzzers of what comes from operators: configuration, rules of a data folder, command lines, and
// the bodies of the control plane, through the real server of its worker.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import fc from "fast-check";
import { EXIT } from "../../src/cli/exit-codes.js";
import { Output } from "../../src/cli/output.js";
import { runTongka } from "../../src/cli/run.js";
import { ConfigError, loadConfig } from "../../src/config.js";
import { CONFIG_KEYS } from "../../src/config-keys.js";
import { parseRules } from "../../src/rules.js";
import { pan } from "../import-samples.js";
import { errorOf, type Fuzzer, holds, same } from "./fuzzer.js";
import type { GrowingWork } from "./growth.js";

const keyName = fc.constantFrom(...CONFIG_KEYS.map(({ key }) => key));
const value = fc.oneof(
  fc.integer({ min: -2, max: 300_000 }),
  fc.constantFrom("", "0", "auto", "127.0.0.1", "silent", "a\nb"),
  fc.anything({ maxDepth: 1 }),
);
const variable = fc.oneof(
  fc.constantFrom(...CONFIG_KEYS.map((key) => key.variable)),
  fc.stringMatching(/^TONGKA_[A-Z_]{1,20}$/),
);

/** Every problem of a configuration is one line, and a configuration that is taken is whole. */
function checkConfig(sources: Parameters<typeof loadConfig>[0]): void {
  const error = errorOf(() => loadConfig(sources));
  if (error === null) return;
  holds(error instanceof ConfigError, "an error of another kind");
  holds(error.lines.length > 0, "an error without a line");
  holds(
    error.lines.every((line) => !line.includes("\n")),
    "a problem takes more than a line",
  );
}

const CONFIG: Fuzzer = {
  name: "config",
  about: "configuration from file, environment and flags: taken whole, or a line for each fault",
  properties: () => [
    fc.property(fc.dictionary(keyName, value, { maxKeys: 6 }), (flags) =>
      checkConfig({ flags: { data: "/nowhere", ...flags } }),
    ),
    fc.property(fc.dictionary(variable, fc.string(), { maxKeys: 4 }), (environment) =>
      checkConfig({ environment, flags: { data: "/nowhere" } }),
    ),
    fc.property(fc.oneof(fc.json(), fc.string(), sections().map(jsonOf)), (text) => {
      const folder = mkdtempSync(join(tmpdir(), "tongka-fuzz-"));
      try {
        const configFile = join(folder, "c.json");
        writeFileSync(configFile, text);
        checkConfig({ configFile });
      } finally {
        rmSync(folder, { recursive: true });
      }
    }),
    fc.property(fc.dictionary(keyName, fc.nat(10), { maxKeys: 3 }), (flags) => {
      const error = errorOf(() => loadConfig({ flags: { data: "/nowhere", ...flags } }));
      if (error !== null) return;
      const config = loadConfig({ flags: { data: "/nowhere", ...flags } });
      const flat = Object.fromEntries(
        CONFIG_KEYS.map(({ key, section, name }) => {
          const from = section === "" ? config : (config as never as Nested)[section]!;
          return [key, (from as Record<string, unknown>)[name]];
        }),
      );
      holds(same(loadConfig({ flags: flat }), config), "a configuration does not read back");
    }),
  ],
  growth: [
    configText("flags and variables that no one knows", 5, (count) => ({
      flags: Object.fromEntries(names("limits.x", count)),
      environment: Object.fromEntries(names("TONGKA_X", count)),
    })),
    configText("names and values", 200_000, (size) => {
      const long = "x".repeat(size);
      return { flags: { data: long, [long]: 1 }, environment: { [`TONGKA_${long}`]: long } };
    }),
  ],
};

function names(stem: string, count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`${stem}${i}`, "1"]);
}

/** Work on a configuration from what grows. */
function configText(
  what: string,
  size: number,
  sources: (size: number) => Parameters<typeof loadConfig>[0],
): GrowingWork {
  return {
    what,
    size,
    prepare: (count) => {
      const made = sources(count);
      return () => checkConfig(made);
    },
  };
}

type Nested = Record<string, Record<string, unknown>>;

function sections() {
  const names = [...new Set(CONFIG_KEYS.map(({ section, name }) => section || name))];
  const keys = fc.constantFrom(...CONFIG_KEYS.map(({ name }) => name), "other");
  const inner = fc.dictionary(keys, value, { maxKeys: 3 });
  return fc.dictionary(fc.constantFrom(...names, "other"), fc.oneof(inner, value), { maxKeys: 4 });
}

function jsonOf(any: unknown): string {
  return JSON.stringify(any, (_, each) => (typeof each === "bigint" ? 0 : each)) ?? "null";
}

const rules = fc.record({
  rootKeyCheck: fc.stringMatching(/^[0-9a-f]{6}$/),
  businessDatesKept: fc.nat(),
  utcOffsetMinutes: fc.integer(),
  cutoverMinutes: fc.nat(),
  keyOverlapSeconds: fc.nat(),
});

const RULES: Fuzzer = {
  name: "rules",
  about: "rules.json of a data folder: reads back; else one line that tells no content",
  properties: () => [
    fc.property(rules, (made) => {
      holds(same(parseRules("rules.json", JSON.stringify(made)), made), "rules do not read back");
    }),
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const error = errorOf(() => parseRules("rules.json", text));
      const message = "rules.json: is damaged: restore it from its backup";
      holds(error === null || error.message === message, "an error in other words");
    }),
  ],
  growth: [
    {
      what: "keys of another kind",
      // V8 keeps many keys of an object in another way than few, which costs more for each: both
      // sizes are of the many.
      size: 4000,
      prepare: (count) => {
        const text = JSON.stringify(Object.fromEntries(names("x", count)));
        return () => errorOf(() => parseRules("rules.json", text));
      },
    },
    {
      what: "lists within lists",
      size: 500,
      prepare: (size) => {
        const text = "[".repeat(size) + "]".repeat(size);
        return () => errorOf(() => parseRules("rules.json", text));
      },
    },
  ],
};

const WORDS = [
  ...["status", "card", "show", "lose", "issue", "blacklist", "add", "remove", "list", "terminal"],
  ...["catalogue", "journal", "verify", "import", "decision", "organisation", "init", "cards"],
  ...[
    "--json",
    "--help",
    "--version",
    "--url",
    "http://127.0.0.1:9",
    "--stan",
    "--data",
    "--",
    "-",
  ],
  ...[
    "--cause",
    "stolen",
    "--rrn",
    "--kek-file",
    "--count",
    "99999999999",
    "-1",
    "",
    "\u0000",
    "é",
  ],
];

class Kept extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** What a command says that has neither data nor server. */
async function run(argv: readonly string[], input: string): Promise<string> {
  const [data, messages] = [new Kept(), new Kept()];
  const code = await runTongka(argv, {
    output: new Output(data, messages),
    input: Readable.from([input]) as never,
    signal: new AbortController().signal,
    environment: { TONGKA_DATA: "/nowhere", TONGKA_ADMIN_TOKEN: "A".repeat(43) },
  });
  const said = data.text + messages.text;
  holds((Object.values(EXIT) as number[]).includes(code), "an exit code of no table");
  holds(code === EXIT.OK || said !== "", "a failure without a word");
  return said;
}

/** Commands that make or serve something: here nothing is to be made. */
const MAKING = new Set(["init", "serve", "demo"]);

const CLI: Fuzzer = {
  name: "cli",
  about: "command lines of any words: an exit code of the table, and no number repeated",
  properties: () => [
    fc.asyncProperty(commandLine(), fc.nat(9999), async (words, index) => {
      const secret = pan(index);
      const argv = words.map((word) => (word === "PAN" ? secret : word));
      if (MAKING.has(argv.find((word) => !word.startsWith("-")) ?? "")) return;
      const said = await run(argv, `${secret}\n`);
      // A word in the place of a file or URL is a name, which messages must tell.
      const stands = !argv.includes(secret) || argv.some((word) => word.startsWith("--"));
      holds(stands || !said.includes(secret), "a number is repeated");
    }),
  ],
  growth: [
    // So large that the small one, too, is memory that V8 has from the kernel each time: where
    // pages are dear, the large one alone would take four times as long for each byte.
    commandLineOf("words", 24_000, (count) => ["card", "show", ...many("x", count)]),
    commandLineOf("options", 3000, (count) => ["card", "show", ...many("--json", count)]),
    commandLineOf("a word that is no command", 200_000, (size) => ["x".repeat(size)]),
    commandLineOf("an option that is none", 800_000, (size) => ["card", `--${"1".repeat(size)}`]),
  ],
};

function many(word: string, count: number): string[] {
  return Array.from({ length: count }, () => word);
}

/** Work on a command line that is refused. */
function commandLineOf(what: string, size: number, words: (size: number) => string[]): GrowingWork {
  return {
    what,
    size,
    prepare: (count) => {
      const argv = words(count);
      return () => run(argv, "");
    },
  };
}

function commandLine() {
  const word = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...WORDS) },
    { weight: 1, arbitrary: fc.constant("PAN") },
    { weight: 1, arbitrary: fc.string() },
  );
  const known = fc.constantFrom(
    ["card", "show", "PAN"],
    ["card", "lose", "PAN"],
    ["blacklist", "add", "card", "PAN", "--cause", "stolen"],
    ["blacklist", "list"],
    ["terminal", "show", "1"],
  );
  const rest = fc.array(word, { maxLength: 4 });
  return fc.oneof(
    fc.tuple(known, rest).map(([first, more]) => [...first, ...more]),
    fc.array(word, { maxLength: 6 }),
  );
}

export const SOURCE_FUZZERS: readonly Fuzzer[] = [CONFIG, RULES, CLI];
