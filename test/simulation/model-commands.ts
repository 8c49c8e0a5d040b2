// What the auditor expects of a command: done or refused with which outcome, and what it changes.

import type { Model, ModelCard, ModelItem, ModelListRow } from "./model.js";
import { dayOf } from "./model.js";

/** What a command is meant to do, in clear. The office writes it down beside the bytes. */
export type Intent =
  | {
      kind: "card";
      event: number;
      pan: string;
      holder: string;
      previous: string;
      regionCode: number;
      medium: number;
      status: number;
      expiryDay: number;
    }
  | ({ kind: "list-add"; entryId: number } & ModelListRow)
  | { kind: "list-remove"; entryId: number }
  | {
      kind: "terminal";
      terminalId: number;
      organisationId: number;
      regionCode: number;
      domains: number;
      concentratorId: number;
      open: boolean;
      macAlgorithm: number;
      keyVersion: number;
      keyHex: string;
    }
  | {
      kind: "organisation";
      organisationId: number;
      domains: number;
      open: boolean;
      text: string;
    }
  | {
      kind: "catalogue";
      version: number;
      effectiveDate: number;
      items: ModelItem[];
      text: string;
    };

const DONE = "DONE";
const UNCHANGED = "UNCHANGED";
const LOAD = 0;
const ISSUE = 1;
const REPLACE = 6;
const ISSUED = 1;
const ACTIVE = 2;
const LOST_TEMPORARY = 3;
const LOST = 4;
const SEALED = 5;
const LOCKED = 6;
const REPLACED = 7;
const CANCELLED = 8;
/** By event: states it leads from, and the state it leads to (article 7). */
const CARD_STEPS: Record<number, [number[], number]> = {
  2: [[ISSUED], ACTIVE],
  3: [[ISSUED, ACTIVE], LOST_TEMPORARY],
  4: [[ISSUED, ACTIVE, LOST_TEMPORARY], LOST],
  5: [[LOST_TEMPORARY, LOST], ACTIVE],
  7: [[ISSUED, ACTIVE, LOST_TEMPORARY, LOST, SEALED, LOCKED], CANCELLED],
};

/** Executes a command that would take `position`; returns the name of its outcome. */
export function execute(model: Model, intent: Intent, position: number): string {
  switch (intent.kind) {
    case "card":
      return [LOAD, ISSUE, REPLACE].includes(intent.event)
        ? addCard(model, intent)
        : changeCard(model, intent);
    case "list-add":
      return addEntry(model, intent, position);
    case "list-remove":
      if (!model.entries.delete(intent.entryId)) return "ENTRY_UNKNOWN";
      model.blacklistPosition = position;
      return DONE;
    case "terminal":
      return setTerminal(model, intent);
    case "organisation": {
      if (model.organisations.get(intent.organisationId)?.text === intent.text) return UNCHANGED;
      model.organisations.set(intent.organisationId, { ...intent });
      return DONE;
    }
    case "catalogue":
      return publish(model, intent);
  }
}

type CardIntent = Extract<Intent, { kind: "card" }>;

function addCard(model: Model, c: CardIntent): string {
  const existing = model.cards.get(c.pan);
  if (existing !== undefined) {
    if (existing.holder !== c.holder) return "HOLDER_DIFFERS";
    const same = existing.medium === c.medium && existing.expiryDay === c.expiryDay;
    return same ? UNCHANGED : "CARD_EXISTS";
  }
  const previous = model.cards.get(c.previous);
  if (c.event === REPLACE) {
    if (previous === undefined) return "PREVIOUS_CARD_UNKNOWN";
    if (previous.holder !== c.holder) return "HOLDER_DIFFERS";
    if (previous.medium !== c.medium || ended(previous)) return "TRANSITION_NOT_ALLOWED";
    end(model, previous, REPLACED);
  } else if (c.event === ISSUE && c.medium === 2 && chipCount(model, c.holder) === 0) {
    return "HOLDER_WITHOUT_CARD";
  }
  const status = c.event === LOAD ? c.status : ISSUED;
  const card = {
    status,
    activated: status !== ISSUED,
    medium: c.medium,
    expiryDay: c.expiryDay,
    regionCode: c.regionCode,
    holder: c.holder,
    useCount: 0,
    amountMinorTotal: 0,
    lastUseTime: 0,
    lastUseTerminalId: 0,
  };
  model.cards.set(c.pan, card);
  model.holders.set(c.holder, chipCount(model, c.holder));
  if (!ended(card)) countChip(model, card, 1);
  return DONE;
}

function changeCard(model: Model, c: CardIntent): string {
  const card = model.cards.get(c.pan);
  if (card === undefined) return "CARD_UNKNOWN";
  const [from, leadsTo] = CARD_STEPS[c.event]!;
  // A card that is found again is what it was: one never activated is not active by that.
  const to = c.event === 5 && !card.activated ? ISSUED : leadsTo;
  if (card.status === to) return UNCHANGED;
  if (!from.includes(card.status)) return "TRANSITION_NOT_ALLOWED";
  if (to === CANCELLED) end(model, card, to);
  card.status = to;
  if (to === ACTIVE) card.activated = true;
  return DONE;
}

function end(model: Model, card: ModelCard, status: number): void {
  card.status = status;
  countChip(model, card, -1);
}

function ended(card: ModelCard): boolean {
  return card.status === REPLACED || card.status === CANCELLED;
}

function chipCount(model: Model, holder: string): number {
  return model.holders.get(holder) ?? 0;
}

function countChip(model: Model, card: ModelCard, by: number): void {
  if (card.medium === 1) model.holders.set(card.holder, chipCount(model, card.holder) + by);
}

function addEntry(
  model: Model,
  c: Extract<Intent, { kind: "list-add" }>,
  position: number,
): string {
  const rows = model.entries.get(c.entryId) ?? [];
  for (const row of rows) {
    if (!sameTerms(row, c)) return "ENTRY_EXISTS";
    if (row.subject === c.subject) return UNCHANGED;
    if (c.subjectKind !== 3) return "ENTRY_EXISTS";
  }
  let entryId = c.entryId === 0 ? position : c.entryId;
  while (c.entryId === 0 && model.entries.has(entryId)) entryId++;
  model.entries.set(entryId, [...rows, { ...c }]);
  model.blacklistPosition = position;
  return DONE;
}

function sameTerms(a: ModelListRow, b: ModelListRow): boolean {
  const terms = (row: ModelListRow) => [
    ...[row.subjectKind, row.scopeKind, row.scopeValue, row.cause],
    ...[row.fromTime, row.untilTime, row.organisationId],
  ];
  return terms(a).join() === terms(b).join();
}

function setTerminal(model: Model, c: Extract<Intent, { kind: "terminal" }>): string {
  if (!model.organisations.has(c.organisationId)) return "ORGANISATION_UNKNOWN";
  if (c.concentratorId !== 0 && !model.terminals.has(c.concentratorId)) {
    return "CONCENTRATOR_UNKNOWN";
  }
  const existing = model.terminals.get(c.terminalId);
  if (existing === undefined && c.keyVersion === 0) return "MASTER_KEY_MISSING";
  const terms = (t: Omit<typeof c, "kind" | "keyVersion" | "keyHex" | "terminalId">) =>
    [t.organisationId, t.regionCode, t.domains, t.concentratorId, t.open, t.macAlgorithm].join();
  const newest = existing?.keys[0];
  const sameKey =
    c.keyVersion === 0 || (newest?.version === c.keyVersion && newest.hex === c.keyHex);
  if (existing !== undefined && sameKey && terms(existing) === terms(c)) return UNCHANGED;
  const key = { version: c.keyVersion, hex: c.keyHex };
  const kept = (existing?.keys ?? []).filter(({ version }) => version !== c.keyVersion);
  const keys = c.keyVersion === 0 ? existing!.keys : [key, ...kept].slice(0, 2);
  model.terminals.set(c.terminalId, { ...c, keys });
  if (!sameKey) endSessions(model, c.terminalId, keys[1]?.version ?? 0);
  return DONE;
}

/** A session lives no longer than its master key: only those under the key before stay. */
function endSessions(model: Model, terminalId: number, keyVersion: number): void {
  const session = model.sessions.get(terminalId);
  const { current, previous } = session ?? { current: null, previous: null };
  const ended = current?.keyVersion !== keyVersion;
  if (current !== null && ended) current.expiresAt = 0;
  if (previous !== null && (ended || previous.keyVersion !== keyVersion)) previous.expiresAt = 0;
}

function publish(model: Model, c: Extract<Intent, { kind: "catalogue" }>): string {
  const stored = model.catalogues.find(({ version }) => version === c.version);
  if (stored !== undefined) {
    return stored.text === c.text ? UNCHANGED : "CATALOGUE_VERSION_EXISTS";
  }
  if (c.version < (model.catalogues.at(-1)?.version ?? 0)) return "CATALOGUE_VERSION_EXISTS";
  if (!c.items.every((item) => model.organisations.has(item.organisationId))) {
    return "ORGANISATION_UNKNOWN";
  }
  model.publish({
    version: c.version,
    effectiveDay: dayOf(c.effectiveDate),
    items: new Map(c.items.map((item) => [item.itemCode, item])),
    text: c.text,
  });
  return DONE;
}
