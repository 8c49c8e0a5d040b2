// The command that mends lmdb's library: one byte, once, and nothing else. That a write which fails
// then ends in one clear line is shown by the faults of the crash matrix.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import t from "tap";
import { plainNode } from "./plain-node.js";
import { ROOT } from "./source-text.js";

const COMMAND = join(ROOT, "dist", "src", "mend-lmdb.js");
const START = "Attempting to write page at position %u, size %u";
const REST = ", blocks %u, buffer sizes %i %i %i\0";
const MENDED = Buffer.from(`${START}\0${REST.slice(1)}`);
const AS_PUBLISHED = Buffer.from(START + REST);

const skip = process.platform === "linux" ? false : "only the libraries of Linux are mended";

t.test("what npm run build has left is mended", { skip }, async (t) => {
  const files = installed();
  t.ok(files.length > 0);
  for (const path of files) {
    const bytes = readFileSync(path);
    t.equal(bytes.indexOf(AS_PUBLISHED), -1, `${path}: run npm run build`);
    t.ok(bytes.indexOf(MENDED) > 0, `${path} has the text that src/mend-lmdb.ts cuts`);
  }
});

t.test("one byte, once, and no other file", { skip }, async (t) => {
  const folder = join(t.testdir(), "libraries");
  mkdirSync(folder);
  const mended = readFileSync(installed()[0]!);
  const published = Buffer.from(mended);
  published.write(START + REST, published.indexOf(MENDED), "latin1");
  writeFileSync(join(folder, "a.node"), published, { mode: 0o750 });
  writeFileSync(join(folder, "b.node"), "another library");
  writeFileSync(join(folder, "c.txt"), AS_PUBLISHED);

  t.same(run(folder), { status: 0, stdout: "", stderr: "lmdb: a.node mended\n" });
  t.ok(readFileSync(join(folder, "a.node")).equals(mended));
  t.equal(statSync(join(folder, "a.node")).mode & 0o777, 0o750);
  t.equal(readFileSync(join(folder, "b.node"), "utf8"), "another library");
  t.ok(readFileSync(join(folder, "c.txt")).equals(AS_PUBLISHED));
  t.same(run(folder), { status: 0, stdout: "", stderr: "" }, "nothing is left to do");
  t.same(readdirSync(folder).sort(), ["a.node", "b.node", "c.txt"]);
});

/** The libraries of lmdb that a start on this machine may load. */
function installed(): string[] {
  const ofLmdb = createRequire(createRequire(import.meta.url).resolve("lmdb"));
  const { path } = ofLmdb("node-gyp-build-optional-packages");
  const folder = dirname(path(join(dirname(ofLmdb.resolve("lmdb")), "..")));
  const names = readdirSync(folder).filter((name) => name.endsWith(".node"));
  return names.map((name) => join(folder, name));
}

function run(folder: string) {
  const { status, stdout, stderr } = spawnSync(...plainNode([COMMAND, folder]), {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}
