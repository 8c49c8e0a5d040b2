// Terminals: their profiles and master keys. A new key is shown in one answer and never again.

import { COMMAND, TERMINAL_SIZE, writeTerminal } from "../../../engine/commands.js";
import { PARTY_STATUS } from "../../../engine/domain.js";
import { TERMINAL_ID_MAX } from "../../../protocol/frame.js";
import { MAC_ALGORITHM_NAMES, type MacAlgorithmName } from "../../../protocol/mac-algorithms.js";
import { toTerminalCommand } from "../../import/terminal-row.js";
import { oneOf, type Static, Type } from "../../schema.js";
import { executeOne } from "../commands.js";
import {
  closed,
  ORGANISATION_ID,
  PAGE,
  POSITION,
  page,
  REGION_CODE,
  TERMINAL_ID,
  timeText,
} from "../fields.js";
import { newMasterKey } from "../master-key.js";
import type { TerminalView } from "../messages.js";
import { DOMAIN_NAMES, domainNames, PARTY_STATUS_WORDS } from "../names.js";
import { invalid, notFound, Problem } from "../problem.js";
import { type ControlContext, type Route, route } from "../route.js";

const ALGORITHM_NAMES = MAC_ALGORITHM_NAMES.slice(1) as MacAlgorithmName[];
const HEX_KEY = Type.String({
  pattern: "^([0-9a-fA-F]{48}|[0-9a-fA-F]{80})$",
  minLength: 48,
  maxLength: 80,
  description: "hex, RFC 3394 under the key-exchange key",
});
const HEX_CHECK_VALUE = Type.String({
  pattern: "^[0-9a-fA-F]{6}$",
  minLength: 6,
  maxLength: 6,
  description: "hex",
});

const PROFILE = {
  terminalId: TERMINAL_ID,
  organisationId: ORGANISATION_ID,
  regionCode: REGION_CODE,
  domains: Type.Array(oneOf(DOMAIN_NAMES), { maxItems: DOMAIN_NAMES.length }),
};
const TERMINAL = closed({
  ...PROFILE,
  concentratorId: Type.Integer({ minimum: 0, maximum: TERMINAL_ID_MAX, description: "0 none" }),
  status: oneOf(PARTY_STATUS_WORDS.all),
  macAlgorithm: oneOf(ALGORITHM_NAMES),
  masterKeyVersion: Type.Integer(),
  checkValue: Type.String(),
  session: Type.Union([
    closed({ keyGeneration: Type.Integer(), expires: Type.Union([Type.String(), Type.Null()]) }),
    Type.Null(),
  ]),
});
const TERMINAL_CHANGE = closed({
  ...PROFILE,
  concentratorId: Type.Optional(Type.Integer({ minimum: 0, maximum: TERMINAL_ID_MAX })),
  status: Type.Optional(oneOf(PARTY_STATUS_WORDS.all)),
  macAlgorithm: Type.Optional(oneOf(ALGORITHM_NAMES)),
  masterKey: Type.Optional(oneOf(["new", "wrapped", "keep"])),
  masterKeyWrapped: Type.Optional(HEX_KEY),
  checkValue: Type.Optional(HEX_CHECK_VALUE),
});
const TERMINAL_CHANGED = closed({
  outcome: oneOf(["DONE", "UNCHANGED"]),
  position: POSITION,
  terminalId: TERMINAL_ID,
  masterKeyVersion: Type.Integer(),
  checkValue: Type.String(),
  masterKey: Type.Optional(Type.String({ description: "hex; shown this once" })),
});

/** A terminal as the API tells it. */
export type TerminalBody = Static<typeof TERMINAL>;
/** What adds or changes a terminal. */
export type TerminalChange = Static<typeof TERMINAL_CHANGE>;
/** What the change did, with a new key in clear if one was made. */
export type TerminalChanged = Static<typeof TERMINAL_CHANGED>;

type KeyMode = "new" | "wrapped" | "keep";

export function terminalRoutes(context: ControlContext): Route[] {
  const { main } = context;
  let last: Promise<unknown> = Promise.resolve();
  return [
    route({
      method: "GET",
      url: "/v1/terminals",
      tag: "terminals",
      summary: "Terminals in order of their ids",
      query: closed(PAGE),
      response: closed({ terminals: Type.Array(TERMINAL) }),
      handle: async ({ query }) => {
        const views = await main.ask<"terminals">({ op: "terminals", ...page(query) });
        return { terminals: views.map(terminalBody) };
      },
    }),
    route({
      method: "GET",
      url: "/v1/terminals/:terminalId",
      tag: "terminals",
      summary: "One terminal",
      params: closed({ terminalId: TERMINAL_ID }),
      response: TERMINAL,
      handle: async ({ params }) => {
        const view = await main.ask<"terminal">({ op: "terminal", ...params });
        if (!view) throw notFound("no such terminal");
        return terminalBody(view);
      },
    }),
    route({
      method: "POST",
      url: "/v1/terminals",
      tag: "terminals",
      summary: "Adds or changes a terminal; makes, takes or keeps its master key",
      body: TERMINAL_CHANGE,
      response: TERMINAL_CHANGED,
      // One after another: a key's version is the one before plus one.
      handle: ({ body }) => {
        const change = last.then(() => changeTerminal(context, body));
        // Not the change itself: it may hold a new key, and would keep it until the next change.
        const ended = () => undefined;
        last = change.then(ended, ended);
        return change;
      },
    }),
  ];
}

async function changeTerminal(
  { main, vault, keyExchangeKey }: ControlContext,
  change: TerminalChange,
): Promise<TerminalChanged> {
  const { terminalId } = change;
  const before = await main.ask<"terminal">({ op: "terminal", terminalId });
  const mode = keyModeOf(change, before);
  const row = rowOf(change, before, mode);
  const checked = toTerminalCommand(row, { vault, kek: keyExchangeKey });
  if (!checked.ok) throw invalid(`${checked.column} ${checked.cause}`);
  const command = checked.value;
  if (mode === "keep" && before && command.macAlgorithm !== before.macAlgorithm) {
    throw invalid("another MAC algorithm needs another master key: set masterKey");
  }
  const made = mode === "new" ? newMasterKey(vault, command.macAlgorithm) : null;
  if (made) {
    command.masterKeyVersion = nextKeyVersion(before);
    command.wrappedKey = made.wrappedKey;
    command.checkValue = made.checkValue;
  }
  const bytes = new Uint8Array(TERMINAL_SIZE);
  writeTerminal(bytes, 0, command);
  const done = await executeOne(main, COMMAND.TERMINAL, bytes);
  return {
    ...done,
    terminalId,
    masterKeyVersion: command.masterKeyVersion || before!.masterKeyVersion,
    checkValue: command.checkValue ? hex(command.checkValue) : before!.checkValue,
    ...(made ? { masterKey: made.shownKey } : {}),
  };
}

/** What is to become of the master key: as said, or as what is there suggests. */
function keyModeOf(change: TerminalChange, before: TerminalView | null): KeyMode {
  const carried = change.masterKeyWrapped !== undefined && change.checkValue !== undefined;
  const named = change.masterKeyWrapped ?? change.checkValue;
  const mode = change.masterKey ?? (carried ? "wrapped" : before ? "keep" : "new");
  if (mode === "wrapped" ? !carried : named !== undefined) {
    throw invalid('masterKeyWrapped and checkValue go together with masterKey "wrapped" only');
  }
  if (mode === "keep" && !before) {
    throw new Problem(409, "MASTER_KEY_MISSING", "a new terminal needs a master key");
  }
  return mode;
}

/** The change as a row of an import file, with what it leaves out as it was. */
function rowOf(change: TerminalChange, before: TerminalView | null, mode: KeyMode) {
  const { terminalId, organisationId, regionCode, domains } = change;
  const { masterKeyWrapped, checkValue } = change;
  const received = { masterKeyVersion: nextKeyVersion(before), masterKeyWrapped, checkValue };
  return {
    terminalId,
    organisationId,
    regionCode,
    domains,
    concentratorId: change.concentratorId ?? before?.concentratorId ?? 0,
    status: change.status ?? PARTY_STATUS_WORDS.word(before?.status ?? PARTY_STATUS.OPEN),
    macAlgorithm: change.macAlgorithm ?? MAC_ALGORITHM_NAMES[before?.macAlgorithm ?? 1],
    ...(mode === "wrapped" ? received : {}),
  };
}

function nextKeyVersion(before: TerminalView | null): number {
  return (before?.masterKeyVersion ?? 0) + 1;
}

function terminalBody(view: TerminalView): TerminalBody {
  const { keyGeneration, expiresAt } = view;
  return {
    terminalId: view.terminalId,
    organisationId: view.organisationId,
    regionCode: view.regionCode,
    domains: domainNames(view.domains),
    concentratorId: view.concentratorId,
    status: PARTY_STATUS_WORDS.word(view.status),
    macAlgorithm: MAC_ALGORITHM_NAMES[view.macAlgorithm] as MacAlgorithmName,
    masterKeyVersion: view.masterKeyVersion,
    checkValue: view.checkValue,
    session: view.signedOn ? { keyGeneration, expires: timeText(expiresAt) } : null,
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
