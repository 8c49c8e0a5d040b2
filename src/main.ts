#!/usr/bin/env node
// The `tongka` command: reads the command line, runs one command, ends with its exit code.
//
// The first Ctrl-C (or SIGTERM) aborts context.signal, for commands that want to end in order; with
// no one listening there, and on the second one, the process ends at once.

import { getEventListeners } from "node:events";
import { EXIT } from "./cli/exit-codes.js";
import { Output } from "./cli/output.js";
import { runTongka } from "./cli/run.js";

const output = new Output(process.stdout, process.stderr);
const interruption = new AbortController();

function interrupt(): void {
  const heard = getEventListeners(interruption.signal, "abort").length > 0;
  if (interruption.signal.aborted || !heard) process.exit(EXIT.INTERRUPTED);
  interruption.abort();
}
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);
// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? EXIT.OK : EXIT.FAILED);
});

process.exitCode = await runTongka(process.argv.slice(2), {
  output,
  input: process.stdin,
  signal: interruption.signal,
  environment: process.env,
});
// A standard input that was read from would keep the process until its other end closes.
process.stdin.destroy();
