// Fail stop: when the journal cannot be trusted any more, the process ends at once and answers
// nothing. Not `exit`: lmdb's writer may hang in it, and nothing may run that could still answer.

import { writeSync } from "node:fs";

const STDERR = 2;

/** Ends the process. `cause` is one constant line that says what happened and what to do. */
export function failStop(cause: string): never {
  writeSync(STDERR, `tongka: stopped: ${cause}\n`);
  process.kill(process.pid, "SIGKILL");
  // The signal is on its way; until it is here, nothing else may run.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}
