// The `tongka` command, run as a process of its own: what a person or a script meets.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { COMMANDS } from "../src/cli/commands.js";
import { EXIT, EXIT_CODE_HELP } from "../src/cli/exit-codes.js";
import { ROOT } from "./source-text.js";
import { tongka, tongkaHere } from "./tongka-process.js";

const folder = mkdtempSync(join(tmpdir(), "tongka-cli-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** All command words: ["init"], ["card", "show"], ... */
const words = COMMANDS.flatMap((spec) =>
  "commands" in spec
    ? [[spec.name], ...spec.commands.map((command) => [spec.name, command.name])]
    : [[spec.name]],
);

t.test("every help text has examples and exit codes", async (t) => {
  for (const command of [[], ...words]) {
    const { code, stdout, stderr } = await tongkaHere([...command, "--help"]);
    const name = ["tongka", ...command].join(" ");
    t.equal(code, EXIT.OK, `${name} --help`);
    t.equal(stderr, "", `${name} --help says nothing on standard error`);
    t.match(stdout, new RegExp(`^Usage: ${name}`), `${name} says how it is used`);
    t.match(stdout, /\nExamples:\n {2}\S/, `${name} has examples`);
    t.ok(stdout.includes(EXIT_CODE_HELP), `${name} lists the exit codes`);
  }
  const spawned = await tongka(["card", "--help"]);
  t.same(spawned, await tongkaHere(["card", "--help"]), "a process of its own prints the same");
});

t.test("examples are commands that there are", async (t) => {
  const known = words.map((command) => ["tongka", ...command].join(" "));
  const specs = COMMANDS.flatMap((spec) => ("commands" in spec ? spec.commands : [spec]));
  for (const line of specs.flatMap((spec) => spec.examples)) {
    if (line.startsWith("#")) continue;
    t.ok(
      known.some((name) => line === name || line.includes(`${name} `)),
      line,
    );
  }
});

t.test("wrong usage is told in one line, with exit code 2", async (t) => {
  const cases: [string[], RegExp][] = [
    [["ini"], /^tongka: unknown command 'ini' \(Did you mean init\?\)\n$/],
    [["init", "--dta", "x"], /^tongka: unknown option '--dta' \(Did you mean --data\?\)\n$/],
    [["init", "x"], /^tongka: too many arguments for 'init'\. .* got 1; see tongka init --help\n$/],
    [["card", "show"], /^tongka: missing required argument 'pan'; see tongka card show --help\n$/],
    [["card", "blub"], /^tongka: unknown command 'blub'; see tongka card --help\n$/],
    [["blub"], /^tongka: unknown command 'blub'; see tongka --help\n$/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await tongka(args);
    t.equal(code, EXIT.USAGE, args.join(" "));
    t.match(stderr, message);
    t.equal(stdout, "");
    t.equal(stderr.trimEnd().split("\n").length, 1, "one line");
  }
  const { code, stdout, stderr } = await tongka([]);
  t.equal(code, EXIT.USAGE, "no command at all");
  t.match(stderr, /^Usage: tongka/);
  t.equal(stdout, "");
});

t.test("--version", async (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { code, stdout } = await tongka(["--version"]);
  t.equal(code, EXIT.OK);
  t.match(stdout, /^tongka [0-9.]+( \(commit [0-9a-f]{12}\))?\n$/);
  t.ok(stdout.startsWith(`tongka ${version}`));
});

t.test("init makes private files and never overwrites them", async (t) => {
  const data = join(folder, "init");
  const { code, stdout, stderr } = await tongka(["init", "--data", data, "--json"]);
  t.equal(code, EXIT.OK, stderr);
  t.same(JSON.parse(stdout), {
    data,
    rootKeyFile: join(data, "root.key"),
    adminTokenFile: join(data, "admin.token"),
  });
  t.equal(statSync(data).mode & 0o777, 0o700);
  for (const name of ["root.key", "admin.token"]) {
    t.equal(statSync(join(data, name)).mode & 0o777, 0o600, name);
  }
  const rootKey = readFileSync(join(data, "root.key"), "utf8");
  t.match(rootKey, /^[0-9a-f]{64}\n$/);
  t.notOk(stdout.includes(rootKey.trim()) || stderr.includes(rootKey.trim()), "no key is shown");

  const again = await tongka(["init", "--data", data]);
  t.equal(again.code, EXIT.FAILED);
  t.match(again.stderr, /root\.key exists already and is never overwritten/);
  t.equal(readFileSync(join(data, "root.key"), "utf8"), rootKey);
});

t.test("init takes the root key of the environment and makes no file of it", async (t) => {
  const data = join(folder, "given");
  const environment = { TONGKA_ROOT_KEY: "0f".repeat(32), TONGKA_DATA: data };
  const { code, stdout } = await tongka(["init", "--json"], environment);
  t.equal(code, EXIT.OK);
  t.equal(JSON.parse(stdout).rootKeyFile, null);
  t.throws(() => statSync(join(data, "root.key")));

  const wrong = await tongka(["init"], { TONGKA_ROOT_KEY: "0f", TONGKA_DATA: join(folder, "w") });
  t.equal(wrong.code, EXIT.FAILED);
  t.match(wrong.stderr, /^tongka: environment TONGKA_ROOT_KEY: must be 64 hex digits/);
});

t.test("bad configuration is one line for each value, and nothing is done", async (t) => {
  const data = join(folder, "bad");
  const file = join(folder, "bad.json");
  writeFileSync(file, JSON.stringify({ terminals: { port: 70_000 }, limit: {} }));
  const { code, stdout, stderr } = await tongka(["init", "--data", data, "--config", file]);
  t.equal(code, EXIT.USAGE);
  t.equal(stdout, "");
  const lines = stderr.trimEnd().split("\n");
  t.equal(lines.length, 2);
  t.match(lines.join("\n"), /^tongka: terminals\.port = 70000 \(file .*bad\.json\): must be /m);
  t.match(
    lines.join("\n"),
    /^tongka: limit \(file .*bad\.json\): no such key; did you mean limits/m,
  );
  t.throws(() => statSync(data), "no folder was made");
});
