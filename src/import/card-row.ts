// Card rows: a card of an existing system taken over as it is (CARD_EVENT LOAD).

import {
  type CardEventCommand,
  type CardEventFields,
  COMMAND,
  writeCardAndHolder,
} from "../../engine/commands.js";
import { CARD_EVENT, CARD_STATUS } from "../../engine/domain.js";
import {
  PAN_BLOCK_SIZE,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  writePanBlock,
} from "../../protocol/pan.js";
import { MEDIUM_CHIP, MEDIUM_ELECTRONIC } from "../../protocol/use-record.js";
import { idNumberFault } from "../id-number.js";
import type { KeyVault } from "../vault.js";
import { type Assembly, fieldsOf } from "./assembly.js";
import {
  BAD,
  type Checked,
  dayOfField,
  type Fields,
  fault,
  good,
  namesOf,
  panFault,
  regionOf,
  textOf,
  wholeOf,
} from "./fields.js";

interface CardLoad extends CardEventFields {
  cardNumber: string;
  idNumber: string;
}

const COLUMNS = [
  "cardNumber",
  "idNumber",
  "medium",
  "status",
  "regionCode",
  "expiryDate",
  "organisationId",
] as const;
const BLOCKS_PER_CARD = 2;

/** Our names and the codes of AAZ502: 0 sealed, 1 normal, 2 and 4 losses, 3 locked, other new. */
const STATUSES = namesOf(CARD_STATUS);
const AAZ502 = [
  CARD_STATUS.SEALED,
  CARD_STATUS.ACTIVE,
  CARD_STATUS.LOST,
  CARD_STATUS.LOCKED,
  CARD_STATUS.LOST_TEMPORARY,
];
for (let code = 0; code <= 9; code++) {
  STATUSES.set(String(code), AAZ502[code] ?? CARD_STATUS.ISSUED);
}
const MEDIA = new Map([
  ["chip", MEDIUM_CHIP],
  ["electronic", MEDIUM_ELECTRONIC],
]);

export const CARD_ASSEMBLY: Assembly<CardLoad> = {
  kind: COMMAND.CARD_EVENT,
  columns: COLUMNS,
  required: COLUMNS.slice(0, 6),
  check,
  blockCount: () => BLOCKS_PER_CARD,
  writeBlocks(card, blocks, offset) {
    writePanBlock(blocks, offset, card.cardNumber, PAN_KIND_CARD);
    writePanBlock(blocks, offset + PAN_BLOCK_SIZE, card.idNumber, PAN_KIND_ID_NUMBER);
  },
  commandCount: () => 1,
  writeCommands(card, tokens, tokenOffset, bytes, offset) {
    writeCardAndHolder(bytes, offset, tokens, tokenOffset, card);
  },
};

/** A card row as the command that loads it. `row` has the columns of a card file. */
export function toCardCommand(
  row: Readonly<Record<string, unknown>>,
  vault: KeyVault,
): Checked<CardEventCommand> {
  const checked = check(fieldsOf(COLUMNS, row));
  if (!checked.ok) return checked;
  const blocks = new Uint8Array(BLOCKS_PER_CARD * PAN_BLOCK_SIZE);
  CARD_ASSEMBLY.writeBlocks(checked.value, blocks, 0);
  const tokens = vault.tokenize(blocks);
  const { cardNumber: _, idNumber: __, ...fields } = checked.value;
  return good({
    ...fields,
    token: tokens.subarray(0, PAN_BLOCK_SIZE),
    holderToken: tokens.subarray(PAN_BLOCK_SIZE),
    previousToken: null,
  });
}

function check(fields: Fields): Checked<CardLoad> {
  const panProblem = panFault(fields[0]);
  if (panProblem !== "") return fault("cardNumber", panProblem);
  const idNumber = textOf(fields[1]);
  const idProblem = idNumberFault(idNumber);
  if (idProblem !== "") return fault("idNumber", idProblem);
  const medium = MEDIA.get(textOf(fields[2]));
  if (medium === undefined) return fault("medium", "is neither chip nor electronic");
  const status = STATUSES.get(textOf(fields[3]));
  if (status === undefined) return fault("status", "is no card status (name or AAZ502 code)");
  const regionCode = regionOf(fields[4]);
  if (regionCode === BAD) return fault("regionCode", "is no GB/T 2260 code of 2, 4 or 6 digits");
  const expiryDay = dayOfField(fields[5]);
  if (expiryDay === BAD) return fault("expiryDate", "is no date (YYYYMMDD or YYYY-MM-DD)");
  const organisationId = wholeOf(fields[6], 0);
  if (organisationId === BAD) return fault("organisationId", "is no whole number");
  const cardNumber = textOf(fields[0]);
  const event = CARD_EVENT.LOAD;
  return good({
    cardNumber,
    idNumber,
    event,
    medium,
    status,
    regionCode,
    expiryDay,
    organisationId,
  });
}
