// A call that waits for its answer. Its body is fixed when it is made: each repeat sends the very
// same records, so that the server answers a repeat with what it answered first.

import type { FrameHeader } from "../../protocol/index.js";
import type { TerminalError } from "./errors.js";
import type { Session } from "./session.js";

export interface Call {
  readonly mti: number;
  readonly count: number;
  readonly body: Uint8Array;
  readonly deadlineAtMs: number;
  /** Reads the answer and resolves the call's promise; throws when the answer is not one. */
  readonly answered: (header: FrameHeader, frame: Uint8Array) => void;
  readonly failed: (error: TerminalError) => void;
  /** Each session and sequence number under which it was sent: any of their answers will do. */
  sentAs: { session: Session; sequence: number }[];
  inFlight: boolean;
  attempts: number;
  /** When to send it again, or for the first time; Infinity while it waits in the queue. */
  repeatAtMs: number;
  /** Last response code heard of the frame, perhaps unauthenticated. */
  lastStatus: string;
  cancelTimer: () => void;
}

/** Forgets under which numbers a call was sent: answers to them are not waited for any more. */
export function forgetSent(call: Call): void {
  for (const { session, sequence } of call.sentAs) session.sent.delete(sequence);
  call.sentAs = [];
}
