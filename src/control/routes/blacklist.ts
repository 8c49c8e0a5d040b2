// The blacklist: entries in force and to come, added and removed. A card, holder or range to list
// comes in the body, as in a row of an import file, and is seen by its token's first half only.

import {
  COMMAND,
  LIST_ENTRY_SIZE,
  LIST_REMOVE,
  type ListEntryCommand,
  writeListEntry,
} from "../../../engine/commands.js";
import { DOMAINS, LIST_SCOPE, LIST_SUBJECT } from "../../../engine/domain.js";
import { toListCommands } from "../../import/list-row.js";
import { oneOf, type Static, Type } from "../../schema.js";
import type { KeyVault } from "../../vault.js";
import { type CommandDone, executeTogether } from "../commands.js";
import {
  cardToken,
  closed,
  holderToken,
  maskedToken,
  ORGANISATION_ID,
  PAGE,
  POSITION,
  page,
  TERMINAL_ID,
  timeText,
} from "../fields.js";
import { type ListEntryView, PAGE_COUNT_MAX } from "../messages.js";
import { LIST_CAUSE_WORDS, LIST_SUBJECT_WORDS } from "../names.js";
import { invalid } from "../problem.js";
import { type ControlContext, type Route, route } from "../route.js";

const ENTRY_ID = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const TIME = Type.String({
  maxLength: 40,
  description: "a day (YYYYMMDD, YYYY-MM-DD) or a time with its zone",
});

const ENTRY = closed({
  entryId: ENTRY_ID,
  subjectKind: Type.String(),
  subject: Type.String({ description: "an id, or the first half of a token" }),
  scope: Type.String({ description: "all, domain:NAME or item:CODE" }),
  cause: Type.String(),
  from: Type.Union([Type.String(), Type.Null()]),
  until: Type.Union([Type.String(), Type.Null()]),
  organisationId: Type.Integer(),
  position: POSITION,
});
const ENTRIES = closed({ entries: Type.Array(ENTRY) });
const ADDITION = closed({
  subjectKind: oneOf(["card", "holder", "range", "terminal", "organisation"]),
  subject: Type.String({
    minLength: 1,
    maxLength: 40,
    description: "card number, ID number, FROM-TO, or an id",
  }),
  scope: Type.Optional(Type.String({ minLength: 3, maxLength: 60 })),
  cause: oneOf(LIST_CAUSE_WORDS.all),
  from: Type.Optional(TIME),
  until: Type.Optional(TIME),
  entryId: Type.Optional(ENTRY_ID),
  organisationId: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
});
const CHANGED = closed({
  outcome: oneOf(["DONE", "UNCHANGED"]),
  position: POSITION,
  entryId: ENTRY_ID,
});

/** A blacklist entry as the API tells it. */
export type ListEntryBody = Static<typeof ENTRY>;
/** An entry to add, as in a row of an import file. */
export type ListAddition = Static<typeof ADDITION>;
/** What adding or removing did. */
export type ListChanged = Static<typeof CHANGED>;

export function blacklistRoutes(context: ControlContext): Route[] {
  return [...readRoutes(context), ...changeRoutes(context)];
}

function readRoutes({ main, vault }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/v1/blacklist",
      tag: "blacklist",
      summary: "Entries in order of their ids, all or of one terminal or organisation",
      query: closed({
        ...PAGE,
        terminalId: Type.Optional(TERMINAL_ID),
        organisationId: Type.Optional(ORGANISATION_ID),
      }),
      response: ENTRIES,
      handle: async ({ query }) => {
        const request = { op: "blacklist" as const, ...page(query), ...partyFilter(query) };
        return { entries: (await main.ask<"blacklist">(request)).map(entryBody) };
      },
    }),
    route({
      method: "GET",
      url: "/v1/blacklist/:entryId",
      tag: "blacklist",
      summary: "The entries under one id: one, or one for each prefix of a number range",
      params: closed({ entryId: ENTRY_ID }),
      response: ENTRIES,
      handle: async ({ params }) => {
        const whole = { after: 0, count: PAGE_COUNT_MAX };
        const entries = await main.ask<"blacklist">({ op: "blacklist", ...params, ...whole });
        return { entries: entries.map(entryBody) };
      },
    }),
    route({
      method: "POST",
      url: "/v1/blacklist/search",
      tag: "blacklist",
      summary: "Entries that name this card or holder",
      body: closed({
        subjectKind: oneOf(["card", "holder"]),
        subject: Type.String({ minLength: 12, maxLength: 19 }),
      }),
      response: ENTRIES,
      handle: async ({ body }) => {
        const filter = numberFilter(vault, body.subjectKind, body.subject);
        const whole = { after: 0, count: PAGE_COUNT_MAX };
        const entries = await main.ask<"blacklist">({ op: "blacklist", ...filter, ...whole });
        return { entries: entries.map(entryBody) };
      },
    }),
  ];
}

function changeRoutes({ main, vault }: ControlContext): Route[] {
  const execute = async (commands: readonly ListEntryCommand[]): Promise<ListChanged> => {
    const bytes = new Uint8Array(commands.length * LIST_ENTRY_SIZE);
    commands.forEach((command, index) => {
      writeListEntry(bytes, index * LIST_ENTRY_SIZE, command);
    });
    const count = commands.length;
    const done: CommandDone = await executeTogether(main, COMMAND.LIST_ENTRY, count, bytes);
    return { ...done, entryId: commands[0]!.entryId };
  };
  return [
    route({
      method: "POST",
      url: "/v1/blacklist",
      tag: "blacklist",
      summary: "Adds an entry; it binds the next tap",
      body: ADDITION,
      response: CHANGED,
      handle: ({ body }) => {
        const checked = toListCommands({ scope: "all", ...body }, vault);
        if (!checked.ok) throw invalid(`${checked.column} ${checked.cause}`);
        return execute(checked.value);
      },
    }),
    route({
      method: "DELETE",
      url: "/v1/blacklist/:entryId",
      tag: "blacklist",
      summary: "Removes the entries under one id",
      params: closed({ entryId: ENTRY_ID }),
      response: CHANGED,
      handle: ({ params }) => execute([removal(params.entryId)]),
    }),
  ];
}

function partyFilter(query: { terminalId?: number; organisationId?: number }) {
  const { terminalId, organisationId } = query;
  if (terminalId !== undefined && organisationId !== undefined) {
    throw invalid("give terminalId or organisationId, not both");
  }
  if (terminalId !== undefined)
    return { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: terminalId };
  if (organisationId === undefined) return {};
  return { subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: organisationId };
}

function numberFilter(vault: KeyVault, subjectKind: "card" | "holder", subject: string) {
  return subjectKind === "card"
    ? { subjectKind: LIST_SUBJECT.CARD, subjectToken: cardToken(vault, subject) }
    : { subjectKind: LIST_SUBJECT.HOLDER, subjectToken: holderToken(vault, subject) };
}

function removal(entryId: number): ListEntryCommand {
  return {
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
  };
}

function entryBody(view: ListEntryView): ListEntryBody {
  return {
    entryId: view.entryId,
    subjectKind:
      view.subjectKind === LIST_SUBJECT.NUMBER_RANGE
        ? "range"
        : LIST_SUBJECT_WORDS.word(view.subjectKind),
    subject: view.subjectToken ? maskedToken(view.subjectToken) : String(view.subjectId),
    scope: scopeText(view),
    cause: LIST_CAUSE_WORDS.word(view.cause),
    from: timeText(view.fromTime),
    until: timeText(view.untilTime),
    organisationId: view.organisationId,
    position: view.position,
  };
}

function scopeText({ scopeKind, scopeValue }: ListEntryView): string {
  if (scopeKind === LIST_SCOPE.DOMAIN) return `domain:${DOMAINS[scopeValue] ?? "unknown"}`;
  return scopeKind === LIST_SCOPE.ITEM ? `item:${scopeValue}` : "all";
}
