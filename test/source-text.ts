// The repository's source as text, for test/tidy.test.ts: which files there are, their code without
// comments and strings, what they import, what they export, where their functions begin and end.
//
// The twist: TypeScript 7 has no JavaScript API, so this reads text. It knows comments, strings,
// templates and regular expressions, and leans on the formatter for everything else: a block ends
// at the first line that closes at the indentation of the line that opened it.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The repository: two folders above dist/test. */
export const ROOT = normalize(join(import.meta.dirname, "..", ".."));

export interface SourceFile {
  /** Path from the repository's root. */
  path: string;
  text: string;
  lines: string[];
  /** The text with comments and the contents of strings as spaces; same lines, same columns. */
  code: string;
  /** The text with comments as spaces. */
  uncommented: string;
}

export interface FunctionSpan {
  name: string;
  /** Line number of its head, from 1. */
  line: number;
  lineCount: number;
}

/** Reads a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** All files below `folder` whose names end with `ending`; none when there is no such folder. */
export function filesBelow(folder: string, ending: string): string[] {
  try {
    return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(ending))
      .map((path) => join(folder, path))
      .sort();
  } catch {
    return [];
  }
}

export function readSource(path: string): SourceFile {
  const text = readText(path);
  const [code, uncommented] = blank(text);
  return { path, text, lines: text.split("\n"), code, uncommented };
}

/** What a file imports, re-exports or loads as a worker: its specifiers as written. */
export function specifiers(file: SourceFile): string[] {
  const found = new Set<string>();
  for (const match of file.uncommented.matchAll(/\b(?:from|import)\s*\(?\s*"([\w@.:/-]+)"/g)) {
    found.add(match[1]!);
  }
  // A worker's file is named, not imported: new URL("./worker.js", import.meta.url).
  for (const match of file.uncommented.matchAll(/"(\.{1,2}\/[^"\n]+\.js)"/g)) found.add(match[1]!);
  return [...found];
}

/** The repository path of a relative specifier, e.g. "engine/domain.ts"; null for packages. */
export function resolveSpecifier(file: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return join(dirname(file.path), specifier).replace(/\.js$/, ".ts");
}

/** Names a file declares and exports; `type` for interfaces and types. */
export function exportedNames(file: SourceFile): { name: string; type: boolean }[] {
  const pattern =
    /^export (?:abstract |async )?(const|let|function\*?|class|interface|type|enum) (\w+)/gm;
  return [...file.code.matchAll(pattern)].map((match) => ({
    name: match[2]!,
    type: match[1] === "interface" || match[1] === "type",
  }));
}

/** Functions, methods and callbacks with a body of more than one line. */
export function functionSpans(file: SourceFile): FunctionSpan[] {
  const lines = file.code.split("\n");
  const spans: FunctionSpan[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (!/(\)|\)\s*:.*|=>)\s*\{$/.test(lines[i]!)) continue;
    const head = headLine(lines, i);
    if (isControl(lines[head]!)) continue;
    const end = closingLine(lines, i);
    const name = file.lines[head]!.trim().slice(0, 60);
    spans.push({ name, line: head + 1, lineCount: end - head + 1 });
  }
  return spans;
}

/** The line where the statement begins whose block opens on line `i`. */
function headLine(lines: string[], i: number): number {
  if (!/^\s*\)/.test(lines[i]!)) return i;
  const indent = indentation(lines[i]!);
  let head = i - 1;
  while (head > 0 && (lines[head]!.trim() === "" || indentation(lines[head]!) > indent)) head--;
  return head;
}

function closingLine(lines: string[], i: number): number {
  const indent = indentation(lines[i]!);
  let end = i + 1;
  while (end < lines.length - 1 && !closes(lines[end]!, indent)) end++;
  return end;
}

function closes(line: string, indent: number): boolean {
  return indentation(line) === indent && line.trim().startsWith("}");
}

function isControl(line: string): boolean {
  return /^\s*(\} )?(else )?(if|for|while|switch|catch|with)\b/.test(line);
}

function indentation(line: string): number {
  return line.length - line.trimStart().length;
}

/** Blanks comments and strings; a small state machine over the characters. */
function blank(text: string): [code: string, uncommented: string] {
  const code = [...text].length === text.length ? text.split("") : Array.from(text);
  const uncommented = code.slice();
  const source = code.slice();
  // Depth of braces inside each open ${ of a template.
  const templates: number[] = [];
  let i = 0;
  while (i < source.length) {
    const end = tokenEnd(source, i, templates);
    const comment = source[i] === "/" && (source[i + 1] === "/" || source[i + 1] === "*");
    for (let j = i; end > i + 1 && j < end; j++) {
      if (source[j] === "\n") continue;
      if (comment) uncommented[j] = " ";
      const edge = !comment && (j === i || j === end - 1);
      if (!edge) code[j] = " ";
    }
    i = end;
  }
  return [code.join(""), uncommented.join("")];
}

/** End of the comment, string, template part or regular expression at `i`; else `i + 1`. */
function tokenEnd(s: string[], i: number, templates: number[]): number {
  const c = s[i]!;
  const last = templates.length - 1;
  if (c === "/" && s[i + 1] === "/") return until(s, i, (j) => s[j] === "\n");
  if (c === "/" && s[i + 1] === "*") {
    return until(s, i + 2, (j) => s[j] === "*" && s[j + 1] === "/") + 2;
  }
  if (c === '"' || c === "'") return quotedEnd(s, i, c);
  if (c === "/" && regexMayStart(s, i)) return regexEnd(s, i);
  if (c === "`") return templateEnd(s, i, templates);
  if (c === "{" && last >= 0) templates[last]!++;
  if (c === "}" && last >= 0) {
    if (templates[last] === 0) {
      templates.pop();
      return templateEnd(s, i, templates);
    }
    templates[last]!--;
  }
  return i + 1;
}

function until(s: string[], from: number, stop: (j: number) => boolean): number {
  let j = from;
  while (j < s.length && !stop(j)) j++;
  return j;
}

function quotedEnd(s: string[], i: number, quote: string): number {
  let j = i + 1;
  while (j < s.length && s[j] !== quote && s[j] !== "\n") j += s[j] === "\\" ? 2 : 1;
  return j + 1;
}

function templateEnd(s: string[], i: number, templates: number[]): number {
  let j = i + 1;
  while (j < s.length && s[j] !== "`") {
    if (s[j] === "$" && s[j + 1] === "{") {
      templates.push(0);
      return j + 2;
    }
    j += s[j] === "\\" ? 2 : 1;
  }
  return j + 1;
}

function regexEnd(s: string[], i: number): number {
  let j = i + 1;
  let inClass = false;
  while (j < s.length && s[j] !== "\n" && (inClass || s[j] !== "/")) {
    if (s[j] === "[") inClass = true;
    if (s[j] === "]") inClass = false;
    j += s[j] === "\\" ? 2 : 1;
  }
  return j + 1;
}

/** A slash begins a regular expression where a value may begin, and divides elsewhere. */
function regexMayStart(s: string[], i: number): boolean {
  let j = i - 1;
  while (j >= 0 && /\s/.test(s[j]!)) j--;
  if (j < 0 || "(,=:[!&|?{};+".includes(s[j]!)) return true;
  return /\breturn$/.test(s.slice(Math.max(0, j - 6), j + 1).join(""));
}
