// A text file written line by line: lines gather to a chunk, chunks go out one after another, so
// that memory stays small however long the file grows.

import { type FileHandle, open } from "node:fs/promises";

const CHUNK_LENGTH = 512 * 1024;

export class LineWriter {
  readonly path: string;
  lineCount: number;
  size: number;
  private readonly handle: FileHandle;
  private parts: string[];
  private length: number;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.lineCount = 0;
    this.size = 0;
    this.handle = handle;
    this.parts = [];
    this.length = 0;
  }

  /** Makes the file anew; `mode` as of open(2). */
  static async create(path: string, mode = 0o644): Promise<LineWriter> {
    return new LineWriter(path, await open(path, "w", mode));
  }

  /** Adds a line. Call `drain` now and then: this only gathers. */
  add(line: string): void {
    this.parts.push(line);
    this.length += line.length + 1;
    this.lineCount++;
  }

  /** Writes what has gathered once it is a chunk; throws what the disk says. */
  async drain(): Promise<void> {
    if (this.length >= CHUNK_LENGTH) await this.write();
  }

  /** Writes the rest and closes the file. */
  async close(): Promise<void> {
    await this.write();
    await this.handle.close();
  }

  /** Closes the file without writing the rest, after a failure. */
  async abandon(): Promise<void> {
    await this.handle.close();
  }

  private async write(): Promise<void> {
    if (this.parts.length === 0) return;
    const bytes = Buffer.from(`${this.parts.join("\n")}\n`);
    this.parts = [];
    this.length = 0;
    this.size += bytes.length;
    await this.handle.writeFile(bytes);
  }
}
