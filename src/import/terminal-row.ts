// Terminal rows. Master keys come wrapped (RFC 3394) under a key-exchange key and are wrapped anew
// by the vault; one in clear is refused, for it would stand in a file.

import { COMMAND, type TerminalCommand, writeTerminal } from "../../engine/commands.js";
import { DOMAINS } from "../../engine/domain.js";
import { TERMINAL_ID_MAX } from "../../protocol/frame.js";
import { checkValue } from "../../protocol/kdf.js";
import {
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type MacAlgorithmName,
} from "../../protocol/mac-algorithms.js";
import { unwrapHex } from "../key-wrap.js";
import { type Assembly, fieldsOf, type ImportContext } from "./assembly.js";
import {
  BAD,
  type Checked,
  domainsOf,
  type Fields,
  fault,
  good,
  partyStatusOf,
  regionOf,
  textOf,
  wholeOf,
} from "./fields.js";

const COLUMNS = [
  "terminalId",
  "organisationId",
  "regionCode",
  "domains",
  "concentratorId",
  "status",
  "macAlgorithm",
  "masterKeyVersion",
  "masterKeyWrapped",
  "checkValue",
  "masterKey",
] as const;
interface MasterKey {
  masterKeyVersion: number;
  checkValue: Uint8Array | null;
  wrappedKey: Uint8Array | null;
}

export const TERMINAL_ASSEMBLY: Assembly<TerminalCommand> = {
  kind: COMMAND.TERMINAL,
  columns: COLUMNS,
  required: ["terminalId", "organisationId", "regionCode", "domains"],
  check,
  blockCount: () => 0,
  writeBlocks: () => undefined,
  commandCount: () => 1,
  writeCommands(command, _tokens, _tokenOffset, bytes, offset) {
    writeTerminal(bytes, offset, command);
  },
};

/** A terminal row as the command that adds or changes the terminal. */
export function toTerminalCommand(
  row: Readonly<Record<string, unknown>>,
  context: ImportContext,
): Checked<TerminalCommand> {
  return check(fieldsOf(COLUMNS, row), context);
}

function check(fields: Fields, context: ImportContext): Checked<TerminalCommand> {
  if (textOf(fields[10]) !== "") {
    return fault("masterKey", "is a key in clear: give it wrapped, as masterKeyWrapped");
  }
  const terminalId = wholeOf(fields[0], BAD);
  if (terminalId < 1 || terminalId > TERMINAL_ID_MAX) {
    return fault("terminalId", "is not 1 to 99999999");
  }
  const organisationId = wholeOf(fields[1], BAD);
  if (organisationId < 1) return fault("organisationId", "is no identifier");
  const regionCode = regionOf(fields[2]);
  if (regionCode === BAD) return fault("regionCode", "is no GB/T 2260 code of 2, 4 or 6 digits");
  const domains = domainsOf(fields[3]);
  if (domains === null) return fault("domains", "are no known domains parted by |");
  const concentratorId = wholeOf(fields[4], 0);
  if (concentratorId === BAD || concentratorId > TERMINAL_ID_MAX) {
    return fault("concentratorId", "is not 1 to 99999999");
  }
  const status = partyStatusOf(fields[5]);
  if (status === BAD) return fault("status", "is neither open nor closed");
  const algorithmName = textOf(fields[6]) || "aes-128-cmac";
  const macAlgorithm = MAC_ALGORITHM_NAMES.indexOf(algorithmName as MacAlgorithmName);
  if (macAlgorithm < 1) return fault("macAlgorithm", "is no known MAC algorithm");
  const key = masterKeyOf(fields, macAlgorithm, context);
  if (!key.ok) return key;
  const mask = domains.reduce((bits, name) => bits | (1 << DOMAINS.indexOf(name)), 0);
  return good({
    terminalId,
    organisationId,
    regionCode,
    domains: mask,
    concentratorId,
    status,
    macAlgorithm,
    ...key.value,
  });
}

function masterKeyOf(
  fields: Fields,
  macAlgorithm: number,
  context: ImportContext,
): Checked<MasterKey> {
  const wrapped = textOf(fields[8]);
  if (wrapped === "") return good({ masterKeyVersion: 0, checkValue: null, wrappedKey: null });
  const masterKeyVersion = wholeOf(fields[7], 1);
  if (masterKeyVersion < 1) return fault("masterKeyVersion", "is not 1 or more");
  if (context.kek === null) return fault("masterKeyWrapped", "needs the key-exchange key");
  const key = unwrapHex(wrapped, context.kek);
  if (key === null) {
    return fault("masterKeyWrapped", "was not wrapped under this key-exchange key");
  }
  if (key.length !== MAC_KEY_SIZES[macAlgorithm]) {
    key.fill(0);
    return fault("masterKeyWrapped", "is not of the size its MAC algorithm takes");
  }
  const value = checkValue(macAlgorithm, key);
  const expected = textOf(fields[9]).toLowerCase();
  const wrappedKey = context.vault.wrapKey(key);
  key.fill(0);
  if (expected !== "" && expected !== Buffer.from(value).toString("hex")) {
    return fault("checkValue", "is not that of the key");
  }
  return good({ masterKeyVersion, checkValue: value, wrappedKey });
}
