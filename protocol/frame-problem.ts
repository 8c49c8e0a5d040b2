// What can be wrong with the structure of a frame. The one table: append only, a number never
// changes its meaning. A WebSocket connection that sent such a frame is closed with 4400 + number;
// HTTP answers 400 (413 when too large) with the same number. Nothing more is told.

const TABLE = [
  ["NONE", "the frame is sound"],
  ["TRUNCATED", "fewer bytes than a header and a MAC have"],
  ["TOO_LARGE", "more bytes than the largest frame has"],
  ["MAGIC_WRONG", "the first two bytes are not TK"],
  ["VERSION_UNKNOWN", "the version is not 1"],
  ["FLAGS_INVALID", "an unknown flag, or unauthenticated in a request or with a body"],
  ["MTI_UNKNOWN", "the MTI is not one of the protocol"],
  ["SENDER_ID_INVALID", "senderId is not 1..99,999,999"],
  ["SIZE_DIFFERS", "the frame is not header, bodySize bytes and MAC"],
  ["COUNT_INVALID", "count is out of the range of its MTI"],
  ["BODY_SIZE_INVALID", "bodySize is not that of count records, or out of range in 0800 and 0810"],
  ["STATUS_INVALID", "not 0 in a request, or not two of 0-9 A-Z in a response"],
  ["NOT_BINARY", "a WebSocket text message, or an HTTP body of another content type"],
  ["NOT_A_REQUEST", "a response sent to the server"],
] as const;

export type FrameProblemName = (typeof TABLE)[number][0];

/** Problems by name: `FRAME_PROBLEM.NONE` is 0. */
export const FRAME_PROBLEM: Readonly<Record<FrameProblemName, number>> = Object.freeze(
  Object.fromEntries(TABLE.map(([name], number) => [name, number])),
) as Record<FrameProblemName, number>;

/** Names by number. */
export const FRAME_PROBLEM_NAMES: readonly FrameProblemName[] = TABLE.map(([name]) => name);

/** What each problem says, for people, by number. */
export const FRAME_PROBLEM_TEXTS: readonly string[] = TABLE.map(([, text]) => text);

const CLOSE_CODE_BASE = 4400;

/** WebSocket close code of a problem: 4401 and up. */
export function closeCode(problem: number): number {
  return CLOSE_CODE_BASE + problem;
}
