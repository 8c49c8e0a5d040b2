// What a terminal client is made with, checked whole before anything is opened.

import {
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  MASTER_KEY_VERSION_MAX,
  type MacAlgorithmName,
  TERMINAL_ID_MAX,
} from "../../protocol/index.js";
import type { Clock } from "./clock.js";
import type { TerminalIdentity } from "./session.js";
import type { StanAllocator } from "./stan.js";

export interface TerminalClientOptions {
  /** ws://host:port/v1/terminal (or wss), or http://host:port/v1/messages (or https). */
  url: string;
  /** 1..99,999,999. */
  terminalId: number;
  macAlgorithm: MacAlgorithmName;
  /** 16 bytes for CMAC, 32 for HMAC. Copied. */
  masterKey: Uint8Array;
  masterKeyVersion?: number;
  /** Longest time from a call to its answer or error; 5000. */
  deadlineMs?: number;
  /** Time without an answer after which a frame is sent again; a third of the deadline. */
  answerTimeoutMs?: number;
  /** First and longest wait between attempts to connect or sign on; 50 and 5000. */
  backoffMsMin?: number;
  backoffMsMax?: number;
  /** Most calls that wait or are in flight; 65,536. */
  callsMax?: number;
  /** Where STANs come from, when a use brings none. */
  stans?: StanAllocator;
  clock?: Clock;
  random?: () => number;
}

const SCHEMES: readonly string[] = ["ws:", "wss:", "http:", "https:"];

/** The server's URL, when it is one of a known scheme. */
export function urlOf(options: TerminalClientOptions): string {
  const known = URL.canParse(options.url) && SCHEMES.includes(new URL(options.url).protocol);
  if (!known) throw new TypeError("url must be a URL with ws:, wss:, http: or https:");
  return options.url;
}

/** Who the terminal is. Throws a TypeError that names the bad option. */
export function identityOf(options: TerminalClientOptions): TerminalIdentity {
  const { terminalId, masterKey, masterKeyVersion = 1 } = options;
  const macAlgorithm = MAC_ALGORITHM_NAMES.indexOf(options.macAlgorithm);
  if (macAlgorithm < 1) throw new TypeError("macAlgorithm must be the name of a MAC algorithm");
  if (!inRange(terminalId, 1, TERMINAL_ID_MAX)) {
    throw new TypeError("terminalId must be 1 to 99,999,999");
  }
  if (!inRange(masterKeyVersion, 1, MASTER_KEY_VERSION_MAX)) {
    throw new TypeError("masterKeyVersion must be 1 to 8,388,607");
  }
  if (masterKey.length !== MAC_KEY_SIZES[macAlgorithm]) {
    throw new TypeError("masterKey must be 16 bytes for CMAC and 32 for HMAC");
  }
  // A copy, also of a Buffer, whose own `slice` is a view: closing the client zeroes it.
  return { terminalId, macAlgorithm, masterKey: Uint8Array.from(masterKey), masterKeyVersion };
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}
