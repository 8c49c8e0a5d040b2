// Puts one command through the engine and words what became of it for people.

import { COMMAND_OUTCOMES, type CommandOutcomeName } from "../../engine/commands.js";
import type { MainThread } from "./main-thread.js";
import { Problem } from "./problem.js";

/** Status and sentence of each outcome that is no success. */
const REFUSALS: Readonly<
  Record<Exclude<CommandOutcomeName, "DONE" | "UNCHANGED">, readonly [number, string]>
> = {
  COMMAND_INVALID: [400, "a field is out of its range"],
  CARD_UNKNOWN: [404, "no such card"],
  CARD_EXISTS: [409, "the card exists already"],
  TRANSITION_NOT_ALLOWED: [409, "the card's status does not allow this event"],
  HOLDER_UNKNOWN: [404, "no such holder"],
  HOLDER_WITHOUT_CARD: [409, "the holder has no card that an electronic card could go with"],
  PREVIOUS_CARD_UNKNOWN: [404, "no such card to replace"],
  HOLDER_DIFFERS: [409, "the card belongs to another holder"],
  TABLE_FULL: [507, "the table is full: raise its limit in the configuration and restart"],
  ENTRY_UNKNOWN: [404, "no such blacklist entry"],
  ENTRY_EXISTS: [409, "a blacklist entry with this entryId exists"],
  ORGANISATION_UNKNOWN: [
    404,
    "no organisation with an id that is given as organisationId or parentId",
  ],
  TERMINAL_UNKNOWN: [404, "no such terminal"],
  MASTER_KEY_MISSING: [409, "a new terminal needs a master key"],
  CATALOGUE_VERSION_EXISTS: [409, "this version or a higher one has been published"],
  CATALOGUE_INVALID: [400, "the catalogue breaks a rule of its document (docs)"],
  KEY_GENERATION_WRONG: [409, "the session's key generation is not the next one"],
  CONCENTRATOR_UNKNOWN: [404, "no terminal with the id given as concentratorId"],
};

/** What a command did, as the API tells it. */
export interface CommandDone {
  outcome: "DONE" | "UNCHANGED";
  /** Journal position; 0 when nothing changed. */
  position: number;
}

/** Executes one command of `kind`; resolves when it is on disk. Throws a Problem when refused. */
export function executeOne(
  main: MainThread,
  kind: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<CommandDone> {
  return executeTogether(main, kind, 1, bytes);
}

/**
 * Executes `count` commands that are one change; resolves when they are on disk. Throws a Problem
 * for the first that is refused. `bytes` has a buffer of its own, which is handed over.
 */
export async function executeTogether(
  main: MainThread,
  kind: number,
  count: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<CommandDone> {
  const { outcomes, positions } = await main.ask<"execute">({ op: "execute", kind, count, bytes }, [
    bytes.buffer,
  ]);
  for (const outcome of outcomes) {
    const refusal = refusalOf(outcome);
    if (refusal) throw refusal;
  }
  const position = positions.reduce((highest, each) => Math.max(highest, each), 0);
  return { outcome: position === 0 ? "UNCHANGED" : "DONE", position };
}

function refusalOf(outcome: number): Problem | null {
  const name = COMMAND_OUTCOMES[outcome] ?? "COMMAND_INVALID";
  if (name === "DONE" || name === "UNCHANGED") return null;
  const [status, message] = REFUSALS[name];
  return new Problem(status, name, message);
}
