// A thread of the MAC pool: verifies and makes MACs over the shared arenas, in place. Keeps the
// cipher objects of each key slot it has met and makes them anew when the slot's keys change.

import { createMac, type Mac, type Place, wipeScratch } from "../protocol/mac.js";
import { MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { type BoardMemory, serveBoard } from "./mac-board.js";
import { MacGroup } from "./mac-groups.js";
import {
  JOB_BAD,
  JOB_GOOD,
  JOB_KEY_GONE,
  JOB_KEY_SLOT_WORD,
  JOB_KEY_VERSION_WORD,
  JOB_SIZE_WORD,
  JOB_START_WORD,
  JOB_WORDS,
  MAC_OPERATION,
  MacJobs,
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
const jobsOf = data.jobs.map((memory) => new MacJobs(memory));
const keyBytes = new Uint8Array(data.keyTable);
const keyView = new DataView(data.keyTable);
const slots: (SlotMacs | undefined)[] = [];
const group = new MacGroup();

/** What the pool has a thread do, until it ends. */
export default function serve(board: BoardMemory): void {
  serveBoard(board, run, wipeScratch);
}

/** Does an operation on jobs from..to-1 of a batch or block and leaves the results there. */
function run(holder: number, operation: number, from: number, to: number): void {
  const jobs = jobsOf[holder]!;
  const arena = arenas[holder]!;
  for (let i = from; i < to; ) i = runGroup(jobs, arena, operation, i, to);
}

/** Does job `from` and those behind it that go with it in a group; returns the next one. */
function runGroup(
  { words, results }: MacJobs,
  arena: Place,
  operation: number,
  from: number,
  to: number,
): number {
  const base = from * JOB_WORDS;
  group.begin(words[base + JOB_START_WORD]!, words[base + JOB_SIZE_WORD]!);
  let end = from + 1;
  for (; end < to && !group.full && sameGroup(words, base, end * JOB_WORDS); end++) {
    group.add(words[end * JOB_WORDS + JOB_START_WORD]!);
  }
  const macs = macsOf(words[base + JOB_KEY_SLOT_WORD]!, words[base + JOB_KEY_VERSION_WORD]!);
  const isSign = operation === MAC_OPERATION.SIGN;
  if (macs !== null && isSign) group.sign(macs.response, arena);
  else if (macs !== null) group.verify(macs.request, arena);
  for (let i = from; i < end; i++) {
    const good = isSign || group.holds[i - from] === 1;
    results[i] = macs === null ? JOB_KEY_GONE : good ? JOB_GOOD : JOB_BAD;
  }
  return end;
}

/** Whether two jobs are of one key and size. */
function sameGroup(words: Int32Array, a: number, b: number): boolean {
  return (
    words[a + JOB_KEY_SLOT_WORD] === words[b + JOB_KEY_SLOT_WORD] &&
    words[a + JOB_KEY_VERSION_WORD] === words[b + JOB_KEY_VERSION_WORD] &&
    words[a + JOB_SIZE_WORD] === words[b + JOB_SIZE_WORD]
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
