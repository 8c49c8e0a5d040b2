// The `tongka` command as a process of its own, for tests.

import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable, Writable } from "node:stream";
import { Output } from "../src/cli/output.js";
import { runTongka } from "../src/cli/run.js";
import { plainNode } from "./plain-node.js";
import { ROOT } from "./source-text.js";

type Child = ChildProcessWithoutNullStreams;

const MAIN = join(ROOT, "dist", "src", "main.js");
const START_DEADLINE_MS = 20_000;

/** How a process ended, and all it said. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
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
  /** Resolves when it has ended, by itself or not. */
  ended: Promise<Ended>;
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
  return { code, signal: null, ...texts };
}

/** Runs `tongka` with none of this process's TONGKA_ variables, `input` on standard input. */
export function tongka(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input = "",
): Promise<Ended> {
  const child = start(args, environment);
  child.stdin.end(input);
  return endOf(child);
}

/** Runs `tongka serve` on ports the system chooses; resolves when it serves. */
export async function serve(
  args: readonly string[],
  nodeFlags: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<ServerProcess> {
  const server = await serveOrEnd(args, environment, () => {}, nodeFlags);
  if ("code" in server) throw new Error(`the server ended at once: ${server.stderr}`);
  return server;
}

/**
 * Runs `tongka serve`; resolves when it serves, or with its end when it does not come to that.
 * `spawned` is told of the process at once.
 */
export async function serveOrEnd(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  spawned: (child: ChildProcess) => void = () => {},
  nodeFlags: readonly string[] = [],
): Promise<ServerProcess | Ended> {
  const ports = ["--terminals-port", "0", "--control-port", "0"];
  const flags = ["serve", "--json", "--log-level", "warn", ...ports, ...args];
  const child = start(flags, environment, nodeFlags);
  spawned(child);
  let messages = "";
  child.stderr.on("data", (chunk) => {
    messages += chunk;
  });
  const ended = endOf(child);
  const line = once(createInterface({ input: child.stdout }), "line", {
    signal: AbortSignal.timeout(START_DEADLINE_MS),
  });
  const first = await Promise.race([line, ended]).catch((error: Error) => {
    child.kill("SIGKILL");
    throw error;
  });
  if ("code" in first) return first;
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return (await ended).code;
  };
  return { child, ...JSON.parse(first[0]), messages: () => messages, end, ended };
}

function endOf(child: Child): Promise<Ended> {
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk) => {
      texts[name] += chunk;
    });
  }
  return new Promise((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, ...texts }));
  });
}

function start(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  nodeFlags: readonly string[] = [],
): Child {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("TONGKA_"));
  const [command, all] = plainNode([...nodeFlags, MAIN, ...args], environment["NODE_OPTIONS"]);
  return spawn(command, all, {
    env: { ...Object.fromEntries(clean), ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
}
