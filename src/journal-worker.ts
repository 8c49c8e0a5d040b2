// The thread of the journal's writer: seals and writes the block in shared memory, says so there
// and by a message, and waits for the next one. It waits on a word and not in its event loop, so
// nothing in this thread may hang on events, promises or timers.

import { parentPort, workerData } from "node:worker_threads";
import { sealBlock } from "../engine/block.js";
import { JournalRoom } from "./journal-room.js";
import { JournalStore } from "./journal-store.js";
import {
  DONE_WORD,
  FAILED_WORD,
  type JournalWriterData,
  MEMORY_WORD,
  ORDERS_WORD,
  SIZE_END,
  SIZE_WORD,
} from "./journal-writer.js";
import { monotonicMs } from "./shared-clock.js";

const { folder, fileSizeMax, words, position, doneMs, memory } = workerData as JournalWriterData;
const store = new JournalStore(folder, { fileSizeMax });
const room = new JournalRoom(folder, fileSizeMax);
let done = 0;
parentPort!.postMessage(done);
for (;;) {
  const order = Atomics.load(words, ORDERS_WORD);
  if (order === done) {
    if (room.isDue) {
      room.make(store.end!);
      continue;
    }
    // It may also end without a new block: by the wake-up for one that was seen before it slept.
    Atomics.wait(words, ORDERS_WORD, done);
    continue;
  }
  const size = words[SIZE_WORD]!;
  if (size === SIZE_END) break;
  try {
    const bytes = new Uint8Array(memory[words[MEMORY_WORD]!]!, 0, size);
    sealBlock(bytes);
    store.appendSync(position[0]!, bytes);
    room.wrote(size);
  } catch {
    words[FAILED_WORD] = 1;
  }
  done = order;
  doneMs[0] = monotonicMs();
  Atomics.store(words, DONE_WORD, done);
  parentPort!.postMessage(done);
}
room.close();
await store.close();
