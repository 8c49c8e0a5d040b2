// The terminal client as a package, "tongka/client".

export type { UseRecord } from "../../protocol/decode.js";
export {
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
} from "../../protocol/mti.js";
export type { SessionParameters } from "../../protocol/parameters.js";
export type { Clock } from "./clock.js";
export { TerminalError, type TerminalErrorCode } from "./errors.js";
export type { LinkCounters } from "./link.js";
export type { TerminalClientOptions } from "./options.js";
export { type LastStan, StanAllocator } from "./stan.js";
export { TerminalClient } from "./terminal-client.js";
export type { TerminalOutcome, Use } from "./use.js";
