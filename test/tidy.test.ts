// The repository's own test: the habits that a reviewer would otherwise have to ask for, as checks
// with a message that says what to do (after tigerbeetle, src/tidy.zig).
//
// Exemption lists only shrink: an exemption that is no longer needed fails the test, too.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import {
  exportedNames,
  filesBelow,
  functionSpans,
  ROOT,
  readSource,
  readText,
  resolveSpecifier,
  type SourceFile,
  specifiers,
} from "./source-text.js";

const FUNCTION_LINES_MAX = 59;
const FILE_LINES_MAX = 499;
const LINE_WIDTH_MAX = 100;

/** "path: head of the function" of those allowed to be longer, with their reason beside them. */
const LONG_FUNCTIONS: string[] = [];
/** Files allowed to be longer. */
const LONG_FILES: string[] = [];
/** What a file of protocol imports besides node:crypto. */
const IN_PROTOCOL = new Map([
  ["protocol/parameters.ts", ["msgpackr"]],
  // It loads koffi, and goes on without it.
  ["protocol/native.ts", ["node:module", "koffi"]],
]);
/** What is published (package.json, exports): its exports are for others, too. */
const PUBLIC_PATHS = /^(protocol|src\/client)\//;

/** Words with a better one in this code, and the better one. */
const BANNED_WORDS: [RegExp, string][] = [
  [/\b(stop|hot|deny|block|black)[ -]list/i, "blacklist, the word of our users"],
  [/\b(stop|hot|deny|block)list(?!en)/i, "blacklist, the word of our users"],
  [/\b(white|allow)[ -]?list/i, "say what is allowed: allowed domains, catalogue, ..."],
  [/\b(TODO|FIXME|XXX|HACK)\b/, "do it now, or leave it out"],
  [/\bmerchantId\b/, "organisationId"],
  [/\btraceNumber\b/, "stan"],
  [/\bretrievalReference/i, "rrn"],
  [/\bmessageType\b/, "mti"],
  [/\bdenied\b|\bdeny\b/i, "decline for a judged use, reject for what is malformed"],
  [/(^|[\s"'`(=])\/(work|root|home|Users)\//, "no path of one machine"],
];

/** What `protocol` and `engine` must not touch: they are the same on every run. */
const OUTSIDE_WORLD: [RegExp, string][] = [
  [/\bDate\.now\b|\bnew Date\(\)|\bDate\(\)/, "a clock: take the time from the block"],
  [/\bperformance\./, "a clock: measure in src"],
  [/\bMath\.random\b|\brandom(Bytes|Int|UUID|Fill)|getRandomValues/, "a random number"],
  [/\bprocess\./, "the process"],
  [/\bconsole\./, "the console"],
  [/\bset(Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/, "a timer"],
  [/\bfetch\(|\bWebSocket\b/, "a socket"],
];

const production = ["protocol", "engine", "src"].flatMap((folder) => filesBelow(folder, ".ts"));
const others = ["bench", "test"].flatMap((folder) => filesBelow(folder, ".ts"));
const sources = [...production, ...others].map(readSource);
const byPath = new Map(sources.map((file) => [file.path, file]));
const documents = [
  ...["README.md", "CHANGELOG.md", "SECURITY.md"],
  ...["docs", "protocol", "engine", "src", "bench", "test"].flatMap((f) => filesBelow(f, ".md")),
];

t.test("there is source to look at", async (t) => {
  t.ok(sources.length > 10);
  t.ok(byPath.has("test/tidy.test.ts"));
});

t.test("imports point one way: src to engine to protocol", async (t) => {
  t.same(
    production.flatMap((path) => importsAgainstTheWay(byPath.get(path)!)),
    [],
  );
});

function importsAgainstTheWay(file: SourceFile): string[] {
  const folder = file.path.split("/")[0]!;
  const allowed = {
    protocol: ["protocol"],
    engine: ["engine", "protocol"],
    src: ["src", "engine", "protocol"],
  }[folder]!;
  return specifiers(file)
    .map((specifier) => resolveSpecifier(file, specifier))
    .filter((path) => path !== null && !allowed.includes(path.split("/")[0]!))
    .map((path) => `${file.path} imports ${path}: ${folder} may import ${allowed.join(", ")}`);
}

t.test("relative imports name files that exist", async (t) => {
  const findings = sources.flatMap((file) =>
    specifiers(file)
      .map((specifier) => resolveSpecifier(file, specifier))
      .filter((path) => path?.endsWith(".ts") && !byPath.has(path))
      .map((path) => `${file.path} imports ${path}, which is not there`),
  );
  t.same(findings, []);
});

t.test("engine and protocol are the same on every run", async (t) => {
  const pure = production.filter((path) => !path.startsWith("src/")).map((p) => byPath.get(p)!);
  const findings = pure.flatMap((file) =>
    matchesByLine(file.code.split("\n"), OUTSIDE_WORLD).map(
      ([line, what]) => `${file.path}:${line} uses ${what}`,
    ),
  );
  t.same(findings, []);
});

t.test("engine takes createHash from node, in one file, and protocol node:crypto", async (t) => {
  const hashing: string[] = [];
  for (const path of production.filter((path) => !path.startsWith("src/"))) {
    const file = byPath.get(path)!;
    const modules = specifiers(file).filter((specifier) => !specifier.startsWith("."));
    t.same(
      modules.filter((name) => name !== "node:crypto"),
      IN_PROTOCOL.get(path) ?? [],
      `${path} imports nothing that it must not`,
    );
    if (!path.startsWith("engine/") || !modules.includes("node:crypto")) continue;
    hashing.push(path);
    const names = /import \{([^}]*)\} from "node:crypto"/.exec(file.uncommented)?.[1] ?? "";
    t.same(words(names.replaceAll(/\btype \w+/g, "")), ["createHash"], `${path} only hashes`);
  }
  t.ok(hashing.length <= 1, "one file of engine hashes");
});

t.test("each runtime package has one home", async (t) => {
  const homes = new Map<string, Set<string>>();
  for (const path of production) {
    for (const specifier of specifiers(byPath.get(path)!)) {
      if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
      const parts = specifier.split("/");
      const name = specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0]!;
      homes.set(name, (homes.get(name) ?? new Set()).add(path));
    }
  }
  for (const [name, paths] of homes) t.equal(paths.size, 1, `${name} in ${[...paths].join(", ")}`);
});

t.test("functions fit on a screen", async (t) => {
  const long = sources.flatMap((file) =>
    functionSpans(file)
      .filter((span) => span.lineCount > FUNCTION_LINES_MAX)
      .map((span) => `${file.path}: ${span.name}`),
  );
  t.same(long.sort(), [...LONG_FUNCTIONS].sort(), `functions of over ${FUNCTION_LINES_MAX} lines`);
});

t.test("files are short and lines narrow", async (t) => {
  const long = sources.filter((file) => file.lines.length > FILE_LINES_MAX).map((f) => f.path);
  t.same(long.sort(), [...LONG_FILES].sort(), `files of over ${FILE_LINES_MAX} lines`);
  const paths = [...sources.map((file) => file.path), ...documents];
  const wide = paths.flatMap((path) =>
    readText(path)
      .split("\n")
      .flatMap((line, i) => (tooWide(line) ? [`${path}:${i + 1}`] : [])),
  );
  t.same(wide, [], `lines of over ${LINE_WIDTH_MAX} columns`);
});

/** Rows of tables and links have no place to break. */
function tooWide(line: string): boolean {
  const breakable = !line.startsWith("|") && !/https?:\/\/\S{60}/.test(line);
  return [...line].length > LINE_WIDTH_MAX && breakable;
}

t.test("each folder says what it is, with one picture", async (t) => {
  for (const folder of ["engine", "src", "test", "bench"]) {
    const lines = readText(`${folder}/README.md`).split("\n");
    t.equal(lines.filter((line) => line === "```").length, 2, `${folder}/README.md has a picture`);
    t.ok(lines.length <= 50, `${folder}/README.md fits on a screen`);
  }
});

t.test("links between documents lead somewhere", async (t) => {
  const findings = documents.flatMap((path) => {
    const links = [...readText(path).matchAll(/\]\(([^)#\s]+)(?:#[^)\s]*)?\)/g)];
    const local = links.map((match) => match[1]!).filter((link) => !/^[a-z]+:/.test(link));
    return local
      .filter((link) => !existsSync(join(ROOT, dirname(path), link)))
      .map((link) => `${path} links to ${link}, which is not there`);
  });
  t.same(findings, []);
});

t.test("each promise names the tests that attack it", async (t) => {
  const promises = section(readText("docs/GUARANTEES.md"), "Promises")
    .split(/^(?=\*\*)/m)
    .slice(1);
  t.ok(promises.length >= 7);
  for (const promise of promises) {
    const name = promise.split("**")[1]!;
    t.match(promise, /\]\(\.\.\/test\/[\w./-]+\.ts\)/, name);
  }
});

function section(text: string, heading: string): string {
  return text.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
}

t.test("words are the field's", async (t) => {
  const files = [...sources.map((file) => file.path), ...documents, "package.json", ".ci/run"];
  const findings = files
    .filter((path) => path !== "test/tidy.test.ts")
    .flatMap((path) =>
      matchesByLine(readText(path).split("\n"), BANNED_WORDS).map(
        ([line, better]) => `${path}:${line} has a banned word: ${better}`,
      ),
    );
  t.same(findings, []);
});

t.test("files are named and begin as they should", async (t) => {
  for (const file of sources) {
    const name = file.path.split("/").at(-1)!;
    t.match(name, /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/, `${file.path} is kebab-case`);
    const first = file.lines[0]!.startsWith("#!") ? file.lines[1]! : file.lines[0]!;
    t.match(first, /^\/[/*]/, `${file.path} begins with a comment that says what it is`);
  }
});

t.test("no space ends a line, one newline ends a file", async (t) => {
  for (const path of [...sources.map((file) => file.path), ...documents, ".ci/run"]) {
    const text = readText(path);
    t.notMatch(text, /[ \t]+\n/, `${path} has space at the end of a line`);
    t.match(text, /[^\n]\n$/, `${path} ends with one newline`);
  }
});

t.test("no dead exports", async (t) => {
  const vocabulary = new Map(sources.map((file) => [file.path, new Set(words(file.uncommented))]));
  const dead: string[] = [];
  for (const path of production.filter((path) => !PUBLIC_PATHS.test(path))) {
    const file = byPath.get(path)!;
    for (const { name, type } of exportedNames(file)) {
      const elsewhere = [...vocabulary].some(([other, set]) => other !== path && set.has(name));
      // A type may be exported for the signature it stands in.
      const inSignature = type && words(file.code).filter((word) => word === name).length > 1;
      if (!elsewhere && !inSignature) dead.push(`${path}: ${name}`);
    }
  }
  t.same(dead, []);
});

t.test("no file that nothing leads to", async (t) => {
  const manifest = JSON.parse(readText("package.json"));
  const scripts = Object.values<string>(manifest.scripts).join(" ").concat(readText(".taprc"));
  const published = Object.values<{ default: string }>(manifest.exports).map(
    (each) => each.default,
  );
  const named = [
    ...published
      .join(" ")
      .concat(" ", scripts)
      .matchAll(/dist\/([\w./-]+)\.js/g),
  ];
  const roots = [
    ...named.map((match) => `${match[1]}.ts`),
    ...others.filter((path) => path.endsWith(".test.ts")),
  ];
  const reached = new Set<string>();
  const follow = (path: string | null): void => {
    const file = path === null ? undefined : byPath.get(path);
    if (file === undefined || reached.has(file.path)) return;
    reached.add(file.path);
    for (const specifier of specifiers(file)) follow(resolveSpecifier(file, specifier));
  };
  for (const root of roots) follow(root);
  t.same(
    [...byPath.keys()].filter((path) => !reached.has(path)),
    [],
  );
});

t.test("every runtime package is imported", async (t) => {
  const used = new Set(production.flatMap((path) => specifiers(byPath.get(path)!)));
  const { dependencies } = JSON.parse(readText("package.json"));
  const idle = Object.keys(dependencies).filter(
    (name) => ![...used].some((each) => each === name || each.startsWith(`${name}/`)),
  );
  t.same(idle, []);
});

t.test("versions are exact, and the lock file is whole and without addresses", async (t) => {
  const manifest = JSON.parse(readText("package.json"));
  const exact = /^(npm:(@[\w-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?$/;
  for (const group of ["dependencies", "devDependencies"]) {
    for (const [name, version] of Object.entries<string>(manifest[group])) {
      t.match(version, exact, `${name} has an exact version`);
    }
  }
  const packages: Packages = JSON.parse(readText("package-lock.json")).packages;
  const addressed = Object.keys(packages).filter((path) => packages[path]!.resolved !== undefined);
  t.same(addressed, [], "no entry says where it came from (omit-lockfile-registry-resolved)");
  // npm writes a lock file without the platform packages a registry lacks, and refuses it later.
  const missing = Object.keys(packages).flatMap((path) =>
    Object.keys(packages[path]!.optionalDependencies ?? {})
      .filter((name) => !locked(packages, path, name))
      .map((name) => `${name}, for ${path}`),
  );
  t.same(missing, [], "npm ci would refuse a lock file without these optional packages");
});

type Packages = Record<
  string,
  { resolved?: string; optionalDependencies?: Record<string, string> }
>;

/** Whether `name` is locked where node would look for it from `path`. */
function locked(packages: Packages, path: string, name: string): boolean {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    if (packages[`${at === "" ? "" : `${at}/`}node_modules/${name}`]) return true;
    if (at === "") return false;
  }
}

/** Line numbers (from 1) on which a pattern matches, with the pattern's text. */
function matchesByLine(lines: string[], patterns: [RegExp, string][]): [number, string][] {
  return lines.flatMap((line, i) =>
    patterns
      .filter(([pattern]) => pattern.test(line))
      .map(([, text]): [number, string] => [i + 1, text]),
  );
}

function words(text: string): string[] {
  return text.match(/[A-Za-z_$][\w$]*/g) ?? [];
}
