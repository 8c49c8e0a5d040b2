// Fuzzers of the journal's files: whatever became of their bytes, a reader ends, and takes nothing
// for a block that was not written as one.

import fc from "fast-check";
import { BLOCK_HEADER_SIZE, BlockReader, blockProblem } from "../../engine/block.js";
import { JournalStore } from "../../src/journal-store.js";
import { BLOCK_SIZE_MIN, memoryDisk, sealedOf } from "../journal-kit.js";
import { type Fuzzer, holds, spoilt } from "./fuzzer.js";

const SIZE_WORD = 6;

function storeOver(files: Map<string, Uint8Array>, fileSizeMax = 2000): JournalStore {
  return new JournalStore("", { fileSizeMax, openDisk: () => memoryDisk(files) });
}

/** Files of blocks at positions 1, 2 and so on, and the blocks. */
function written(contentSizes: readonly number[]) {
  const files = new Map<string, Uint8Array>();
  const store = storeOver(files);
  const blocks = contentSizes.map((size, i) => {
    const block = sealedOf(i + 1, BLOCK_SIZE_MIN + size * 8);
    store.appendSync(i + 1, block);
    return block;
  });
  return { files, blocks };
}

const sizes = fc.array(fc.nat(120), { minLength: 1, maxLength: 8 });

/** A file as it might be found: any bytes, or blocks of which some were changed or cut off. */
const image = fc.oneof(
  fc.uint8Array({ maxLength: 600 }),
  spoilt(sizes.map((contentSizes) => written(contentSizes).files.values().next().value!)),
);

const JOURNAL_FILE: Fuzzer = {
  name: "journal-file",
  about: "files of the journal: no bytes stop a reader, and what it finds whole was written",
  properties: () => [
    fc.property(fc.array(image, { minLength: 1, maxLength: 3 }), fc.nat(20), (images, position) => {
      const names = images.map((bytes, i) => [`${i * 4 + 1}`.padStart(16, "0"), bytes] as const);
      const files = new Map(names.map(([first, bytes]) => [`${first}.blocks`, bytes]));
      const store = storeOver(files);
      for (const bytes of store.from(position)) {
        if (blockProblem(bytes) === "") new BlockReader(bytes).entries().next();
      }
      store.blockOf(position);
      store.positionBefore(position);
      holds(store.lastPosition >= 0 && store.unfinishedSize >= 0, "sizes are sizes");
    }),
    fc.asyncProperty(sizes, fc.uint8Array({ maxLength: 3000 }), async (contentSizes, torn) => {
      const { files, blocks } = written(contentSizes);
      const [name] = [...files.keys()].sort().slice(-1);
      const store = storeOver(files);
      holds([...store.from(1)].length === blocks.length, "all blocks are read");
      const end = files.get(name!)!.findLastIndex((byte) => byte !== 0) + 1;
      const bytes = new Uint8Array(8192);
      bytes.set(files.get(name!)!.subarray(0, end));
      bytes.set(torn, Math.ceil(end / 8) * 8);
      files.set(name!, bytes);
      const found = [...storeOver(files).from(1)].slice(0, blocks.length);
      holds(
        found.every((block, i) => Buffer.compare(block, blocks[i]!) === 0),
        "what was written is read, whatever is behind it",
      );
    }),
  ],
  growth: [
    {
      what: "headers without blocks",
      size: 64,
      prepare: (count) => {
        const { files } = written([1]);
        const [name, before] = [...files][0]!;
        const start = BLOCK_SIZE_MIN + 16;
        const bytes = new Uint8Array(start + count * BLOCK_HEADER_SIZE + 8);
        bytes.set(before.subarray(0, start - 8));
        const header = sealedOf(9, BLOCK_SIZE_MIN).subarray(0, BLOCK_HEADER_SIZE);
        for (let at = start; at < bytes.length - 8; at += BLOCK_HEADER_SIZE) {
          bytes.set(header, at);
          new Int32Array(bytes.buffer, at, BLOCK_HEADER_SIZE / 4)[SIZE_WORD] =
            bytes.length - 8 - at;
        }
        bytes[bytes.length - 8] = 1;
        files.set(name, bytes);
        return () => {
          const found = [...storeOver(files).from(1)];
          holds(found.length <= 2, "one block was written");
        };
      },
    },
  ],
};

export const JOURNAL_FUZZERS: readonly Fuzzer[] = [JOURNAL_FILE];
