// Calls that wait for something, in a list that is empty most of the time.
//
// The twist: the hot path asks for the length and no more. With the list taken out and walked over
// there, empty or not, V8 took the empty list for all there is, and each time that something waited
// (each slice of a checkpoint does) it threw away what it had compiled for the sending of answers.

/** Calls what waits; what is added meanwhile waits for the next time. */
export function callAll(calls: (() => void)[]): void {
  if (calls.length === 0) return;
  for (const call of calls.splice(0)) call();
}
