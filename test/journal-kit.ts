// A journal alone: its folder, blocks like no other, and how the core lays one for its writer.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JournalWriter } from "../src/journal-writer.js";
import type { Scope } from "./server-kit.js";

/** A folder for a journal, gone when the test ends. */
export function journalFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "tongka-journal-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A block like no other, of `size` bytes, without its hash. */
export function blockOf(position: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => position * 7 + i);
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
