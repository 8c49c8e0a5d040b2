// The world that every case runs in, from one seed: an organisation, terminals, a catalogue with
// one item, cards. Card numbers are made from their index, so that server and load generator agree
// on them without a list.

import {
  CARD_EVENT_SIZE,
  COMMAND,
  TERMINAL_SIZE,
  writeCardEvent,
  writeTerminal,
} from "../engine/commands.js";
import { CARD_EVENT, CARD_STATUS, PARTY_STATUS } from "../engine/domain.js";
import { checkValue } from "../protocol/kdf.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import {
  luhnDigit,
  PAN_BLOCK_SIZE,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  writePanBlock,
} from "../protocol/pan.js";
import { MEDIUM_CHIP } from "../protocol/use-record.js";
import { COMMANDS_PER_BATCH_MAX, type CommandSink } from "../src/command-sink.js";
import type { KeyVault } from "../src/vault.js";

export const ITEM_CODE = 101;
export const AMOUNT_MINOR = 200;
export const MASTER_KEY_VERSION = 1;
const REGION_CODE = 460105;
const TRANSPORT_MASK = 1 << 3;
const EXPIRY_DAY = 40_000;
const BATCHES_IN_FLIGHT = 8;

export function terminalIdOf(index: number): number {
  return 1000 + index;
}

/** Each terminal has a master key of its own. */
export function masterKeyOf(terminalId: number): Buffer {
  const key = Buffer.alloc(16, 0x5a);
  key.writeUInt32LE(terminalId, 0);
  return key;
}

/** Card number of card `index`: 19 digits with a correct check digit. */
export function panOf(index: number): string {
  const digits = `621999${String(index).padStart(12, "0")}`;
  return digits + luhnDigit(digits);
}

/** Puts the world into an empty node: `terminalCount` terminals, `cardCount` active chip cards. */
export async function seedWorld(
  sink: CommandSink,
  vault: KeyVault,
  terminalCount: number,
  cardCount: number,
): Promise<void> {
  await document(sink, COMMAND.ORGANISATION, {
    organisationId: 1,
    name: "bench",
    regionCode: 460000,
    parentId: 0,
    domains: ["transport"],
    status: "open",
  });
  await document(sink, COMMAND.CATALOGUE, {
    version: 1,
    effectiveDate: 20200101,
    items: [
      {
        itemCode: ITEM_CODE,
        name: "公交",
        nameEn: "bus ride",
        function: "bus",
        kind: "identity",
        domain: "transport",
        organisationId: 1,
        regions: [46],
        media: ["chip", "electronic"],
        startDate: 20200101,
        endDate: 0,
        amountMinorMax: 100_000,
      },
    ],
  });
  await seed(sink, COMMAND.TERMINAL, TERMINAL_SIZE, terminalCount, (bytes, offset, i) => {
    const terminalId = terminalIdOf(i);
    const masterKey = masterKeyOf(terminalId);
    writeTerminal(bytes, offset, {
      terminalId,
      organisationId: 1,
      regionCode: REGION_CODE,
      domains: TRANSPORT_MASK,
      concentratorId: 0,
      status: PARTY_STATUS.OPEN,
      macAlgorithm: MAC_ALGORITHM.AES_128_CMAC,
      masterKeyVersion: MASTER_KEY_VERSION,
      checkValue: checkValue(MAC_ALGORITHM.AES_128_CMAC, masterKey),
      wrappedKey: vault.wrapKey(masterKey),
    });
  });
  await seedCards(sink, vault, cardCount);
}

async function seedCards(sink: CommandSink, vault: KeyVault, cardCount: number): Promise<void> {
  const blocks = new Uint8Array(2 * PAN_BLOCK_SIZE);
  await seed(sink, COMMAND.CARD_EVENT, CARD_EVENT_SIZE, cardCount, (bytes, offset, i) => {
    writePanBlock(blocks, 0, panOf(i), PAN_KIND_CARD);
    writePanBlock(blocks, PAN_BLOCK_SIZE, String(i).padStart(18, "0"), PAN_KIND_ID_NUMBER);
    const tokens = vault.tokenize(blocks);
    writeCardEvent(bytes, offset, {
      token: tokens.subarray(0, PAN_BLOCK_SIZE),
      holderToken: tokens.subarray(PAN_BLOCK_SIZE),
      previousToken: null,
      regionCode: REGION_CODE,
      event: CARD_EVENT.LOAD,
      medium: MEDIUM_CHIP,
      status: CARD_STATUS.ACTIVE,
      expiryDay: EXPIRY_DAY,
      organisationId: 0,
    });
  });
}

async function seed(
  sink: CommandSink,
  kind: number,
  size: number,
  total: number,
  write: (bytes: Uint8Array, offset: number, index: number) => void,
): Promise<void> {
  const running: Promise<void>[] = [];
  for (let from = 0; from < total; from += COMMANDS_PER_BATCH_MAX) {
    const count = Math.min(COMMANDS_PER_BATCH_MAX, total - from);
    const bytes = new Uint8Array(count * size);
    for (let i = 0; i < count; i++) write(bytes, i * size, from + i);
    running.push(sink.execute({ kind, count, bytes }).then(({ outcomes }) => allDone(outcomes)));
    if (running.length >= BATCHES_IN_FLIGHT) await running.shift();
  }
  await Promise.all(running);
}

async function document(sink: CommandSink, kind: number, value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  allDone((await sink.execute({ kind, count: 1, bytes })).outcomes);
}

function allDone(outcomes: Uint8Array): void {
  if (outcomes.some((outcome) => outcome !== 0)) throw new Error("the world was not taken");
}
