// The world that every case runs in, from one seed: an organisation, terminals, a catalogue with
// one item, cards. Card numbers are made from their index, so that server and load generator agree
// on them without a list.

import {
  CARD_EVENT_SIZE,
  COMMAND,
  LIST_ADD,
  LIST_ENTRY_SIZE,
  TERMINAL_SIZE,
  writeCardEvent,
  writeListEntry,
  writeTerminal,
} from "../engine/commands.js";
import {
  CARD_EVENT,
  CARD_STATUS,
  LIST_CAUSE,
  LIST_SCOPE,
  LIST_SUBJECT,
  PARTY_STATUS,
} from "../engine/domain.js";
import { checkValue } from "../protocol/kdf.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import {
  luhnDigit,
  PAN_BLOCK_SIZE,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  PAN_KIND_OFFSET,
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

const ORGANISATION = {
  organisationId: 1,
  name: "bench",
  regionCode: 460000,
  parentId: 0,
  domains: ["transport"],
  status: "open",
};
const CATALOGUE = {
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
      organisationId: ORGANISATION.organisationId,
      regions: [46],
      media: ["chip", "electronic"],
      startDate: 20200101,
      endDate: 0,
      amountMinorMax: 100_000,
    },
  ],
};
const LIST_ENTRY = {
  subjectId: 0,
  subjectKind: LIST_SUBJECT.CARD,
  action: LIST_ADD,
  scopeKind: LIST_SCOPE.ALL,
  cause: LIST_CAUSE.LOST,
  scopeValue: 0,
  prefixDigits: 0,
  entryId: 0,
  fromTime: 0,
  untilTime: 0,
  organisationId: 0,
};

export function terminalIdOf(index: number): number {
  return 1000 + index;
}

/** Each terminal has a master key of its own. */
export function masterKeyOf(terminalId: number): Buffer {
  const key = Buffer.alloc(16, 0x5a);
  key.writeUInt32LE(terminalId, 0);
  return key;
}

const ISSUER = "621999";
const SERIAL_DIGITS = 12;
/** Cards from here on are in no world: those that a blacklist names. */
const FOREIGN_CARDS = 500_000_000_000;

/** Card number of card `index`: 19 digits with a correct check digit. */
export function panOf(index: number): string {
  const digits = ISSUER + String(index).padStart(SERIAL_DIGITS, "0");
  return digits + luhnDigit(digits);
}

const CARD_BLOCK = Buffer.alloc(PAN_BLOCK_SIZE);
writePanBlock(CARD_BLOCK, 0, panOf(0), PAN_KIND_CARD);
/** The first byte after the issuer's digits: one for their count, three for them. */
const SERIAL_OFFSET = 4;
const SERIAL_BYTES = SERIAL_DIGITS / 2;
const ISSUER_SUM = luhnSum(ISSUER);

/** Writes the number block of card `index`: that of `panOf(index)`, several times faster. */
export function writeCardBlock(bytes: Uint8Array, offset: number, index: number): void {
  bytes.set(CARD_BLOCK, offset);
  let sum = ISSUER_SUM;
  let rest = index;
  for (let i = SERIAL_BYTES - 1; i >= 0; i--) {
    const pair = rest % 100;
    rest = Math.floor(rest / 100);
    const high = Math.floor(pair / 10);
    const low = pair % 10;
    bytes[offset + SERIAL_OFFSET + i] = (high << 4) | low;
    sum += high + (low > 4 ? low * 2 - 9 : low * 2);
  }
  const check = (10 - (sum % 10)) % 10;
  bytes[offset + SERIAL_OFFSET + SERIAL_BYTES] = (check << 4) | 0xf;
}

/** What the digits before an even number of others add to a check sum. */
function luhnSum(digits: string): number {
  return (10 - luhnDigit(digits)) % 10;
}

/** Puts the parties of the world into a node: organisation, catalogue, terminals. */
export async function seedParties(
  sink: CommandSink,
  vault: KeyVault,
  terminalCount: number,
): Promise<void> {
  await document(sink, COMMAND.ORGANISATION, ORGANISATION);
  await document(sink, COMMAND.CATALOGUE, CATALOGUE);
  await seed(sink, COMMAND.TERMINAL, TERMINAL_SIZE, terminalCount, (bytes, from, count) => {
    for (let i = 0; i < count; i++) {
      const terminalId = terminalIdOf(from + i);
      const masterKey = masterKeyOf(terminalId);
      writeTerminal(bytes, i * TERMINAL_SIZE, {
        terminalId,
        organisationId: ORGANISATION.organisationId,
        regionCode: REGION_CODE,
        domains: TRANSPORT_MASK,
        concentratorId: 0,
        status: PARTY_STATUS.OPEN,
        macAlgorithm: MAC_ALGORITHM.AES_128_CMAC,
        masterKeyVersion: MASTER_KEY_VERSION,
        checkValue: checkValue(MAC_ALGORITHM.AES_128_CMAC, masterKey),
        wrappedKey: vault.wrapKey(masterKey),
      });
    }
  });
}

/** Puts active chip cards 0 to cardCount - 1 into a node, each with a holder of its own. */
export function seedCards(sink: CommandSink, vault: KeyVault, cardCount: number): Promise<void> {
  const blocks = new Uint8Array(2 * PAN_BLOCK_SIZE * COMMANDS_PER_BATCH_MAX);
  return seed(sink, COMMAND.CARD_EVENT, CARD_EVENT_SIZE, cardCount, (bytes, from, count) => {
    writeCards(bytes, blocks, vault, from, count);
  });
}

function writeCards(
  bytes: Uint8Array,
  blocks: Uint8Array,
  vault: KeyVault,
  from: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const card = i * 2 * PAN_BLOCK_SIZE;
    writeCardBlock(blocks, card, from + i);
    writeCardBlock(blocks, card + PAN_BLOCK_SIZE, from + i);
    blocks[card + PAN_BLOCK_SIZE + PAN_KIND_OFFSET] = PAN_KIND_ID_NUMBER;
  }
  const tokens = vault.tokenize(blocks.subarray(0, count * 2 * PAN_BLOCK_SIZE));
  for (let i = 0; i < count; i++) {
    const card = i * 2 * PAN_BLOCK_SIZE;
    const holder = card + PAN_BLOCK_SIZE;
    writeCardEvent(bytes, i * CARD_EVENT_SIZE, {
      token: tokens.subarray(card, holder),
      holderToken: tokens.subarray(holder, holder + PAN_BLOCK_SIZE),
      previousToken: null,
      regionCode: REGION_CODE,
      event: CARD_EVENT.LOAD,
      medium: MEDIUM_CHIP,
      status: CARD_STATUS.ACTIVE,
      expiryDay: EXPIRY_DAY,
      organisationId: 0,
    });
  }
}

/** Puts entries `first` to first + count - 1 on the blacklist: they name cards of no load. */
export function seedBlacklist(
  sink: CommandSink,
  vault: KeyVault,
  first: number,
  count: number,
): Promise<void> {
  const blocks = new Uint8Array(PAN_BLOCK_SIZE * COMMANDS_PER_BATCH_MAX);
  return seed(sink, COMMAND.LIST_ENTRY, LIST_ENTRY_SIZE, count, (bytes, from, batchCount) => {
    for (let i = 0; i < batchCount; i++) {
      writeCardBlock(blocks, i * PAN_BLOCK_SIZE, FOREIGN_CARDS + first + from + i);
    }
    const tokens = vault.tokenize(blocks.subarray(0, batchCount * PAN_BLOCK_SIZE));
    for (let i = 0; i < batchCount; i++) {
      const subjectToken = tokens.subarray(i * PAN_BLOCK_SIZE, (i + 1) * PAN_BLOCK_SIZE);
      writeListEntry(bytes, i * LIST_ENTRY_SIZE, { ...LIST_ENTRY, subjectToken });
    }
  });
}

async function seed(
  sink: CommandSink,
  kind: number,
  size: number,
  total: number,
  write: (bytes: Uint8Array, from: number, count: number) => void,
): Promise<void> {
  const running: Promise<void>[] = [];
  for (let from = 0; from < total; from += COMMANDS_PER_BATCH_MAX) {
    const count = Math.min(COMMANDS_PER_BATCH_MAX, total - from);
    const bytes = new Uint8Array(count * size);
    write(bytes, from, count);
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
