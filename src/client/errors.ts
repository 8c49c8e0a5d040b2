// Errors a caller of the client can meet. Messages are constant: no card number, no key, no
// byte of a frame ever stands in one.

export type TerminalErrorCode =
  /** No answer before the deadline. The use may have been authorized: repeat or reverse it. */
  | "DEADLINE"
  /** The server refused the frame as a whole, authenticated; see responseCode. */
  | "REFUSED"
  /** The client was closed before the answer came. */
  | "CLOSED"
  /** The server does not know this terminal (97): the operator must register it. */
  | "TERMINAL_UNKNOWN"
  /** Negative, fractional or over 999,999,999,999 fen: not sent. Response code 13. */
  | "AMOUNT_INVALID"
  /** Another field is out of its range: not sent. Response code 30. */
  | "USE_INVALID"
  /** The other end does not keep to the protocol, or says that we do not. */
  | "PROTOCOL"
  /** All 999,999 STANs of the business date are used: not sent. */
  | "STAN_EXHAUSTED"
  /** Too many calls are waiting: not sent. */
  | "BACKLOG_FULL";

const MESSAGES: Readonly<Record<TerminalErrorCode, string>> = {
  DEADLINE: "no answer before the deadline: repeat the same record, or reverse it",
  REFUSED: "the server refused the frame: see responseCode",
  CLOSED: "the client was closed before the answer came",
  TERMINAL_UNKNOWN: "the server does not know this terminal: ask the operator to register it",
  AMOUNT_INVALID: "the amount is not whole fen from 0 to 999,999,999,999: nothing was sent",
  USE_INVALID: "a field of the use is out of its range: nothing was sent",
  PROTOCOL: "the two ends do not agree on the protocol: compare their versions",
  STAN_EXHAUSTED: "no STAN is left for this business date: nothing was sent",
  BACKLOG_FULL: "too many calls wait for an answer: nothing was sent",
};

/** What each call of the client rejects with. */
export class TerminalError extends Error {
  override readonly name = "TerminalError";
  readonly code: TerminalErrorCode;
  /** ISO 8583 field 39 where there is one; with DEADLINE the last one heard, a hint only. */
  readonly responseCode: string;

  constructor(code: TerminalErrorCode, responseCode = "", detail = "") {
    super(detail === "" ? MESSAGES[code] : `${MESSAGES[code]} (${detail})`);
    this.code = code;
    this.responseCode = responseCode;
  }
}
