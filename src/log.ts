// The one home of pino: one JSON object a line on stderr. What must never be in a log is kept out
// three times over: callers log fields they name, known secret fields are redacted, and an error
// is logged by its kind, code and stack with every long run of digits masked.

import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

const STDERR = 2;
const SECRET_FIELDS = [
  "authorization",
  "cardNumber",
  "previousCardNumber",
  "idNumber",
  "pan",
  "prefix",
  "masterKey",
  "wrappedKey",
  "rootKey",
  "adminToken",
  "token",
  "body",
  "query",
  "url",
];
/** Card numbers have 12 digits and more, ID numbers 15 or 18: eight in a row is near enough. */
const DIGIT_RUN = /[0-9]{8,}[Xx]?/g;

/** A logger for `name`. `target` is a file path or descriptor; standard error without it. */
export function createLogger(
  name: string,
  level: string,
  target: string | number = STDERR,
): Logger {
  return pino(
    {
      name,
      level,
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: "[redacted]",
      },
      serializers: { err: errorFields, error: errorFields },
    },
    destination({ dest: target, sync: true }),
  );
}

/** `text` with every run of eight digits and more masked. */
export function maskDigits(text: string): string {
  return text.replace(DIGIT_RUN, "[masked]");
}

/** What of an error may be logged. */
function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  return {
    type: error.name,
    code: (error as NodeJS.ErrnoException).code,
    message: maskDigits(error.message),
    stack: frames.map((frame) => frame.trim()),
  };
}
