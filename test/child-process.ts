// Starts and kills server processes (test/server-child.ts).

import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import { plainNode } from "./plain-node.js";
import type { ChildOptions, ChildReady } from "./server-child.js";
import { within } from "./server-kit.js";

export interface Child extends ChildReady {
  pid: number;
  /** Ends it by a signal; resolves with the exit code, null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Resolves when it has ended, by itself or not. */
  ended: Promise<number | null>;
}

/** Starts a server; `logFile` takes all it writes on stderr. */
export async function startChild(
  t: Test,
  options: ChildOptions,
  logFile: string | null = null,
): Promise<Child> {
  const process = spawnNode(
    new URL("./server-child.js", import.meta.url),
    [JSON.stringify(options)],
    logFile,
  );
  const ended = new Promise<number | null>((resolve) => process.once("exit", resolve));
  t.teardown(() => process.kill("SIGKILL"));
  const lines = createInterface({ input: process.stdout! });
  const first = new Promise<string>((resolve, reject) => {
    lines.once("line", resolve);
    void ended.then(() => reject(new Error("the server did not start")));
  });
  const ready = JSON.parse(await within("the server's start", first)) as ChildReady;
  const end = (signal: NodeJS.Signals) => {
    process.kill(signal);
    return within("the server's end", ended);
  };
  return { ...ready, pid: process.pid!, end, ended };
}

/** Runs a compiled script of this folder. */
export function spawnNode(
  script: URL,
  args: string[],
  logFile: string | null = null,
): ChildProcess {
  const path = fileURLToPath(script);
  const stderr = logFile === null ? "ignore" : openSync(logFile, "a", 0o600);
  return spawn(...plainNode([path, ...args]), { stdio: ["pipe", "pipe", stderr] });
}
