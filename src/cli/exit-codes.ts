// Exit codes: what a script can tell apart without reading messages. Numbers never change meaning.

export const EXIT = {
  OK: 0,
  FAILED: 1,
  USAGE: 2,
  REFUSED: 3,
  UNREACHABLE: 4,
  DAMAGED: 5,
  INTERRUPTED: 130,
} as const;

/** The table at the foot of every help text. */
export const EXIT_CODE_HELP = `Exit codes:
  0    done
  1    failed; the message says what, where and what to do
  2    wrong usage or wrong configuration; nothing was done
  3    refused by the rules, or not found; nothing was changed
  4    the server cannot be reached, or does not answer
  5    the journal is damaged
  130  ended by Ctrl-C`;
