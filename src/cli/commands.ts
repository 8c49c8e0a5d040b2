// All commands, in the order of the help text.

import { BLACKLIST } from "./blacklist.js";
import { CARD } from "./card.js";
import { CATALOGUE } from "./catalogue.js";
import type { CommandSpec, GroupSpec } from "./command.js";
import { DECISION } from "./decision.js";
import { DEMO } from "./demo.js";
import { IMPORT } from "./import.js";
import { INIT } from "./init.js";
import { JOURNAL } from "./journal.js";
import { ORGANISATION } from "./organisation.js";
import { SERVE } from "./serve.js";
import { STATUS } from "./status.js";
import { TERMINAL } from "./terminal.js";

export const COMMANDS: readonly (CommandSpec | GroupSpec)[] = [
  INIT,
  SERVE,
  DEMO,
  IMPORT,
  STATUS,
  CARD,
  BLACKLIST,
  TERMINAL,
  ORGANISATION,
  CATALOGUE,
  DECISION,
  JOURNAL,
];
