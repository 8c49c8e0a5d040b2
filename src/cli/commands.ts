// All commands, in the order of the help text.

import { BLACKLIST } from "./blacklist.js";
import { CARD } from "./card.js";
import { CATALOGUE } from "./catalogue.js";
import type { CommandSpec, GroupSpec } from "./command.js";
import { DECISION } from "./decision.js";
import { INIT } from "./init.js";
import { ORGANISATION } from "./organisation.js";
import { STATUS } from "./status.js";
import { TERMINAL } from "./terminal.js";

export const COMMANDS: readonly (CommandSpec | GroupSpec)[] = [
  INIT,
  STATUS,
  CARD,
  BLACKLIST,
  TERMINAL,
  ORGANISATION,
  CATALOGUE,
  DECISION,
];
