// All commands, in the order of the help text.

import type { CommandSpec, GroupSpec } from "./command.js";
import { INIT } from "./init.js";

export const COMMANDS: readonly (CommandSpec | GroupSpec)[] = [INIT];
