// Room behind the journal's pages, on a real file: commits find it, it has its bounds, and the
// journal is what it was. What becomes of it when its writes fail is test/crash's.

import { closeSync, constants, openSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { FREE_MIN, JournalRoom, ROOM_SIZE, STEP_SIZE } from "../src/journal-room.js";
import { FILE_SIZE_MAX, JournalStore } from "../src/journal-store.js";
import { JournalWriter } from "../src/journal-writer.js";
import { append, blockOf, journalFolder, sealedOf } from "./journal-kit.js";

const BLOCK_SIZE = 8192;
const LIMITS = { blockSizeMax: BLOCK_SIZE, fileSizeMax: FILE_SIZE_MAX };

function fileOf(folder: string): string {
  return join(folder, "journal", "0000000000000001.blocks");
}

function sizeOf(folder: string): number {
  return statSync(fileOf(folder)).size;
}

/** A journal with its room, as its thread has them; null where no room can be made. */
function opened(test: Test): { folder: string; store: JournalStore; room: JournalRoom } | null {
  const folder = journalFolder(test);
  const store = new JournalStore(folder);
  store.appendSync(1, sealedOf(1, BLOCK_SIZE));
  test.teardown(() => store.close());
  const why = whyNone(folder);
  if (why !== "") {
    test.pass(why, { skip: why });
    return null;
  }
  const room = new JournalRoom(folder, FILE_SIZE_MAX);
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
  for (let position = 2; position <= 2000; position++) {
    const before = sizeOf(folder);
    store.appendSync(position, sealedOf(position, BLOCK_SIZE));
    room.wrote(BLOCK_SIZE);
    if (sizeOf(folder) > before && position > 100) longer++;
    if (room.isDue) room.make(store.end!);
    most = Math.max(most, sizeOf(folder) - store.end!.offset);
  }
  t.equal(longer, 0, "commits that made the file longer");
  t.ok(most >= ROOM_SIZE - STEP_SIZE && most < ROOM_SIZE + STEP_SIZE, `${most} bytes at most`);
  t.notOk(room.isDue, "nothing is written: no room is made");
  const blocks = [...store.from(1)];
  const wrong = blocks.filter((bytes, i) => {
    return Buffer.compare(bytes, sealedOf(i + 1, BLOCK_SIZE)) !== 0;
  });
  t.equal(blocks.length, 2000);
  t.equal(wrong.length, 0);
});

t.test("a journal goes on in the room that one before it has made", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store, room } = kit;
  for (let i = 0; i < 8; i++) room.make(store.end!);
  const size = sizeOf(folder);
  t.equal(size, store.end!.offset + 8 * STEP_SIZE);
  room.close();
  await store.close();

  const restarted = new JournalStore(folder);
  t.teardown(() => restarted.close());
  t.same(restarted.blockOf(1), sealedOf(1, BLOCK_SIZE));
  for (let position = 2; position <= 120; position++) {
    restarted.appendSync(position, sealedOf(position, BLOCK_SIZE));
  }
  t.equal(sizeOf(folder), size, "it has not grown");
  t.equal([...restarted.from(1)].length, 120);
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
  room.make(store.end!);
  t.equal(sizeOf(folder), size);
});

t.test("a folder without such writes has none, and no error", async (t) => {
  const room = new JournalRoom(join(journalFolder(t), "nothing"), FILE_SIZE_MAX);
  room.wrote(200_000);
  room.make({ name: "0000000000000001.blocks", offset: 0 });
  room.wrote(200_000);
  t.notOk(room.isDue, "it is not tried again");
  room.close();
});

t.test("room follows to the next file, and ends where that ends", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder } = kit;
  const fileSizeMax = 2 * STEP_SIZE;
  const store = new JournalStore(folder, { fileSizeMax });
  const room = new JournalRoom(folder, fileSizeMax);
  t.teardown(() => Promise.all([store.close(), room.close()]));
  const names = new Set<string>();
  for (let position = 2; position <= 200; position++) {
    store.appendSync(position, sealedOf(position, BLOCK_SIZE));
    room.wrote(BLOCK_SIZE);
    if (room.isDue) room.make(store.end!);
    names.add(store.end!.name);
  }
  t.ok(names.size > 2, "several files");
  for (const name of names) {
    const { size } = statSync(join(folder, "journal", name));
    t.ok(size < fileSizeMax + STEP_SIZE + BLOCK_SIZE, `${name}: ${size} bytes`);
  }
  t.equal([...store.from(1)].length, 200);
});

t.test("the thread of the journal makes room between its blocks", async (t) => {
  const kit = opened(t);
  if (kit === null) return;
  const { folder, store } = kit;
  const writer = await JournalWriter.open(folder, LIMITS);
  for (let position = 2; position <= 100; position++) {
    await append(writer, position, blockOf(position, BLOCK_SIZE));
  }
  await writer.close();
  const room = sizeOf(folder) - 100 * BLOCK_SIZE;
  t.ok(room > STEP_SIZE && room < ROOM_SIZE, `${room} bytes`);
  t.equal([...store.from(1)].length, 100);
});
