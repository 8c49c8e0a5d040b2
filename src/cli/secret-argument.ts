// Card numbers, ID numbers and keys on the command line. As an argument they stand in the shell's
// history and in the list of processes; "-" reads them from standard input instead: one line, typed
// at a prompt or piped. Messages here never repeat them.

import { createInterface } from "node:readline/promises";
import { usageError } from "./cli-error.js";
import type { Context } from "./command.js";

/** For help texts. */
export const DASH_HELP =
  "A number given as - is read from standard input (typed or piped), which keeps it out of the " +
  "shell's history and the list of processes.";

/** Reads the lines of standard input, one for each "-", in order. */
export class SecretArguments {
  private readonly context: Context;
  private lines: AsyncIterator<string> | null;

  constructor(context: Context) {
    this.context = context;
    this.lines = null;
  }

  /** `argument`, or the next line of standard input when it is "-". */
  async take(argument: string, what: string): Promise<string> {
    if (argument !== "-") return argument;
    if (this.context.input.isTTY) return this.ask(what);
    this.lines ??= createInterface({ input: this.context.input })[Symbol.asyncIterator]();
    const { value, done } = await this.lines.next();
    const text = done ? "" : value.trim();
    if (text === "") throw usageError(`${what}: standard input has no line for it`);
    return text;
  }

  private async ask(what: string): Promise<string> {
    const { input, signal } = this.context;
    const terminal = createInterface({ input, output: process.stderr });
    try {
      return (await terminal.question(`${what}: `, { signal })).trim();
    } finally {
      terminal.close();
    }
  }
}
