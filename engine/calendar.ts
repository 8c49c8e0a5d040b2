// Days and business dates. The engine has no clock: a block brings its time, and this turns it
// into the calendar day and the business date in force.

const MS_PER_MINUTE = 60_000;
const MS_PER_DAY = 86_400_000;

export interface BusinessDay {
  /** Local time ahead of UTC, minutes: 480 for China Standard Time. */
  utcOffsetMinutes: number;
  /** Minutes after local midnight at which the next business date begins, -720..720. */
  cutoverMinutes: number;
}

/** Days since 1970-01-01 of the local calendar at `timeMs` (milliseconds since 1970 UTC). */
export function localDay(timeMs: number, utcOffsetMinutes: number): number {
  return Math.floor((timeMs + utcOffsetMinutes * MS_PER_MINUTE) / MS_PER_DAY);
}

/** The business date (YYYYMMDD) in force at `timeMs`. */
export function businessDateAt(timeMs: number, day: BusinessDay): number {
  return dateOfDay(localDay(timeMs, day.utcOffsetMinutes - day.cutoverMinutes));
}

/** Days since 1970-01-01 as YYYYMMDD. */
function dateOfDay(day: number): number {
  const date = new Date(day * MS_PER_DAY);
  return date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
}

/** YYYYMMDD as days since 1970-01-01, or -1 when it is no date of the calendar. */
export function dayOfDate(date: number): number {
  const year = Math.floor(date / 10_000);
  const month = Math.floor(date / 100) % 100;
  const dayOfMonth = date % 100;
  if (year < 1970 || year > 9999) return -1;
  const ms = Date.UTC(year, month - 1, dayOfMonth);
  const back = new Date(ms);
  const same = back.getUTCMonth() === month - 1 && back.getUTCDate() === dayOfMonth;
  return same ? ms / MS_PER_DAY : -1;
}

/** `days` after `date`, both YYYYMMDD; `date` must be one. */
export function addDays(date: number, days: number): number {
  return dateOfDay(dayOfDate(date) + days);
}
