// An error for the person at the keyboard: one line that says what, where and what to do, and the
// exit code that goes with it. Never holds a card number, an ID number or a key.

import { EXIT } from "./exit-codes.js";

export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.FAILED) {
    super(message);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

/** For arguments that make no sense. */
export function usageError(message: string): CliError {
  return new CliError(message, EXIT.USAGE);
}
