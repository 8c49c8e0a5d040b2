// Card numbers. They travel as one 16-byte block, so that one AES block turns one into a token and
// a whole batch is tokenized by one call.
//
//   offset  size  field    notes
//   0       1     digits   number of digits, 12..19
//   1       10    bcd      two digits a byte, the first in the high half; unused halves are 0xf
//   11      4     zero
//   15      1     kind     0 card number (PAN, ISO/IEC 7812), 1 ID number (GB 11643), 2 PAN prefix
//
// In an ID number block the check character X is the half byte 0xa. Kinds keep the tokens of the
// three kinds of number apart.

export const PAN_BLOCK_SIZE = 16;
// Own names for the hot path: an exported constant is looked up each time.
const DIGITS_MIN = 12;
const DIGITS_MAX = 19;
export const PAN_DIGITS_MIN = DIGITS_MIN;
export const PAN_DIGITS_MAX = DIGITS_MAX;
export const PAN_KIND_OFFSET = 15;
export const PAN_KIND_CARD = 0;
export const PAN_KIND_ID_NUMBER = 1;
export const PAN_KIND_PREFIX = 2;
const PAN_BCD_OFFSET = 1;
const PAN_ZERO_OFFSET = 11;

const FILL_WORDS = 6;
/**
 * Half bytes that are no digits, for each number of digits: of the words of digits 1..6, 7..14 and
 * 15..20 those in the high halves of bytes, then those in the low halves.
 */
const FILL = fillMasks();
const HALVES = 0x0f0f0f0f;
const ONES = 0x01010101;

/**
 * Whether the block of four words from word `at` on holds a well-formed card number with a correct
 * check digit (Luhn, ISO/IEC 7812-1 annex B). Takes the same path for all digits, four bytes side
 * by side in a word.
 */
export function panBlockValid(words: Int32Array, at: number): boolean {
  const first = words[at]!;
  const digits = first & 0xff;
  if (digits < DIGITS_MIN || digits > DIGITS_MAX) return false;
  const third = words[at + 2]!;
  if (third >>> 24 !== 0 || words[at + 3] !== 0) return false;
  const fill = digits * FILL_WORDS;
  // From the right, every second digit counts doubled: all high halves or all low ones.
  const odd = digits & 1;
  const a = weighed(first >>> 8, FILL[fill]!, FILL[fill + 1]!, odd);
  const b = weighed(words[at + 1]!, FILL[fill + 2]!, FILL[fill + 3]!, odd);
  const c = weighed(third, FILL[fill + 4]!, FILL[fill + 5]!, odd);
  if ((a | b | c) < 0) return false;
  return (Math.imul(a + b + c, ONES) >>> 24) % 10 === 0;
}

/** What the digits of a word weigh, summed up in each byte; -1 when a half byte is wrong. */
function weighed(word: number, highFill: number, lowFill: number, odd: number): number {
  const highHalves = (word >>> 4) & HALVES;
  const lowHalves = word & HALVES;
  const high = highHalves & ~highFill;
  const low = lowHalves & ~lowFill;
  const unfilled = (~highHalves & highFill) | (~lowHalves & lowFill);
  if ((unfilled | overNine(high) | overNine(low)) !== 0) return -1;
  return odd === 0 ? doubled(high) + low : high + doubled(low);
}

/** Not zero when a byte of a word of halves is over 9. */
function overNine(halves: number): number {
  return (halves + 0x06060606) & 0x10101010;
}

/** Each byte, a digit, doubled and less 9 when that is over 9. */
function doubled(digits: number): number {
  const overFour = ((digits + 0x0b0b0b0b) >>> 4) & ONES;
  return 2 * digits - 9 * overFour;
}

function fillMasks(): Int32Array {
  const masks = new Int32Array((PAN_DIGITS_MAX + 1) * FILL_WORDS);
  for (let digits = PAN_DIGITS_MIN; digits <= PAN_DIGITS_MAX; digits++) {
    for (let digit = digits; digit < 20; digit++) {
      const byte = digit >> 1;
      const word = byte < 3 ? 0 : byte < 7 ? 1 : 2;
      const place = byte - [0, 3, 7][word]!;
      masks[digits * FILL_WORDS + 2 * word + (digit & 1)]! |= 0xf << (8 * place);
    }
  }
  return masks;
}

/** Whether `pan` is 12 to 19 digits with a correct check digit. */
export function panValid(pan: string): boolean {
  if (!/^[0-9]{12,19}$/.test(pan)) return false;
  return luhnDigit(pan.slice(0, -1)) === Number(pan.at(-1));
}

/** The check digit (0..9) that makes `digits` plus it a valid card number. */
export function luhnDigit(digits: string): number {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = (i & 1) === 0 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return (10 - (sum % 10)) % 10;
}

/**
 * Writes up to 19 digits (X allowed as the half byte 0xa) as a block of `kind` and returns
 * PAN_BLOCK_SIZE. Checks nothing but the length: a wrong number must be able to travel, to be
 * declined at the other end.
 */
export function writePanBlock(
  bytes: Uint8Array,
  offset: number,
  digits: string,
  kind: number,
): number {
  if (digits.length > PAN_DIGITS_MAX) throw new RangeError("number has more than 19 digits");
  bytes[offset] = digits.length;
  const end = offset + PAN_ZERO_OFFSET;
  let at = offset + PAN_BCD_OFFSET;
  let i = 0;
  for (; i + 1 < digits.length; i += 2) {
    bytes[at++] = (halfByte(digits.charCodeAt(i)) << 4) | halfByte(digits.charCodeAt(i + 1));
  }
  if (i < digits.length) bytes[at++] = (halfByte(digits.charCodeAt(i)) << 4) | 0xf;
  while (at < end) bytes[at++] = 0xff;
  while (at < offset + PAN_KIND_OFFSET) bytes[at++] = 0;
  bytes[at] = kind;
  return PAN_BLOCK_SIZE;
}

function halfByte(code: number): number {
  return code === 0x58 || code === 0x78 ? 0xa : (code - 48) & 0xf;
}

/** The number in the block at `offset`; "?" stands where a half byte is neither digit nor X. */
export function readPanBlock(view: DataView, offset: number): string {
  const digits = Math.min(view.getUint8(offset), PAN_DIGITS_MAX);
  let text = "";
  for (let i = 0; i < digits; i++) {
    const byte = view.getUint8(offset + PAN_BCD_OFFSET + (i >> 1));
    text += "0123456789X?????"[(i & 1) === 0 ? byte >> 4 : byte & 0xf];
  }
  return text;
}

/**
 * Writes the block of the first `digits` (1..19) digits of the card number block at `from`. A
 * shorter number gives a block of no digits, which is no prefix of any range.
 */
export function panPrefixBlock(
  bytes: Uint8Array,
  from: number,
  digits: number,
  out: Uint8Array,
  to: number,
): number {
  out.fill(0, to, to + PAN_BLOCK_SIZE);
  out[to + PAN_KIND_OFFSET] = PAN_KIND_PREFIX;
  if (bytes[from]! < digits) return PAN_BLOCK_SIZE;
  out[to] = digits;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[from + PAN_BCD_OFFSET + i]!;
    const high = 2 * i < digits ? byte & 0xf0 : 0xf0;
    const low = 2 * i + 1 < digits ? byte & 0x0f : 0x0f;
    out[to + PAN_BCD_OFFSET + i] = high | low;
  }
  return PAN_BLOCK_SIZE;
}
