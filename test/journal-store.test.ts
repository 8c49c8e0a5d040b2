// The journal's files, on a real folder: blocks over many files, ends that a crash has left,
// damage, and readers beside the writer. What a real disk does at a power cut is test/crash's.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t, { type Test } from "tap";
import { BlockReader, blockProblem, chainProblem } from "../engine/block.js";
import { BLOCK_HASH_START } from "../engine/state.js";
import { openLmdb } from "../src/database.js";
import { type JournalDisk, type OpenJournalDisk, openFolder } from "../src/journal-disk.js";
import { type JournalOptions, JournalStore } from "../src/journal-store.js";
import { takeOverJournal } from "../src/journal-takeover.js";
import { BLOCK_SIZE_MIN, journalFolder, sealedOf } from "./journal-kit.js";

const SECTOR_SIZE = 512;

function opened(t: Test, folder: string, options: JournalOptions = {}): JournalStore {
  const store = new JournalStore(folder, options);
  t.teardown(() => store.close());
  return store;
}

function filesOf(folder: string): string[] {
  const names = readdirSync(join(folder, "journal")).sort();
  return names.map((name) => join(folder, "journal", name));
}

/** Appends a sealed block for each size, the first at `position`; returns them. */
function fill(store: JournalStore, sizes: readonly number[], position = 1): Uint8Array[] {
  return sizes.map((size, i) => {
    const block = sealedOf(position + i, size);
    store.appendSync(position + i, block);
    return block;
  });
}

/** As `fill`, each block with the hash of the one before. */
function fillChained(store: JournalStore, sizes: readonly number[]): Uint8Array[] {
  let hash = BLOCK_HASH_START;
  return sizes.map((size, i) => {
    const block = sealedOf(i + 1, size, hash);
    store.appendSync(i + 1, block);
    hash = new BlockReader(block).hash;
    return block;
  });
}

/** How many blocks a reader takes who checks them, and what stopped it; "" the end. */
function followed(folder: string, blocks: readonly Uint8Array[]) {
  const store = new JournalStore(folder, { readOnly: true });
  const end = { position: 0, timeMs: 0, blockHash: BLOCK_HASH_START };
  let count = 0;
  for (const bytes of store.from(1)) {
    const problem = blockProblem(bytes) || chainProblem(bytes, end);
    if (problem !== "") return { count, problem };
    if (Buffer.compare(bytes, blocks[count]!) !== 0) throw new Error("a block of nobody's");
    const { lastPosition, timeMs, hash } = new BlockReader(bytes);
    Object.assign(end, { position: lastPosition, timeMs, blockHash: hash });
    count++;
  }
  return { count, problem: "" };
}

function sizesOf(count: number, size: number): number[] {
  return Array.from({ length: count }, (_, i) => size + (i % 5) * 8);
}

const SIZES = fc.array(
  fc
    .oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 3000 }))
    .map((n) => BLOCK_SIZE_MIN + n * 8),
  { minLength: 1, maxLength: 30 },
);

t.test("blocks of any size are found again, over any files and restarts", async (t) => {
  fc.assert(
    fc.property(SIZES, fc.integer({ min: 1, max: 60_000 }), fc.nat(), (sizes, fileSizeMax, at) => {
      const folder = journalFolder(t);
      const cut = at % (sizes.length + 1);
      const first = new JournalStore(folder, { fileSizeMax });
      const blocks = fill(first, sizes.slice(0, cut));
      void first.close();
      const second = new JournalStore(folder, { fileSizeMax });
      blocks.push(...fill(second, sizes.slice(cut), cut + 1));
      const third = new JournalStore(folder, { readOnly: true });
      for (const store of [second, third]) {
        const found = [...store.from(1)];
        if (found.length !== blocks.length) return false;
        for (const [i, block] of blocks.entries()) {
          if (Buffer.compare(found[i]!, block) !== 0) return false;
          if (Buffer.compare(store.blockOf(i + 1)!, block) !== 0) return false;
        }
        const from = [...store.from(cut)];
        if (from.length !== blocks.length - Math.max(cut - 1, 0)) return false;
        if (store.lastPosition !== blocks.length || store.unfinishedSize !== 0) return false;
        void store.close();
      }
      return true;
    }),
    { numRuns: 60 },
  );
  t.pass("60 journals");
});

t.test("what is behind the end belongs to the last block, what is before none to nobody", (t) => {
  const folder = journalFolder(t);
  const store = opened(t, folder);
  t.equal(store.blockOf(1), null, "nothing yet");
  t.same([...store.from(1)], []);
  t.equal(store.lastPosition, 0);
  const blocks = fill(store, sizesOf(3, 1000));
  t.same(store.blockOf(99), blocks[2]);
  t.same([...store.from(99)], [blocks[2]]);
  t.same([...store.from(0)], blocks);
  t.end();
});

t.test("a block that was torn is dropped, wherever it is torn", async (t) => {
  const folder = journalFolder(t);
  const whole = fill(opened(t, folder), sizesOf(3, 904));
  const file = filesOf(folder)[0]!;
  const before = readFileSync(file);
  const end = whole.reduce((sum, { length }) => sum + length, 0);
  fill(opened(t, folder), [9000], 4);
  const after = readFileSync(file);
  const disk = Buffer.concat([before, Buffer.alloc(after.length - before.length)]);
  const sectorCount = after.length / SECTOR_SIZE;
  const torn = (kept: (sector: number) => boolean) => {
    const image = Buffer.alloc(after.length);
    for (let sector = 0; sector < sectorCount; sector++) {
      const start = sector * SECTOR_SIZE;
      (kept(sector) ? after : disk).copy(image, start, start, start + SECTOR_SIZE);
    }
    return image;
  };
  const images = [
    ...Array.from({ length: sectorCount }, (_, missing) => torn((sector) => sector !== missing)),
    ...Array.from({ length: sectorCount }, (_, only) => torn((sector) => sector === only)),
    ...Array.from({ length: sectorCount }, (_, cut) => torn((sector) => sector < cut)),
    ...[1, 2, 3].map((n) => torn((sector) => (sector * 7 + n) % 3 === 0)),
  ];
  let dropped = 0;
  for (const image of images) {
    writeFileSync(file, image);
    const store = new JournalStore(folder);
    const found = [...store.from(1)];
    const isWhole = found.length === 4;
    t.ok(isWhole || found.length === 3, `${found.length} blocks`);
    t.same(found.slice(0, 3), whole);
    const { unfinishedSize } = store;
    t.equal(await store.confirm(), isWhole ? 0 : unfinishedSize);
    if (unfinishedSize > 0) dropped++;
    t.ok(
      readFileSync(file)
        .subarray(isWhole ? end + 9000 : end)
        .every((byte) => byte === 0),
    );
    if (!isWhole) fill(store, [BLOCK_SIZE_MIN], 4);
    fill(store, [2000], 5);
    t.same([...store.from(1)].length, 5, "it goes on where it ended");
    await store.close();
  }
  t.ok(dropped > 30, `${dropped} were torn`);
});

t.test("a file that was begun, and its first block that was torn", async (t) => {
  const folder = journalFolder(t);
  const options = { fileSizeMax: 4000 };
  const blocks = fill(opened(t, folder, options), sizesOf(6, 1200));
  const [, second] = filesOf(folder);
  const secondBytes = readFileSync(second!);
  const kept = blocks.slice(0, 4);
  for (const image of [Buffer.alloc(0), Buffer.alloc(8192), secondBytes.subarray(0, 600)]) {
    writeFileSync(second!, image);
    const store = opened(t, folder, options);
    t.same([...store.from(1)], kept);
    t.same(store.blockOf(5), kept[3], "the last there is");
    t.equal(store.lastPosition, 4);
    await store.confirm();
    t.same(
      fill(store, [1208, 1216], 5),
      blocks.slice(4).map((_, i) => sealedOf(5 + i, 1208 + i * 8)),
    );
    t.equal(filesOf(folder).length, 2, "in the file that was begun");
    t.equal([...opened(t, folder).from(1)].length, 6);
  }
});

t.test("damage is handed out as it is, for a whole block follows", async (t) => {
  const folder = journalFolder(t);
  const sizes = sizesOf(12, 1000);
  const blocks = fill(opened(t, folder, { fileSizeMax: 6000 }), sizes);
  const [first, last] = filesOf(folder) as [string, string];
  t.equal(filesOf(folder).length, 2);
  const places = [
    { file: first, index: 0, start: 0 },
    { file: first, index: 2, start: sizes[0]! + sizes[1]! },
    // The last block of a file that another follows.
    { file: first, index: 5, start: sizes.slice(0, 5).reduce((a, b) => a + b) },
    { file: last, index: 6, start: 0 },
    { file: last, index: 8, start: sizes[6]! + sizes[7]! },
  ];
  for (const { file, index, start } of places) {
    const bytes = readFileSync(file);
    // The magic, the size, the position, the content; and all of it.
    for (const offset of [0, 24, 25, 8, 140, -1]) {
      const changed = Buffer.from(bytes);
      if (offset < 0) changed.fill(0, start, start + sizes[index]!);
      else changed[start + offset]! ^= 0x10;
      writeFileSync(file, changed);
      const found = [...new JournalStore(folder, { readOnly: true }).from(1)];
      t.same(found.slice(0, index), blocks.slice(0, index), `before byte ${offset} of ${index}`);
      t.not(found.length, index, "it is no end");
      const { firstPosition } = new BlockReader(found[index]!);
      const told = blockProblem(found[index]!) !== "" || firstPosition !== index + 1;
      t.ok(told, `byte ${offset} of block ${index}`);
      writeFileSync(file, bytes);
    }
  }
  t.same([...opened(t, folder).from(1)], blocks, "as it was");
});

t.test("random damage is told, or takes no more than the end", async (t) => {
  const folder = journalFolder(t);
  const blocks = fillChained(opened(t, folder, { fileSizeMax: 9000 }), sizesOf(30, 704));
  const files = filesOf(folder);
  const whole = files.map((file) => readFileSync(file));
  const lastStart = whole.at(-1)!.lastIndexOf(blocks.at(-1)!.subarray(0, 16));
  let told = 0;
  const damage = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(3000));
  fc.assert(
    fc.property(damage, ([which, where, flip, length]) => {
      const index = which % files.length;
      const bytes = Buffer.from(whole[index]!);
      const start = where % bytes.length;
      if (length < 1500) bytes[start]! ^= flip;
      else bytes.subarray(start, start + length).fill(flip);
      writeFileSync(files[index]!, bytes);
      const { count, problem } = followed(folder, blocks);
      writeFileSync(files[index]!, whole[index]!);
      if (problem !== "") told++;
      const isEnd = index === files.length - 1 && start + length >= lastStart;
      return problem !== "" || count === blocks.length || isEnd;
    }),
    { numRuns: 400 },
  );
  t.ok(told > 100, `${told} of 400 were told`);
});

t.test("a file that is gone leaves a gap, which the chain tells", async (t) => {
  const folder = journalFolder(t);
  const blocks = fill(opened(t, folder, { fileSizeMax: 3000 }), sizesOf(12, 1000));
  const [, second] = filesOf(folder);
  truncateSync(second!, 0);
  const found = [...opened(t, folder).from(1)];
  t.same(found, [...blocks.slice(0, 3), ...blocks.slice(6)]);
});

t.test("a reader finds what a writer beside it appends and begins", async (t) => {
  const folder = journalFolder(t);
  const writer = opened(t, folder, { fileSizeMax: 5000 });
  const reader = opened(t, folder, { readOnly: true });
  for (let position = 1; position <= 40; position++) {
    const [block] = fill(writer, [800 + position * 8], position);
    t.same(reader.blockOf(position), block);
    t.equal(reader.lastPosition, position);
  }
  t.ok(filesOf(folder).length > 5);
  t.equal([...reader.from(7)].length, 34);
});

t.test("a block that is being written is not read", async (t) => {
  const folder = journalFolder(t);
  const writer = opened(t, folder);
  const reader = opened(t, folder, { readOnly: true });
  fill(writer, [4000]);
  const file = filesOf(folder)[0]!;
  const before = readFileSync(file);
  fill(writer, [20_000], 2);
  const after = readFileSync(file);
  writeFileSync(file, Buffer.concat([after.subarray(0, 12_288), before.subarray(12_288)]));
  t.equal([...reader.from(1)].length, 1);
  t.ok(reader.unfinishedSize > 0);
  writeFileSync(file, after);
  t.equal([...reader.from(1)].length, 2);
});

t.test("steps walk to a place beforehand, over files that were begun meanwhile", async (t) => {
  const folder = journalFolder(t);
  const fileSizeMax = 2000 * BLOCK_SIZE_MIN;
  const writer = opened(t, folder, { fileSizeMax });
  fill(writer, sizesOf(10, BLOCK_SIZE_MIN));
  let readSize = 0;
  const openDisk: OpenJournalDisk = (...where) => {
    const disk = openFolder(...where);
    const read: JournalDisk["read"] = (name, offset, into) => {
      readSize += into.length;
      return disk.read(name, offset, into);
    };
    return Object.assign(Object.create(disk), { read });
  };
  const reader = opened(t, folder, { readOnly: true, openDisk });
  t.equal(reader.lastPosition, 10);
  fill(writer, sizesOf(5000, BLOCK_SIZE_MIN), 11);
  t.ok(filesOf(folder).length > 2);
  let steps = 0;
  let most = 0;
  for (const _ of reader.stepsTo(4000)) {
    most = Math.max(most, readSize);
    readSize = 0;
    steps++;
  }
  t.ok(steps > 6 && most < 400_000, `${steps} steps, of ${most} bytes at most`);
  readSize = 0;
  t.same(reader.blockOf(4000), sealedOf(4000, BLOCK_SIZE_MIN + ((4000 - 11) % 5) * 8));
  t.ok(readSize < 200_000, `${readSize} bytes read then`);
  const none = opened(t, journalFolder(t));
  t.same([...none.stepsTo(1)], []);
});

t.test("time finds the file to begin at", async (t) => {
  const folder = journalFolder(t);
  const store = opened(t, folder, { fileSizeMax: 3000 });
  t.equal(store.positionBefore(1), 1, "of nothing");
  // Each block has its position for its time, and three are a file.
  fill(store, sizesOf(12, 1000));
  const starts = [0, 1, 2, 4, 5, 8, 12, 99].map((timeMs) => store.positionBefore(timeMs));
  t.same(starts, [1, 1, 1, 1, 4, 7, 10, 10]);
});

t.test("one block at a time, and a file begins where it says", async (t) => {
  const folder = journalFolder(t);
  let finish = () => {};
  const disk = {
    names: () => [],
    size: () => -1,
    read: () => 0,
    create: () => {},
    write: () => new Promise<void>((resolve) => (finish = resolve)),
    sync: () => {},
    close: () => {},
  };
  const store = new JournalStore(folder, { openDisk: () => disk });
  const appended = store.append(1, sealedOf(1, 200));
  await t.rejects(store.append(2, sealedOf(2, 200)), /one block is written at a time/);
  finish();
  await appended;
  t.throws(() => store.appendSync(2, sealedOf(2, 200)), /done when it returns/);
});

t.test("a block that is not written whole is an error, and files of others are left", async (t) => {
  const folder = journalFolder(t);
  const store = opened(t, folder);
  fill(store, [1000]);
  writeFileSync(join(folder, "journal", "notes.txt"), "of somebody");
  const again = opened(t, folder);
  t.equal(again.lastPosition, 1);
  t.equal(await again.confirm(), 0);
  t.equal(readFileSync(join(folder, "journal", "notes.txt"), "utf8"), "of somebody");
  t.equal(statSync(filesOf(folder)[0]!).mode & 0o777, 0o600, "nobody else's to read");
  t.throws(() => new JournalStore(join(folder, "nowhere"), { readOnly: true }), /ENOENT/);
});

t.test("a journal of lmdb is taken over, also when that was cut off", async (t) => {
  const folder = journalFolder(t);
  const blocks = sizesOf(20, 3000).map((size, i) => sealedOf(i + 1, size));
  const old = openLmdb<number>(join(folder, "journal"));
  for (const [i, block] of blocks.entries()) await old.put(i + 1, block);
  await old.close();
  t.throws(() => new JournalStore(folder, { readOnly: true }), /older version: start the server/);
  await takeOverJournal(folder);
  t.same([...opened(t, folder).from(1)], blocks);
  t.notOk(existsSync(join(folder, "journal-lmdb")), "the old one is gone");
  await takeOverJournal(folder);
  t.same([...opened(t, folder).from(1)], blocks, "once");

  const other = journalFolder(t);
  const again = openLmdb<number>(join(other, "journal-lmdb"));
  for (const [i, block] of blocks.entries()) await again.put(i + 1, block);
  await again.close();
  mkdirSync(join(other, "journal"));
  writeFileSync(join(other, "journal", "0000000000000001.blocks"), blocks[0]!.subarray(0, 999));
  await takeOverJournal(other);
  t.same([...opened(t, other).from(1)], blocks, "it begins again");
});
