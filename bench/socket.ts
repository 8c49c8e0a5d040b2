// A WebSocket for load: as little as the protocol allows (RFC 6455), so that the load generator
// costs less than the server. Frames are made ahead of time and sent as they are; a mask key of
// zero masks nothing. Not for anything but load on this machine.

import { randomBytes } from "node:crypto";
import { createConnection, type Socket } from "node:net";

const BINARY_FINAL = 0x82;
const MASKED = 0x80;
const MASK_KEY_SIZE = 4;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const LENGTH_7_MAX = 125;

/** Bytes of a client frame's header before a payload of `size`. */
export function clientHeaderSize(size: number): number {
  if (size <= LENGTH_7_MAX) return 2 + MASK_KEY_SIZE;
  return size <= 0xffff ? 4 + MASK_KEY_SIZE : 10 + MASK_KEY_SIZE;
}

/** Writes the header of a client frame; the payload stands right behind it. */
export function writeClientHeader(bytes: Buffer, offset: number, size: number): number {
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

/** Receives the payload of a message: `bytes[start..start+size)`, valid during the call. */
export type MessageSink = (bytes: Buffer, start: number, size: number) => void;

export class LoadSocket {
  private rest: Buffer | null = null;

  private constructor(
    readonly socket: Socket,
    private readonly onMessage: MessageSink,
    /** Called after the messages of one read, so that what they call for leaves in one write. */
    private readonly onRead: () => void,
  ) {}

  /** Connects and upgrades; resolves when frames can be sent. */
  static open(url: string, onMessage: MessageSink, onRead: () => void): Promise<LoadSocket> {
    const { hostname, port, pathname } = new URL(url);
    const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
    const load = new LoadSocket(socket, onMessage, onRead);
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("data", (data) => {
        const end = data.indexOf("\r\n\r\n");
        if (end < 0 || !data.subarray(0, 12).equals(Buffer.from("HTTP/1.1 101"))) {
          reject(new Error("the server did not upgrade"));
          return;
        }
        socket.on("data", (chunk) => load.take(chunk));
        if (data.length > end + 4) load.take(data.subarray(end + 4));
        resolve(load);
      });
    });
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
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
      if (data[offset] === BINARY_FINAL) this.onMessage(data, offset + headerSize, size);
      offset += headerSize + size;
    }
    this.rest = offset === data.length ? null : Buffer.from(data.subarray(offset));
    this.onRead();
  }
}
