// The table of MAC jobs that the main thread shares with the threads of the pool.
//
//   word  field
//   0     arena        which of the shared arenas holds the frame
//   1     start        byte offset of the frame
//   2     size         bytes under the MAC; the MAC stands right behind them
//   3     keySlot      src/session-keys.ts
//   4     keyVersion   the keys that must stand in the slot
//   5     operation    0 verify with the request key, 1 sign with the response key
//   6     result       JOB_WAITING, JOB_GOOD, JOB_BAD, JOB_KEY_GONE
//   7     reserved     0

export const JOB_WORDS = 8;
export const JOB_ARENA_WORD = 0;
export const JOB_START_WORD = 1;
export const JOB_SIZE_WORD = 2;
export const JOB_KEY_SLOT_WORD = 3;
export const JOB_KEY_VERSION_WORD = 4;
export const JOB_OPERATION_WORD = 5;
export const JOB_RESULT_WORD = 6;

export const JOB_VERIFY = 0;
export const JOB_SIGN = 1;

export const JOB_WAITING = 0;
export const JOB_GOOD = 1;
export const JOB_BAD = 2;
/** The slot holds other keys by now: the main thread does this one itself. */
export const JOB_KEY_GONE = 3;

/** What every thread of the pool is given at its start. */
export interface MacWorkerData {
  arenas: SharedArrayBuffer[];
  jobTables: SharedArrayBuffer[];
  keyTable: SharedArrayBuffer;
}
