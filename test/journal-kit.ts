// A journal alone: its folder, blocks like no other, and how the core lays one for its writer.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BLOCK_HEADER_SIZE, BlockWriter, sealBlock } from "../engine/block.js";
import { COMMAND } from "../engine/commands.js";
import { BLOCK_HASH_START } from "../engine/state.js";
import type { JournalDisk } from "../src/journal-disk.js";
import type { JournalWriter } from "../src/journal-writer.js";
import type { Scope } from "./server-kit.js";

const ENTRY_HEADER_SIZE = 24;
/** Of a block with an event of no bytes. */
export const BLOCK_SIZE_MIN = BLOCK_HEADER_SIZE + ENTRY_HEADER_SIZE;

/** A folder for a journal, gone when the test ends. */
export function journalFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "tongka-journal-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/**
 * A block of one event like no other, of `size` bytes, a multiple of 8, without its hash; of
 * time `position` ms.
 */
export function blockOf(
  position: number,
  size: number,
  previousHash = BLOCK_HASH_START,
): Uint8Array {
  const writer = new BlockWriter(size);
  writer.begin(position, position, 1, 0);
  writer.beginEntry(COMMAND.LIST_ENTRY, 0, 0, 0);
  const content = { length: size - BLOCK_SIZE_MIN };
  writer.addBytes(Uint8Array.from(content, (_, i) => position * 7 + i));
  writer.endEntry();
  writer.close(previousHash);
  return Uint8Array.from(writer.written);
}

/** The same with its hash. */
export function sealedOf(position: number, size: number, previousHash?: string): Uint8Array {
  const block = blockOf(position, size, previousHash);
  sealBlock(block);
  return block;
}

/** A disk in memory, over files that are there already. */
export function memoryDisk(files: Map<string, Uint8Array>): JournalDisk {
  const bytesOf = (name: string) => files.get(name) ?? new Uint8Array(0);
  return {
    names: () => [...files.keys()],
    size: (name) => files.get(name)?.length ?? -1,
    read: (name, offset, into) => {
      const bytes = bytesOf(name).subarray(offset, offset + into.length);
      into.set(bytes);
      return bytes.length;
    },
    create: (name) => {
      files.set(name, new Uint8Array(0));
    },
    write: (name, offset, bytes) => {
      const before = bytesOf(name);
      const after = new Uint8Array(Math.max(before.length, offset + bytes.length));
      after.set(before);
      after.set(bytes, offset);
      files.set(name, after);
    },
    sync: () => {},
    close: () => {},
  };
}

/** Appends a block, laid where the core fills every second one. */
export function append(
  writer: JournalWriter,
  position: number,
  block: Uint8Array,
): Promise<number> {
  const bytes = new Uint8Array(writer.memory[position & 1]!, 0, block.length);
  bytes.set(block);
  return writer.append(position, bytes);
}
