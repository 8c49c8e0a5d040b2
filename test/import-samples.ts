// What the tests of import share: good rows of every sort, and keys to read them with.

import { createCipheriv } from "node:crypto";
import { luhnDigit } from "../protocol/pan.js";
import { idNumberCheck } from "../src/id-number.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";

export const VAULT = new KeyVault(deriveVaultKeys(new Uint8Array(32).fill(9)));
export const KEK = Buffer.alloc(32, 5);

export function pan(index: number): string {
  const digits = `623071${String(index).padStart(12, "0")}`;
  return digits + luhnDigit(digits);
}

export function idNumber(index: number): string {
  const digits = `46010519900101${String(index % 1000).padStart(3, "0")}`;
  return digits + idNumberCheck(digits);
}

export const HEADER = "cardNumber,idNumber,medium,status,regionCode,expiryDate";
export function cardLine(index: number): string {
  return `${pan(index)},${idNumber(index)},chip,active,460105,20301231`;
}

export const GOOD_CARD = {
  cardNumber: pan(1),
  idNumber: idNumber(1),
  medium: "chip",
  status: "active",
  regionCode: 460105,
  expiryDate: "2030-12-31",
};
export const GOOD_ENTRY = { subjectKind: "card", subject: pan(1), scope: "all", cause: "stolen" };
export const GOOD_TERMINAL = {
  terminalId: 1_050_001,
  organisationId: 46_010_511,
  regionCode: "4601",
  domains: "transport|health",
  macAlgorithm: "aes-128-cmac",
  masterKeyVersion: 1,
  masterKeyWrapped: wrapped(Buffer.alloc(16, 3)),
};
export const GOOD_ORGANISATION = {
  organisationId: 1,
  name: "公交",
  regionCode: 46,
  domains: ["transport"],
};
export const GOOD_ITEM = {
  itemCode: 3_010_001,
  name: "公交乘车",
  nameEn: "Bus ride",
  function: "bus",
  kind: "identity",
  domain: "transport",
  organisationId: 1,
  regions: "46|4601",
  media: "chip|electronic",
  startDate: "2020-01-01",
  endDate: "",
  amountMinorMax: "1000",
};

export function wrapped(key: Uint8Array): string {
  const cipher = createCipheriv("id-aes256-wrap", KEK, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(key), cipher.final()]).toString("hex");
}
