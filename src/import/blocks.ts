// A file read in blocks of whole records, some 256 KB each, and told where each block ends: the
// offsets at which an import can be taken up again.
//
// What no row-by-row report could make sense of stops the file: bytes that are not UTF-8, NUL, a
// compressed file, a quote that never closes, a record without end.

import { isAscii, isUtf8 } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { findRecord, type RecordSpan } from "./csv.js";

const BLOCK_SIZE = 256 * 1024;
const RECORD_SIZE_MAX = 1024 * 1024;
const NEWLINE = 10;
const QUOTE = 34;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** A file that cannot be read as rows at all. The message names file and line, never content. */
export class BrokenFileError extends Error {
  override name = "BrokenFileError";
}

export type FileFormat = "csv" | "ndjson";

export interface Block {
  text: string;
  /** Line number of its first line, from 1, and of the line after it. */
  line: number;
  endLine: number;
  /** Byte offset in the file of its first byte and of the first after it. */
  offset: number;
  end: number;
  /** CSV only: whether records must be found by their quotes. */
  hasQuotes: boolean;
}

export class BlockReader {
  readonly size: number;
  readonly format: FileFormat;
  private readonly handle: FileHandle;
  private readonly path: string;

  private constructor(path: string, handle: FileHandle, size: number, format: FileFormat) {
    this.path = path;
    this.handle = handle;
    this.size = size;
    this.format = format;
  }

  /** Opens a file and looks at its first bytes: "{" begins NDJSON, anything else is CSV. */
  static async open(path: string): Promise<BlockReader> {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      const head = Buffer.alloc(64);
      const { bytesRead } = await handle.read(head, 0, head.length, 0);
      const start = head.subarray(0, bytesRead);
      refuseOtherFormats(path, start);
      const first = start
        .toString("latin1")
        .replace(/^\u00ef\u00bb\u00bf/, "")
        .trimStart();
      return new BlockReader(path, handle, size, first.startsWith("{") ? "ndjson" : "csv");
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** The blocks from a byte offset on, which is the beginning of line `line`. */
  async *blocks(offset: number, line: number): AsyncGenerator<Block> {
    let at = offset;
    let lineAt = line;
    let wanted = BLOCK_SIZE;
    while (at < this.size) {
      const bytes = await this.read(at, wanted);
      const block = this.cut(bytes, at, lineAt, at + bytes.length >= this.size);
      if (block !== null) {
        yield block;
        at = block.end;
        lineAt = block.endLine;
        wanted = BLOCK_SIZE;
      } else if (bytes.length < RECORD_SIZE_MAX) {
        wanted = Math.min(wanted * 2, RECORD_SIZE_MAX);
      } else {
        throw this.broken(lineAt, "is over 1 MB, or a quote in it is never closed");
      }
    }
  }

  private async read(offset: number, size: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(size, this.size - offset));
    let filled = 0;
    while (filled < bytes.length) {
      const left = bytes.length - filled;
      const { bytesRead } = await this.handle.read(bytes, filled, left, offset + filled);
      if (bytesRead === 0)
        throw new BrokenFileError(`${this.path} became shorter while it was read`);
      filled += bytesRead;
    }
    return bytes;
  }

  /** A block of the whole records in `bytes`; null when there is none. */
  private cut(bytes: Buffer, offset: number, line: number, last: boolean): Block | null {
    const size = last ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (size === 0) return null;
    const whole = bytes.subarray(0, size);
    this.checkBytes(whole, line);
    const skip = offset === 0 && whole.indexOf(BYTE_ORDER_MARK) === 0 ? BYTE_ORDER_MARK.length : 0;
    const shown = whole.subarray(skip);
    const text = isAscii(shown) ? shown.toString("latin1") : shown.toString("utf8");
    const hasQuotes = this.format === "csv" && whole.includes(QUOTE);
    const open = hasQuotes ? openRecord(text) : text.length;
    const kept = open === text.length ? size : skip + Buffer.byteLength(text.slice(0, open));
    const endLine = line + countNewlines(whole, kept);
    if (last && kept < size) throw this.broken(endLine, "has a quote that is never closed");
    if (open === 0) return null;
    return { text: text.slice(0, open), line, endLine, offset, end: offset + kept, hasQuotes };
  }

  private checkBytes(bytes: Buffer, line: number): void {
    const nul = bytes.indexOf(0);
    if (nul !== -1) throw this.broken(line + countNewlines(bytes, nul), "has a NUL byte");
    if (isUtf8(bytes)) return;
    for (let start = 0, at = line; start < bytes.length; at++) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline + 1;
      if (!isUtf8(bytes.subarray(start, end))) {
        throw this.broken(at, "is not UTF-8 (for GBK: iconv -f gbk -t utf-8)");
      }
      start = end;
    }
  }

  private broken(line: number, what: string): BrokenFileError {
    return new BrokenFileError(`${this.path}: line ${line} ${what}`);
  }
}

/** Where the record that ends within quotes begins; the text's length when there is none. */
function openRecord(text: string): number {
  const span: RecordSpan = { start: 0, end: 0, next: 0, lines: 0, quoted: false, open: false };
  for (let at = 0; at < text.length; at = span.next) {
    findRecord(text, at, span);
    if (span.open) return at;
  }
  return text.length;
}

function countNewlines(bytes: Buffer, end: number): number {
  let count = 0;
  for (
    let at = bytes.indexOf(NEWLINE);
    at !== -1 && at < end;
    at = bytes.indexOf(NEWLINE, at + 1)
  ) {
    count++;
  }
  return count;
}

function refuseOtherFormats(path: string, start: Buffer): void {
  const [a, b, c, d] = start;
  if (a === 0x1f && b === 0x8b) throw new BrokenFileError(`${path} is compressed: gunzip it first`);
  if (a === 0x50 && b === 0x4b && c === 3 && d === 4) {
    throw new BrokenFileError(`${path} is a ZIP or Excel file: save it as CSV in UTF-8`);
  }
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw new BrokenFileError(`${path} is UTF-16: convert it to UTF-8`);
  }
}
