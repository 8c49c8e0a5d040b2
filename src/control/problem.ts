// What an API request is answered when it cannot be done: a status, a code and a sentence. The
// sentence is constant or names keys of our own schemas; it never repeats what was sent.

export class Problem extends Error {
  readonly status: number;
  /** Upper case with underscores; stable for programs. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }
}

/** The body of every answer that is not a success. */
export interface ProblemBody {
  error: string;
  message: string;
}

/** 404 for a thing that is not there. */
export function notFound(message: string): Problem {
  return new Problem(404, "NOT_FOUND", message);
}

/** 400 for a value that a schema cannot express. */
export function invalid(message: string): Problem {
  return new Problem(400, "INVALID", message);
}
