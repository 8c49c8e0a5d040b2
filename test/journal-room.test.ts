// Room behind the journal's pages, on a real file: commits find it, it has its bounds, and the
// journal is what it was. What becomes of it when its writes fail is test/crash's.

import { closeSync, constants, openSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { FREE_MIN, JournalRoom, ROOM_SIZE, STEP_SIZE } from "../src/journal-room.js";
import { JournalWriter } from "../src/journal-writer.js";
import { JournalStore } from "../src/storage.js";
import { append, blockOf, journalFolder } from "./journal-kit.js";

const BLOCK_SIZE = 8192;

function fileOf(folder: string): string {
  return join(folder, "journal", "data.mdb");
}

function sizeOf(folder: string): number {
  return statSync(fileOf(folder)).size;
}

/** A journal with its room, as its thread has them; null where no room can be made. */
function opened(test: Test): { folder: string; store: JournalStore; room: JournalRoom } | null {
  const folder = journalFolder(test);
  const store = new JournalStore(folder);
  test.teardown(() => store.close());
  const why = whyNone(folder);
  if (why !== "") {
    test.pass(why, { skip: why });
    return null;
  }
  const room = new JournalRoom(folder);
  test.teardown(() => room.close());
  return { folder, store, room };
}

/** Why no room can be made here; "" it can. */
function whyNone(folder: string): string {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 2 * FREE_MIN) return "the disk has little left";
  try {
    closeSync(openSync(fileOf(folder), constants.O_RDONLY | constants.O_DIRECT));
    return "";
  } catch {
    return "no writes past the page cache here";
  }
}

t.test("commits find room, which has its bounds, and all blocks are there", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store, room } = kit;
  let longer = 0;
  let most = 0;
  for (let position = 1; position <= 2000; position++) {
    const before = sizeOf(folder);
    store.appendSync(position, blockOf(position, BLOCK_SIZE));
    room.wrote(BLOCK_SIZE);
    if (sizeOf(folder) > before && position > 100) longer++;
    if (room.isDue) room.make(store.pagesEnd);
    most = Math.max(most, sizeOf(folder) - store.pagesEnd);
  }
  t.equal(longer, 0, "commits that made the file longer");
  t.ok(most >= ROOM_SIZE - STEP_SIZE && most < ROOM_SIZE + STEP_SIZE, `${most} bytes at most`);
  t.notOk(room.isDue, "nothing is written: no room is made");
  const wrong = [...store.from(1)].filter((bytes, i) => {
    return Buffer.compare(bytes, blockOf(i + 1, BLOCK_SIZE)) !== 0;
  });
  t.equal(store.count, 2000);
  t.equal(wrong.length, 0);
});

t.test("a journal goes on in the room that one before it has made", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store, room } = kit;
  store.appendSync(1, blockOf(1, BLOCK_SIZE));
  for (let i = 0; i < 8; i++) room.make(store.pagesEnd);
  const size = sizeOf(folder);
  t.equal(size, store.pagesEnd + 8 * STEP_SIZE);
  room.close();
  await store.close();

  const restarted = new JournalStore(folder);
  t.teardown(() => restarted.close());
  t.same(Uint8Array.from(restarted.blockOf(1)!), blockOf(1, BLOCK_SIZE));
  for (let position = 2; position <= 120; position++) {
    restarted.appendSync(position, blockOf(position, BLOCK_SIZE));
  }
  t.equal(sizeOf(folder), size, "it has not grown");
  t.equal(restarted.count, 120);
});

t.test("few blocks and large ones make no room, and a closed room none at all", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store, room } = kit;
  room.wrote(60_000);
  t.notOk(room.isDue, "few bytes");
  room.wrote(STEP_SIZE);
  room.wrote(60_000);
  t.notOk(room.isDue, "large blocks between");
  room.wrote(60_000);
  t.ok(room.isDue);
  room.close();
  t.notOk(room.isDue, "closed");
  const size = sizeOf(folder);
  room.make(store.pagesEnd);
  t.equal(sizeOf(folder), size);
});

t.test("a folder without such writes has none, and no error", async (t) => {
  const room = new JournalRoom(join(journalFolder(t), "nothing"));
  room.wrote(200_000);
  t.notOk(room.isDue);
  room.close();
});

t.test("the thread of the journal makes room between its blocks", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store } = kit;
  const writer = await JournalWriter.open(folder, BLOCK_SIZE);
  for (let position = 1; position <= 100; position++) {
    await append(writer, position, blockOf(position, BLOCK_SIZE));
  }
  await writer.close();
  const room = sizeOf(folder) - store.pagesEnd;
  t.ok(room > STEP_SIZE && room < ROOM_SIZE, `${room} bytes`);
  t.equal(store.count, 100);
});
