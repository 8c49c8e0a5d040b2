// Commands as the office writes them: the bytes that go to the core and, beside them, in clear,
// what they mean, for the auditor.

import {
  CARD_EVENT_SIZE,
  COMMAND,
  LIST_ADD,
  LIST_ENTRY_SIZE,
  LIST_REMOVE,
  TERMINAL_SIZE,
  writeCardEvent,
  writeListEntry,
  writeTerminal,
} from "../../engine/commands.js";
import { DOMAINS } from "../../engine/domain.js";
import { checkValue } from "../../protocol/kdf.js";
import {
  luhnDigit,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  PAN_KIND_PREFIX,
  writePanBlock,
} from "../../protocol/pan.js";
import type { KeyVault } from "../../src/vault.js";
import type { ModelItem } from "./model.js";
import { dateOf, dayOf } from "./model.js";
import type { Intent } from "./model-commands.js";

export interface Order {
  kind: number;
  bytes: Uint8Array;
  intent: Intent;
}

/** A card number with a right check digit; cards of one group share their first digits. */
export function panOf(index: number): string {
  const digits = `62${30 + (index % 7)}${String(index).padStart(10, "0")}`;
  return digits + luhnDigit(digits);
}

export function holderOf(index: number): string {
  return `46010519900101${String(index).padStart(4, "0")}`;
}

/** Media by card: every fifth is electronic. */
export function mediumOf(index: number): number {
  return index % 5 === 4 ? 2 : 1;
}

function token(vault: KeyVault, digits: string, kind: number): Uint8Array {
  const block = new Uint8Array(16);
  writePanBlock(block, 0, digits, kind);
  return vault.tokenize(block);
}

export function cardOrder(vault: KeyVault, c: Extract<Intent, { kind: "card" }>): Order {
  const bytes = new Uint8Array(CARD_EVENT_SIZE);
  const holder = c.holder === "" ? null : token(vault, c.holder, PAN_KIND_ID_NUMBER);
  const previous = c.previous === "" ? null : token(vault, c.previous, PAN_KIND_CARD);
  writeCardEvent(bytes, 0, {
    ...c,
    token: token(vault, c.pan, PAN_KIND_CARD),
    holderToken: holder,
    previousToken: previous,
    organisationId: 1,
  });
  return { kind: COMMAND.CARD_EVENT, bytes, intent: c };
}

const SUBJECT_KINDS = [0, PAN_KIND_CARD, PAN_KIND_ID_NUMBER, PAN_KIND_PREFIX];

export function entryOrder(vault: KeyVault, c: Extract<Intent, { kind: "list-add" }>): Order {
  const bytes = new Uint8Array(LIST_ENTRY_SIZE);
  const byId = c.subjectKind >= 4;
  writeListEntry(bytes, 0, {
    ...c,
    action: LIST_ADD,
    subjectToken: byId ? null : token(vault, c.subject, SUBJECT_KINDS[c.subjectKind]!),
    subjectId: byId ? Number(c.subject) : 0,
    prefixDigits: c.subjectKind === 3 ? c.subject.length : 0,
  });
  return { kind: COMMAND.LIST_ENTRY, bytes, intent: c };
}

export function removeOrder(entryId: number): Order {
  const bytes = new Uint8Array(LIST_ENTRY_SIZE);
  writeListEntry(bytes, 0, {
    subjectToken: null,
    subjectId: 0,
    subjectKind: 0,
    action: LIST_REMOVE,
    scopeKind: 0,
    cause: 0,
    scopeValue: 0,
    prefixDigits: 0,
    entryId,
    fromTime: 0,
    untilTime: 0,
    organisationId: 0,
  });
  return { kind: COMMAND.LIST_ENTRY, bytes, intent: { kind: "list-remove", entryId } };
}

export function terminalOrder(vault: KeyVault, c: Extract<Intent, { kind: "terminal" }>): Order {
  const bytes = new Uint8Array(TERMINAL_SIZE);
  const key = c.keyVersion === 0 ? null : Buffer.from(c.keyHex, "hex");
  writeTerminal(bytes, 0, {
    ...c,
    status: c.open ? 1 : 2,
    masterKeyVersion: c.keyVersion,
    checkValue: key === null ? null : checkValue(c.macAlgorithm, key),
    wrappedKey: key === null ? null : vault.wrapKey(key),
  });
  return { kind: COMMAND.TERMINAL, bytes, intent: c };
}

export function organisationOrder(organisationId: number, domains: number, open: boolean): Order {
  const text = JSON.stringify({
    organisationId,
    name: `office ${organisationId}`,
    regionCode: 460_000,
    parentId: 0,
    domains: DOMAINS.filter((name, i) => name !== "" && (domains & (1 << i)) !== 0),
    status: open ? "open" : "closed",
  });
  const intent: Intent = { kind: "organisation", organisationId, domains, open, text };
  return { kind: COMMAND.ORGANISATION, bytes: new TextEncoder().encode(text), intent };
}

export function catalogueOrder(version: number, effectiveDate: number, items: ModelItem[]): Order {
  const text = JSON.stringify({
    version,
    effectiveDate,
    items: items.map((item) => ({
      itemCode: item.itemCode,
      name: `item ${item.itemCode}`,
      nameEn: `item ${item.itemCode}`,
      function: `function ${item.itemCode}`,
      kind: "identity",
      domain: DOMAINS[item.domain],
      organisationId: item.organisationId,
      regions: item.regions,
      media: item.media.map((medium) => (medium === 1 ? "chip" : "electronic")),
      startDate: dateOf(item.startDay),
      endDate: item.endDay === 65_535 ? 0 : dateOf(item.endDay),
      amountMinorMax: item.amountMinorMax,
    })),
  });
  const intent: Intent = { kind: "catalogue", version, effectiveDate, items, text };
  return { kind: COMMAND.CATALOGUE, bytes: new TextEncoder().encode(text), intent };
}

/** Items 1 to 8 around `today`: each ends or is limited in another way. */
export function itemsOf(today: number, amountMinorMax: number, organisationId = 1): ModelItem[] {
  const item = (itemCode: number, changes: Partial<ModelItem>): ModelItem => ({
    itemCode,
    organisationId,
    domain: 3,
    regions: [46],
    media: [1, 2],
    startDay: dayOf(20_200_101),
    endDay: 65_535,
    amountMinorMax,
    ...changes,
  });
  return [
    item(1, {}),
    item(2, { media: [1] }),
    item(3, { startDay: today + 1 }),
    item(4, { endDay: today }),
    item(5, { domain: 2 }),
    item(6, { regions: [4602, 460_105] }),
    item(7, { domain: 6 }),
    item(8, { media: [2], amountMinorMax: 100 }),
  ];
}
