// Assertions that stay on in production: a broken invariant is a bug, and a bug must not answer.

/** Throws when an invariant does not hold. `message` is a constant string: building one costs. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
