// A thread of the MAC pool: verifies and makes MACs over the shared arenas, in place. Keeps the
// cipher objects of each key slot it has met and makes them anew when the slot's keys change.

import { createMac, type Mac, type Place, wipeScratch } from "../protocol/mac.js";
import { MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { type BoardMemory, serveBoard } from "./mac-board.js";
import { MacGroup } from "./mac-groups.js";
import {
  JOB_ARENA_WORD,
  JOB_BAD,
  JOB_GOOD,
  JOB_KEY_GONE,
  JOB_KEY_SLOT_WORD,
  JOB_KEY_VERSION_WORD,
  JOB_OPERATION_WORD,
  JOB_RESULT_WORD,
  JOB_SIGN,
  JOB_SIZE_WORD,
  JOB_START_WORD,
  JOB_WORDS,
} from "./mac-jobs.js";
import { threadData } from "./mac-pool.js";
import {
  KEY_SLOT_ALGORITHM_OFFSET,
  KEY_SLOT_REQUEST_OFFSET,
  KEY_SLOT_RESPONSE_OFFSET,
  KEY_SLOT_SIZE,
  KEY_SLOT_VERSION_OFFSET,
} from "./session-keys.js";

interface SlotMacs {
  version: number;
  request: Mac;
  response: Mac;
}

const data = threadData();
const arenas = data.arenas.map((arena): Place => {
  return { bytes: new Uint8Array(arena), words: new Int32Array(arena) };
});
const jobTables = data.jobTables.map((table) => new Int32Array(table));
const keyBytes = new Uint8Array(data.keyTable);
const keyView = new DataView(data.keyTable);
const slots: (SlotMacs | undefined)[] = [];
const group = new MacGroup();

/** What the pool has a thread do, until it ends. */
export default function serve(board: BoardMemory): void {
  serveBoard(board, run, wipeScratch);
}

/** Does jobs from..to-1 of a job table and leaves each one's result in its place. */
function run(jobTable: number, from: number, to: number): void {
  const jobs = jobTables[jobTable]!;
  for (let i = from; i < to; ) i = runGroup(jobs, i, to);
}

/** Does job `from` and those behind it that go with it in a group; returns the next one. */
function runGroup(jobs: Int32Array, from: number, to: number): number {
  const base = from * JOB_WORDS;
  const size = jobs[base + JOB_SIZE_WORD]!;
  group.begin(jobs[base + JOB_START_WORD]!, size);
  let end = from + 1;
  for (; end < to && !group.full && sameGroup(jobs, base, end * JOB_WORDS); end++) {
    group.add(jobs[end * JOB_WORDS + JOB_START_WORD]!);
  }
  const macs = macsOf(jobs[base + JOB_KEY_SLOT_WORD]!, jobs[base + JOB_KEY_VERSION_WORD]!);
  const isSign = jobs[base + JOB_OPERATION_WORD] === JOB_SIGN;
  const arena = arenas[jobs[base + JOB_ARENA_WORD]!]!;
  if (macs !== null && isSign) group.sign(macs.response, arena);
  else if (macs !== null) group.verify(macs.request, arena);
  for (let i = from; i < end; i++) {
    const good = isSign || group.holds[i - from] === 1;
    jobs[i * JOB_WORDS + JOB_RESULT_WORD] =
      macs === null ? JOB_KEY_GONE : good ? JOB_GOOD : JOB_BAD;
  }
  return end;
}

/** Whether two jobs are of one key, operation, arena and size. */
function sameGroup(jobs: Int32Array, a: number, b: number): boolean {
  return (
    jobs[a + JOB_KEY_SLOT_WORD] === jobs[b + JOB_KEY_SLOT_WORD] &&
    jobs[a + JOB_KEY_VERSION_WORD] === jobs[b + JOB_KEY_VERSION_WORD] &&
    jobs[a + JOB_SIZE_WORD] === jobs[b + JOB_SIZE_WORD] &&
    jobs[a + JOB_OPERATION_WORD] === jobs[b + JOB_OPERATION_WORD] &&
    jobs[a + JOB_ARENA_WORD] === jobs[b + JOB_ARENA_WORD]
  );
}

function macsOf(slot: number, version: number): SlotMacs | null {
  const known = slots[slot];
  if (known !== undefined && known.version === version) return known;
  known?.request.close();
  known?.response.close();
  slots[slot] = undefined;
  const offset = slot * KEY_SLOT_SIZE;
  const algorithm = keyView.getUint32(offset + KEY_SLOT_ALGORITHM_OFFSET, true);
  const keySize = MAC_KEY_SIZES[algorithm] ?? 0;
  const requestKey = keyBytes.slice(
    offset + KEY_SLOT_REQUEST_OFFSET,
    offset + KEY_SLOT_REQUEST_OFFSET + keySize,
  );
  const responseKey = keyBytes.slice(
    offset + KEY_SLOT_RESPONSE_OFFSET,
    offset + KEY_SLOT_RESPONSE_OFFSET + keySize,
  );
  // Read after the keys: the main thread may have put other keys there meanwhile.
  if (keySize === 0 || keyView.getUint32(offset + KEY_SLOT_VERSION_OFFSET, true) !== version) {
    requestKey.fill(0);
    responseKey.fill(0);
    return null;
  }
  const macs = {
    version,
    request: createMac(algorithm, requestKey),
    response: createMac(algorithm, responseKey),
  };
  requestKey.fill(0);
  responseKey.fill(0);
  slots[slot] = macs;
  return macs;
}
