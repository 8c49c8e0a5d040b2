// The `tongka` command as a process of its own, for tests.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable, Writable } from "node:stream";
import { Output } from "../src/cli/output.js";
import { runTongka } from "../src/cli/run.js";
import { ROOT } from "./source-text.js";

const MAIN = join(ROOT, "dist", "src", "main.js");
const START_DEADLINE_MS = 20_000;

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A server of its own process; the ports are those the system chose. */
export interface ServerProcess {
  child: ChildProcess;
  terminalsUrl: string;
  controlUrl: string;
  /** What it has written on standard error so far. */
  messages(): string;
  /** Sends a signal; resolves to the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Runs a command line in this process, through the same function as the real command: a process of
 * its own takes half a second to start.
 */
export async function tongkaHere(args: readonly string[], input = ""): Promise<Ended> {
  const texts = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") =>
    new Writable({
      write: (chunk, _encoding, done) => {
        texts[name] += chunk;
        done();
      },
    });
  const code = await runTongka(args, {
    output: new Output(sink("stdout"), sink("stderr")),
    input: Readable.from([input]),
    signal: new AbortController().signal,
    environment: {},
  });
  return { code, ...texts };
}

/** Runs `tongka` with none of this process's TONGKA_ variables, `input` on standard input. */
export function tongka(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input = "",
): Promise<Ended> {
  const child = start(args, environment);
  const ended: Ended = { code: null, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    ended.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    ended.stderr += chunk;
  });
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ ...ended, code }));
  });
}

/** Runs `tongka serve` on ports the system chooses; resolves when it serves. */
export async function serve(
  args: readonly string[],
  nodeFlags: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<ServerProcess> {
  const ports = ["--terminals-port", "0", "--control-port", "0"];
  const child = start(
    ["serve", "--json", "--log-level", "warn", ...ports, ...args],
    environment,
    nodeFlags,
  );
  let messages = "";
  child.stderr.on("data", (chunk) => {
    messages += chunk;
  });
  const exited = once(child, "exit");
  const line = once(createInterface({ input: child.stdout }), "line", {
    signal: AbortSignal.timeout(START_DEADLINE_MS),
  });
  const first = await Promise.race([line, exited]);
  if (typeof first[0] !== "string") throw new Error(`the server ended at once: ${messages}`);
  return {
    child,
    ...JSON.parse(first[0]),
    messages: () => messages,
    end: async (signal) => {
      child.kill(signal);
      return (await exited)[0];
    },
  };
}

function start(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  nodeFlags: readonly string[] = [],
) {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("TONGKA_"));
  return spawn(process.execPath, [...nodeFlags, MAIN, ...args], {
    env: { ...Object.fromEntries(clean), NODE_OPTIONS: "", ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
}
