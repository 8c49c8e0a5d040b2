// A data folder that can no longer be written, by the limit of a file's size that the kernel keeps
// for one process: an import stops with one line, what it had done is there and whole, and the same
// import goes on when there is room again.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { cardLine, HEADER } from "./import-samples.js";
import { plainNode } from "./plain-node.js";
import { ROOT } from "./source-text.js";
import { tongkaHere } from "./tongka-process.js";

const MAIN = join(ROOT, "dist", "src", "main.js");
const CARDS = 30_000;

t.test("an import into a full disk stops, and goes on when there is room", async (t) => {
  const folder = join(t.testdir(), "data");
  t.equal((await tongkaHere(["init", "--data", folder])).code, 0);
  const file = join(t.testdirName, "cards.csv");
  const lines = Array.from({ length: CARDS }, (_, i) => cardLine(i));
  writeFileSync(file, [HEADER, ...lines, ""].join("\n"));

  for (const kilobytes of [800, 1500]) {
    const { signal, stderr } = await limited(kilobytes, [
      "import",
      "cards",
      file,
      "--data",
      folder,
    ]);
    t.equal(signal, "SIGKILL", `a limit of ${kilobytes} KiB stops it`);
    t.match(
      stderr,
      /tongka: stopped: .*(make room|free space)/,
      "with a line that says what to do",
    );
    t.notMatch(stderr, /[0-9]{12}/, "and no card number");
  }
  const verified = await tongkaHere(["journal", "verify", "--data", folder, "--json"]);
  t.equal(verified.code, 0, "what was done is whole");

  const again = await tongkaHere(["import", "cards", file, "--data", folder, "--json"]);
  t.equal(again.code, 0);
  const { rows, rejected, unchanged, imported } = JSON.parse(again.stdout);
  t.equal(rejected, 0);
  t.ok(imported > 0 && imported <= CARDS, "the rest goes in");
  t.equal(imported + unchanged, rows);
  const third = await tongkaHere(["import", "cards", file, "--data", folder, "--json"]);
  t.match(JSON.parse(third.stdout), { rows: CARDS, unchanged: CARDS }, "all of it is there once");
});

/** Runs the command with files limited to so many KiB; a write past that fails with EFBIG. */
function limited(kilobytes: number, args: string[]) {
  const script = `trap '' XFSZ; ulimit -f ${kilobytes}; exec "$@"`;
  const [command, all] = plainNode([MAIN, ...args]);
  const child = spawn("bash", ["-c", script, "bash", command, ...all], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise<{ signal: NodeJS.Signals | null; stderr: string }>((resolve) => {
    child.once("close", (_code, signal) => resolve({ signal, stderr }));
  });
}
