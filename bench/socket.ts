// A WebSocket for load: as little as the protocol allows (RFC 6455), so that the load generator
// costs less than the server. Tongka's frames are made ahead of time; what is sent at once goes in
// one message (protocol/message.ts), or each in a message of its own. A mask key of zero masks
// nothing. Not for anything but load on this machine.

import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { FRAME_BODY_SIZE_OFFSET, FRAME_SIZE_MIN } from "../protocol/frame.js";
import { GATHERED_SUBPROTOCOL } from "../protocol/message.js";
import { connect } from "./connection.js";

const BINARY_FINAL = 0x82;
const MASKED = 0x80;
const MASK_KEY_SIZE = 4;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const LENGTH_7_MAX = 125;
const HEADER_SIZE_MAX = 10 + MASK_KEY_SIZE;

/** Bytes of a client message's header before a payload of `size`. */
function clientHeaderSize(size: number): number {
  if (size <= LENGTH_7_MAX) return 2 + MASK_KEY_SIZE;
  return size <= 0xffff ? 4 + MASK_KEY_SIZE : HEADER_SIZE_MAX;
}

/** Writes the header of a client message; the payload stands right behind it. Returns its size. */
function writeClientHeader(bytes: Buffer, offset: number, size: number): number {
  bytes[offset] = BINARY_FINAL;
  const headerSize = clientHeaderSize(size);
  if (size <= LENGTH_7_MAX) bytes[offset + 1] = MASKED | size;
  else if (size <= 0xffff) {
    bytes[offset + 1] = MASKED | LENGTH_16;
    bytes.writeUInt16BE(size, offset + 2);
  } else {
    bytes[offset + 1] = MASKED | LENGTH_64;
    bytes.writeBigUInt64BE(BigInt(size), offset + 2);
  }
  bytes.fill(0, offset + headerSize - MASK_KEY_SIZE, offset + headerSize);
  return headerSize;
}

/** Bytes of the frame at `start`, as it says. */
function frameSizeAt(bytes: Buffer, start: number): number {
  return FRAME_SIZE_MIN + bytes.readUInt32LE(start + FRAME_BODY_SIZE_OFFSET);
}

/** Receives a frame: `bytes[start..start+size)`, valid during the call. */
export type FrameSink = (bytes: Buffer, start: number, size: number) => void;

export class LoadSocket {
  private rest: Buffer | null = null;
  /** Where messages are put together, to be used again when it has been written. */
  private scratch = Buffer.alloc(0);

  private constructor(
    readonly socket: Socket,
    private readonly gathers: boolean,
    private readonly onFrame: FrameSink,
    /** Called after the messages of one read, so that what they call for leaves in one write. */
    private readonly onRead: () => void,
  ) {}

  /**
   * Connects and upgrades; resolves when frames can be sent. With `gathers` what is sent at once is
   * one message.
   */
  static open(
    url: string,
    gathers: boolean,
    onFrame: FrameSink,
    onRead: () => void,
  ): Promise<LoadSocket> {
    const { hostname, port, pathname } = new URL(url);
    let take: (bytes: Buffer) => void = () => {};
    const socket = connect(hostname, Number(port), (bytes) => take(bytes));
    const load = new LoadSocket(socket, gathers, onFrame, onRead);
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        (gathers ? `Sec-WebSocket-Protocol: ${GATHERED_SUBPROTOCOL}\r\n` : "") +
        `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      take = (bytes) => {
        const end = bytes.indexOf("\r\n\r\n");
        if (end < 0 || !bytes.subarray(0, 12).equals(Buffer.from("HTTP/1.1 101"))) {
          reject(new Error("the server did not upgrade"));
          return;
        }
        take = (more) => load.take(more);
        if (bytes.length > end + 4) load.take(bytes.subarray(end + 4));
        resolve(load);
      };
    });
  }

  /** Sends frames that stand one behind the other, in one write. */
  send(frames: Buffer): void {
    const room = frames.length + HEADER_SIZE_MAX * Math.ceil(frames.length / FRAME_SIZE_MIN);
    if (this.scratch.length < room) this.scratch = Buffer.allocUnsafeSlow(2 * room);
    const { scratch } = this;
    let used = 0;
    for (let at = 0; at < frames.length; ) {
      const size = this.gathers ? frames.length : frameSizeAt(frames, at);
      used += writeClientHeader(scratch, used, size);
      used += frames.copy(scratch, used, at, at + size);
      at += size;
    }
    this.socket.write(scratch.subarray(0, used));
    // What the kernel has not taken yet must stay as it is.
    if (this.socket.writableLength > 0) this.scratch = Buffer.alloc(0);
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    const data = this.rest === null ? chunk : Buffer.concat([this.rest, chunk]);
    let offset = 0;
    while (offset + 2 <= data.length) {
      const short = data[offset + 1]!;
      const headerSize = short < LENGTH_16 ? 2 : short === LENGTH_16 ? 4 : 10;
      if (offset + headerSize > data.length) break;
      let size = short;
      if (short === LENGTH_16) size = data.readUInt16BE(offset + 2);
      else if (short === LENGTH_64) size = Number(data.readBigUInt64BE(offset + 2));
      if (offset + headerSize + size > data.length) break;
      const end = offset + headerSize + size;
      if (data[offset] === BINARY_FINAL) this.takeFrames(data, offset + headerSize, end);
      offset = end;
    }
    this.rest = offset === data.length ? null : Buffer.from(data.subarray(offset));
    this.onRead();
  }

  private takeFrames(data: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const size = frameSizeAt(data, at);
      this.onFrame(data, at, size);
      at += size;
    }
  }
}
