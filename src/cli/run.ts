// One command line from its words to its exit code: parses, runs, and tells what went wrong.

import { buildInfo } from "../build-info.js";
import { COMMANDS } from "./commands.js";
import { EXIT } from "./exit-codes.js";
import { explain } from "./explain.js";
import { type Invocation, runProgram } from "./program.js";

const COMMIT_SHOWN = 12;

/** Runs `argv` (without node and script) and resolves to the exit code. */
export async function runTongka(argv: readonly string[], invocation: Invocation): Promise<number> {
  try {
    return await runProgram(argv, COMMANDS, versionText(), invocation);
  } catch (error) {
    if (invocation.signal.aborted) return EXIT.INTERRUPTED;
    const { lines, exitCode } = explain(error);
    for (const line of lines) invocation.output.message(`tongka: ${line}`);
    return exitCode;
  }
}

function versionText(): string {
  const { version, commit } = buildInfo();
  return `tongka ${version}${commit === "" ? "" : ` (commit ${commit.slice(0, COMMIT_SHOWN)})`}`;
}
