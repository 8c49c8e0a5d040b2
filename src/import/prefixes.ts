// A range of numbers as decimal prefixes: the fewest prefixes that cover all numbers from `from`
// to `to` and no others of their length. At most 18 for each digit, so 342 for 19 digits.

import { assert } from "../../protocol/assert.js";

/** Prefixes of the range [from, to], two texts of 1 to 19 digits, equally long, in order. */
export function prefixesOfRange(from: string, to: string): string[] {
  assert(from.length === to.length && from <= to, "a range runs upwards in one length");
  let same = 0;
  while (same < from.length && from.charCodeAt(same) === to.charCodeAt(same)) same++;
  const common = from.slice(0, same);
  if (same === from.length) return [common];
  const whole = endsIn(from, same, "0") && endsIn(to, same, "9");
  // No prefix has no digits: the range of all numbers is ten prefixes of one.
  if (whole && same > 0) return [common];
  const middle: string[] = [];
  for (let d = Number(from[same]) + 1; d < Number(to[same]); d++) middle.push(common + d);
  return [...upwards(from, same + 1), ...middle, ...downwards(to, same + 1)];
}

/** Whether all digits from `offset` on are `digit`. */
function endsIn(number: string, offset: number, digit: string): boolean {
  for (let i = offset; i < number.length; i++) if (number[i] !== digit) return false;
  return true;
}

/** Numbers from `from` on that share its first `offset` digits. */
function upwards(from: string, offset: number): string[] {
  if (endsIn(from, offset, "0")) return [from.slice(0, offset)];
  const head = from.slice(0, offset);
  const rest: string[] = [];
  for (let d = Number(from[offset]) + 1; d <= 9; d++) rest.push(head + d);
  return [...upwards(from, offset + 1), ...rest];
}

/** Numbers up to `to` that share its first `offset` digits. */
function downwards(to: string, offset: number): string[] {
  if (endsIn(to, offset, "9")) return [to.slice(0, offset)];
  const head = to.slice(0, offset);
  const rest: string[] = [];
  for (let d = 0; d < Number(to[offset]); d++) rest.push(head + d);
  return [...rest, ...downwards(to, offset + 1)];
}
