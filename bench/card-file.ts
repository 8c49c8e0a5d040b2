// A file of cards as `tongka import cards` takes it.

import { closeSync, openSync, writeSync } from "node:fs";
import { idNumberCheck } from "../src/id-number.js";
import { panOf } from "./world.js";

const HEADER = "cardNumber,idNumber,medium,status,regionCode,expiryDate\n";
const ROWS_PER_WRITE = 16_384;
const DAYS = 28;
const MONTHS = 12;
const YEARS = 60;
const FIRST_YEAR = 1950;
const SEQUENCES = 1000;
const FIRST_REGION = 110_000;

/** A well-formed ID number, another for each index below 10^12. */
export function idNumberOf(index: number): string {
  let rest = index;
  const take = (range: number) => {
    const part = rest % range;
    rest = Math.floor(rest / range);
    return part;
  };
  const sequence = two(take(SEQUENCES)).padStart(3, "0");
  const day = two(1 + take(DAYS));
  const month = two(1 + take(MONTHS));
  const year = FIRST_YEAR + take(YEARS);
  const digits = `${FIRST_REGION + rest}${year}${month}${day}${sequence}`;
  return digits + idNumberCheck(digits);
}

/** Writes cards 0 to count - 1 of the world into a CSV file. */
export function writeCardFile(path: string, count: number): void {
  const file = openSync(path, "w");
  writeSync(file, HEADER);
  for (let from = 0; from < count; from += ROWS_PER_WRITE) {
    const end = Math.min(from + ROWS_PER_WRITE, count);
    let text = "";
    for (let i = from; i < end; i++) {
      text += `${panOf(i)},${idNumberOf(i)},chip,active,460105,2079-12-31\n`;
    }
    writeSync(file, text);
  }
  closeSync(file);
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
