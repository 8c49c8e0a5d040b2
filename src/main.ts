#!/usr/bin/env node
// The `tongka` command: reads the command line, runs one command, ends with its exit code.
//
// The first Ctrl-C (or SIGTERM) aborts context.signal, for commands that want to end in order; with
// no one listening there, and on the second one, the process ends at once.

import { getEventListeners } from "node:events";
import { buildInfo } from "./build-info.js";
import { COMMANDS } from "./cli/commands.js";
import { EXIT } from "./cli/exit-codes.js";
import { explain } from "./cli/explain.js";
import { Output } from "./cli/output.js";
import { runProgram } from "./cli/program.js";

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

async function main(): Promise<number> {
  const { version, commit } = buildInfo();
  const versionText = `tongka ${version}${commit === "" ? "" : ` (commit ${commit.slice(0, 12)})`}`;
  const { signal } = interruption;
  const invocation = { output, signal, environment: process.env };
  return runProgram(process.argv.slice(2), COMMANDS, versionText, invocation);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (interruption.signal.aborted) {
    process.exitCode = EXIT.INTERRUPTED;
  } else {
    const { lines, exitCode } = explain(error);
    for (const line of lines) output.message(`tongka: ${line}`);
    process.exitCode = exitCode;
  }
}
