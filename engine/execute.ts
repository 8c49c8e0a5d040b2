// Executes a command: reads it from its bytes, judges it, applies it. A refused command changes
// nothing. Replay runs the very same.

import { executeCardEvent } from "./card-events.js";
import { catalogueProblem, parseCatalogue } from "./catalogue.js";
import {
  CARD_EVENT_WORDS,
  type CatalogueVersion,
  COMMAND,
  commandSize,
  DOCUMENT_SIZE_MAX,
  OUTCOME,
  readListEntry,
  readSession,
  readTerminal,
  writeListEntry,
} from "./commands.js";
import { executeListEntry } from "./list-entries.js";
import { parseOrganisation } from "./parties.js";
import { executeOrganisation, executeSession, executeTerminal } from "./party-commands.js";
import type { State } from "./state.js";

/** The card event being executed: they come by the million, so that no object is made of one. */
const cardEvent = new Int32Array(CARD_EVENT_WORDS);
const cardEventBytes = new Uint8Array(cardEvent.buffer);

/**
 * Executes the command of `kind` in `bytes`, which takes journal position `position` if it is
 * done. `recorded` says that it has been done before, in the journal. May write into `bytes` what
 * the engine adds (the number of a blacklist entry).
 */
export function executeCommand(
  state: State,
  kind: number,
  bytes: Uint8Array,
  position: number,
  recorded: boolean,
): number {
  state.standing.forget();
  const size = commandSize(kind);
  if (size !== 0 && bytes.length !== size) return OUTCOME.COMMAND_INVALID;
  switch (kind) {
    case COMMAND.CARD_EVENT:
      cardEventBytes.set(bytes);
      return executeCardEvent(state, cardEvent);
    case COMMAND.LIST_ENTRY: {
      const command = readListEntry(bytes, 0);
      const outcome = executeListEntry(state, command, position);
      writeListEntry(bytes, 0, command);
      return outcome;
    }
    case COMMAND.TERMINAL:
      return executeTerminal(state, readTerminal(bytes, 0));
    case COMMAND.SESSION:
      return executeSession(state, readSession(bytes, 0), recorded);
    case COMMAND.ORGANISATION:
      return executeOrganisation(state, parse(bytes, parseOrganisation), bytes);
    case COMMAND.CATALOGUE:
      return executeCatalogue(state, parse(bytes, parseCatalogue), bytes, recorded);
    default:
      return OUTCOME.COMMAND_INVALID;
  }
}

/**
 * Judges and publishes a catalogue version. That its organisations are there is not asked of one
 * that is `recorded`: journals from before that rule stay readable.
 */
function executeCatalogue(
  state: State,
  catalogue: CatalogueVersion | null,
  bytes: Uint8Array,
  recorded: boolean,
): number {
  if (catalogue === null || catalogueProblem(catalogue) !== "") return OUTCOME.CATALOGUE_INVALID;
  const stored = state.documents.get(`catalogue/${catalogue.version}`);
  if (stored !== undefined) {
    const same = Buffer.compare(stored, bytes) === 0;
    return same ? OUTCOME.UNCHANGED : OUTCOME.CATALOGUE_VERSION_EXISTS;
  }
  const latest = state.catalogue.versions().at(-1) ?? 0;
  if (catalogue.version < latest) return OUTCOME.CATALOGUE_VERSION_EXISTS;
  const { organisations } = state.parties;
  if (!recorded && !catalogue.items.every((item) => organisations.has(item.organisationId))) {
    return OUTCOME.ORGANISATION_UNKNOWN;
  }
  state.catalogue.publish(catalogue, Uint8Array.from(bytes), state.today);
  return OUTCOME.DONE;
}

function parse<T>(bytes: Uint8Array, parser: (bytes: Uint8Array) => T): T | null {
  if (bytes.length > DOCUMENT_SIZE_MAX) return null;
  try {
    const value = parser(bytes);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
