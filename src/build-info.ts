// What runs: the package's version and the commit it was built from, as far as that is known: npm
// writes gitHead into a published package, and a checkout has its .git.

import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/** The package's folder: two above dist/src. */
const PACKAGE_FOLDER = resolve(import.meta.dirname, "..", "..");
const COMMIT = /^[0-9a-f]{40}/;

/** Version, and commit as 40 hex digits or "" when not known. */
export function buildInfo(): { version: string; commit: string } {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_FOLDER, "package.json"), "utf8"));
  return { version: manifest.version, commit: manifest.gitHead ?? checkedOutCommit() };
}

function checkedOutCommit(): string {
  try {
    const folder = gitFolder(join(PACKAGE_FOLDER, ".git"));
    const head = readFileSync(join(folder, "HEAD"), "utf8").trim();
    if (COMMIT.test(head)) return head;
    return commitOf(folder, head.replace(/^ref: /, ""));
  } catch {
    return "";
  }
}

/** In a linked worktree .git is a file that names the folder. */
function gitFolder(path: string): string {
  if (statSync(path).isDirectory()) return path;
  return resolve(
    PACKAGE_FOLDER,
    readFileSync(path, "utf8")
      .trim()
      .replace(/^gitdir: /, ""),
  );
}

function commitOf(folder: string, ref: string): string {
  const shared = textOf(join(folder, "commondir"));
  const common = shared === "" ? folder : resolve(folder, shared);
  const loose = textOf(join(common, ref));
  if (COMMIT.test(loose)) return loose;
  const packed = textOf(join(common, "packed-refs")).split("\n");
  return packed.find((line) => line.endsWith(` ${ref}`))?.slice(0, 40) ?? "";
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
