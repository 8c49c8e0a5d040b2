// A terminal's master key as it comes from elsewhere: wrapped by RFC 3394 under a key-exchange key.
// Opened here only to know its check value before anything is sent.

import { checkValue } from "../../protocol/kdf.js";
import {
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type MacAlgorithmName,
} from "../../protocol/mac-algorithms.js";
import { unwrapHex } from "../key-wrap.js";
import { loadKeyExchangeKey } from "../root-key.js";
import { CliError } from "./cli-error.js";

/** The check value (hex) of a wrapped key. Throws CliError when it does not open or fit. */
export function checkValueOfWrapped(
  wrappedHex: string,
  kekFile: string,
  macAlgorithm: string,
): string {
  const number = MAC_ALGORITHM_NAMES.indexOf(macAlgorithm as MacAlgorithmName);
  const kek = loadKeyExchangeKey(kekFile);
  const key = unwrapHex(wrappedHex, kek);
  kek.fill(0);
  if (key === null) {
    throw new CliError(`--wrapped-key was not wrapped under the key in ${kekFile}`);
  }
  const fits = key.length === MAC_KEY_SIZES[number];
  const value = fits ? Buffer.from(checkValue(number, key)).toString("hex") : "";
  key.fill(0);
  if (!fits) throw new CliError(`--wrapped-key is not of the size that ${macAlgorithm} takes`);
  return value;
}
