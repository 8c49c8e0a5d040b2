// Calendar days as people write them, before 1970 too (dates of birth), in plain integer
// arithmetic: import checks two dates a row, and Date objects would cost more than all the rest.

const MS_PER_DAY = 86_400_000;
const DAYS_OF_MONTH = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const ZERO = 48;
const DASH = 45;

/** Returned for what is no day of the calendar. */
export const NO_DAY = Number.NEGATIVE_INFINITY;

/** Days since 1970-01-01 of a proleptic Gregorian date, negative before; NO_DAY if it is none. */
export function dayOf(year: number, month: number, dayOfMonth: number): number {
  if (year < 1000 || year > 9999 || month < 1 || month > 12 || dayOfMonth < 1) return NO_DAY;
  const leap = (year & 3) === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (dayOfMonth > DAYS_OF_MONTH[month]! + (leap && month === 2 ? 1 : 0)) return NO_DAY;
  // Years begin in March here, so that the leap day is a year's last.
  const y = month <= 2 ? year - 1 : year;
  const m = month <= 2 ? month + 9 : month - 3;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leapDays + Math.floor((m * 153 + 2) / 5) + dayOfMonth - 1 - 719_468;
}

/** A day (days since 1970-01-01) as the number YYYYMMDD. */
export function dateOf(day: number): number {
  const date = new Date(day * MS_PER_DAY);
  return date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
}

/** The day that `text` names from `offset` as YYYYMMDD; NO_DAY if it names none. */
export function dayAt(text: string, offset: number): number {
  const year = numberAt(text, offset, 4);
  return dayOf(year, numberAt(text, offset + 4, 2), numberAt(text, offset + 6, 2));
}

/** The day that the whole of `text` names as YYYYMMDD or YYYY-MM-DD; NO_DAY if it names none. */
export function dayOfText(text: string): number {
  if (text.length === 8) return dayAt(text, 0);
  if (text.length !== 10) return NO_DAY;
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return NO_DAY;
  return dayOf(numberAt(text, 0, 4), numberAt(text, 5, 2), numberAt(text, 8, 2));
}

/** `digits` decimal digits as a number; NaN when one is missing or no digit. */
function numberAt(text: string, offset: number, digits: number): number {
  let value = 0;
  for (let i = offset; i < offset + digits; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
