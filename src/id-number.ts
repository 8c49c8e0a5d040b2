// The citizen's ID number (GB 11643-1999), which is the social security number too: region of
// first registration (6), date of birth (8), sequence (3), check character (ISO 7064 MOD 11-2).

import { dayAt, NO_DAY } from "./dates.js";

const ID_NUMBER_LENGTH = 18;
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_CHARACTERS = "10X98765432";
const ZERO = 48;

/** The check character of the first 17 digits of an ID number, or "" when one is no digit. */
export function idNumberCheck(digits: string): string {
  let sum = 0;
  for (let i = 0; i < 17; i++) {
    const digit = digits.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return "";
    sum += digit * WEIGHTS[i]!;
  }
  return CHECK_CHARACTERS.charAt(sum % 11);
}

/** What is wrong with an ID number, as a constant text that names no digit of it; "" if nothing. */
export function idNumberFault(idNumber: string): string {
  if (idNumber.length !== ID_NUMBER_LENGTH) return "is not 18 characters";
  const check = idNumberCheck(idNumber);
  if (check === "") return "has a character that is no digit";
  const last = idNumber.charAt(17);
  if ((last === "x" ? "X" : last) !== check) return "has a wrong check character (MOD 11-2)";
  if (idNumber.charCodeAt(0) === ZERO) return "has no region code";
  return dayAt(idNumber, 6) === NO_DAY ? "has no valid date of birth" : "";
}
