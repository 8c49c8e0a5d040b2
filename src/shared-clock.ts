// The clock that all threads of the process share: what one notes, another can compare.

/** Milliseconds of a clock that nobody sets. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
