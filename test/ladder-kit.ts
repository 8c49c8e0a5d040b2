// The rows of the ladder's text tables, read and made true in an engine of their own.
//
//   setup words, "key:value"     what differs from the usual state
//   request words, "key=value"   what differs from a use that is approved

import { dayOfDate } from "../engine/calendar.js";
import type { CatalogueItem } from "../engine/commands.js";
import {
  CARD_EVENT,
  CARD_STATUS,
  LIST_CAUSE,
  LIST_SCOPE,
  LIST_SUBJECT,
  PARTY_STATUS,
} from "../engine/domain.js";
import { USE_WORD } from "../engine/use.js";
import { MTI_REVERSAL_REQUEST } from "../protocol/mti.js";
import {
  type Answer,
  EngineKit,
  holderToken,
  ITEM,
  itemOf,
  pan,
  prefixToken,
  SENDER,
  TODAY,
  tokenOf,
  type UseFields,
} from "./engine-kit.js";

export const OTHER = SENDER + 1;
/** Organisation of a concentrator. */
const OFFICE = 2;
/** STAN of the request when the row does not say. */
const STAN = 9;
const SMALL = {
  cardsMax: 20,
  holdersMax: 20,
  terminalsMax: 4,
  blacklistMax: 10,
  usesPerDateMax: 6,
  sessionsMax: 4,
};

export interface Row {
  setup: Map<string, string>;
  request: Map<string, string>;
  reason: string;
  code: string;
  text: string;
}

/** Rows of a text table: "setup | request | REASON code". */
export function readTable(text: string): Row[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const [setup, request, answer] = line.split("|").map((cell) => cell.trim());
    const [reason, code] = answer!.split(/\s+/);
    return {
      setup: pairs(setup!, ":"),
      request: pairs(request!, "="),
      reason: reason!,
      code: code!,
      text: line.replaceAll(/\s+/g, " ").trim(),
    };
  });
}

/** Both rows at once, or null when they set the same thing. */
export function both(a: Row, b: Row): Row | null {
  const clash = (x: Map<string, string>, y: Map<string, string>) =>
    [...x.keys()].some((key) => y.has(key));
  if (clash(a.setup, b.setup) || clash(a.request, b.request)) return null;
  return {
    ...a,
    setup: new Map([...a.setup, ...b.setup]),
    request: new Map([...a.request, ...b.request]),
    text: `${a.text} && ${b.text}`,
  };
}

/** Makes the row's setup and asks its request. */
export function ask(row: Row, mti?: number): Answer {
  const kit = setUp(row.setup);
  const request = requestOf(row.request);
  if (mti !== undefined) request.mti = mti;
  return kit.use(request);
}

function setUp(words: Map<string, string>): EngineKit {
  const kit = new EngineKit(SMALL);
  const done = (outcome: string) => {
    if (outcome !== "DONE") throw new Error(`setup is ${outcome}`);
  };
  const open = words.get("organisation") === "closed" ? "closed" : "open";
  done(kit.organisation({ status: open }));
  const status = words.get("terminal") === "closed" ? PARTY_STATUS.CLOSED : PARTY_STATUS.OPEN;
  done(kit.terminal({ status }));
  done(kit.terminal({ terminalId: OTHER }));
  const concentrator = words.get("concentrator");
  if (concentrator !== undefined) concentrate(kit, concentrator).forEach(done);
  done(kit.catalogue(1, [itemFrom(words)]));
  loadCard(kit, words);
  for (const key of words.keys())
    if (key.startsWith("list-")) done(list(kit, key, words.get(key)!));
  done(kit.session());
  for (const [key, value] of words) before(kit, key, value);
  if (words.has("full")) {
    // The first use settles the time of the block, and with it the dates kept.
    do kit.use({ stan: next() });
    while (!kit.state.duplicates.of(TODAY).table.full);
  }
  return kit;
}

/** The sender becomes the concentrator of the other terminal, under an office of its own. */
function concentrate(kit: EngineKit, how: string): string[] {
  const status = how === "closed" ? PARTY_STATUS.CLOSED : PARTY_STATUS.OPEN;
  const outcomes = [
    kit.organisation({ organisationId: OFFICE, status: how === "office" ? "closed" : "open" }),
    kit.changeTerminal({ organisationId: OFFICE, status }),
    kit.changeTerminal({ terminalId: OTHER, concentratorId: SENDER }),
  ];
  const sender = { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: SENDER };
  const office = { subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: OFFICE };
  const scopeValue = how === "listed-other" ? ITEM + 1 : ITEM;
  if (how === "listed") outcomes.push(kit.list(sender));
  if (how === "office-listed") outcomes.push(kit.list(office));
  if (how === "listed-item" || how === "listed-other") {
    outcomes.push(kit.list({ ...sender, scopeKind: LIST_SCOPE.ITEM, scopeValue }));
  }
  return outcomes;
}

let stan = 1000;
function next(): number {
  return ++stan;
}

function itemFrom(words: Map<string, string>): CatalogueItem {
  const number = (key: string, usual: number) => Number(words.get(key) ?? usual);
  return itemOf({
    startDate: number("start", 20_200_101),
    endDate: number("end", 0),
    regions: [number("regions", 46)],
    amountMinorMax: number("limit", 50_000),
    domain: (words.get("domain") ?? "transport") as CatalogueItem["domain"],
    media: (words.get("media") ?? "chip,electronic").split(",") as CatalogueItem["media"],
  });
}

function loadCard(kit: EngineKit, words: Map<string, string>): void {
  const status = words.get("card") ?? "ACTIVE";
  const fields = {
    status: CARD_STATUS[status as keyof typeof CARD_STATUS],
    medium: Number(words.get("card-medium") ?? 1),
    expiryDay: dayOfDate(Number(words.get("expiry") ?? 20_301_231)),
  };
  if (kit.card(1, CARD_EVENT.LOAD, fields) !== "DONE") throw new Error("setup of the card");
}

function list(kit: EngineKit, key: string, value: string): string {
  switch (key) {
    case "list-card": {
      const cause = LIST_CAUSE[value as keyof typeof LIST_CAUSE];
      return kit.list({ subjectToken: tokenOf(pan(1)), cause });
    }
    case "list-range": {
      const subjectKind = LIST_SUBJECT.NUMBER_RANGE;
      const subjectToken = prefixToken(value);
      return kit.list({ subjectKind, subjectToken, prefixDigits: value.length });
    }
    case "list-holder":
      return kit.list({ subjectKind: LIST_SUBJECT.HOLDER, subjectToken: holderToken(1) });
    case "list-terminal":
      return kit.list({ subjectKind: LIST_SUBJECT.TERMINAL, subjectId: SENDER });
    default:
      return kit.list({ subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: 1 });
  }
}

/** What was sent before the request. */
function before(kit: EngineKit, key: string, value: string): void {
  const reversal = (stan: number, originalStan: number) =>
    kit.use({ mti: MTI_REVERSAL_REQUEST, stan, originalStan, originalBusinessDate: TODAY });
  if (key === "sent") kit.use({ stan: Number(value), amountMinor: 1, localTime: 1 });
  if (key === "sent-declined") kit.use({ stan: Number(value), itemCode: 99 });
  if (key === "original") kit.use({ stan: Number(value) });
  if (key === "reversed") reversal(800, Number(value));
  if (key === "came") kit.use({ stan: Number(value) });
}

function requestOf(words: Map<string, string>): UseFields {
  const fields: UseFields = { stan: STAN, localTime: 5 };
  for (const [key, value] of words) apply(fields, key, value);
  return fields;
}

function apply(fields: UseFields, key: string, value: string): void {
  switch (key) {
    case "flags":
      fields.raw = { [USE_WORD.KINDS]: (fields.medium ?? 1) | (Number(value) << 8) };
      break;
    case "pan":
      fields.pan = value === "unknown" ? pan(99) : pan(1).replace(/.$/, wrongDigit);
      break;
    case "item":
      fields.itemCode = value === "usual" ? ITEM : Number(value);
      break;
    case "amount":
      fields.amountMinor = Number(value);
      break;
    case "date":
      fields.businessDate = Number(value);
      break;
    case "terminal":
      fields.terminalId = value === "other" ? OTHER : Number(value);
      break;
    case "original-date":
      fields.originalBusinessDate = Number(value);
      break;
    case "original":
      fields.mti = MTI_REVERSAL_REQUEST;
      fields.originalStan = Number(value);
      fields.originalBusinessDate ||= TODAY;
      break;
    default:
      fields.stan = Number(value);
  }
}

function wrongDigit(digit: string): string {
  return String((Number(digit) + 1) % 10);
}

function pairs(text: string, separator: string): Map<string, string> {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return new Map(words.map((word) => word.split(separator) as [string, string]));
}
