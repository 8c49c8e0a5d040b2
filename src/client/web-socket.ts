// One WebSocket as a transport: the only place of the client that knows `ws`. Frames that are sent
// in one turn leave in one message, and a message brings several (protocol/message.ts).

import { WebSocket } from "ws";
import { framesOf, GATHERED_ALIGNMENT, GATHERED_SUBPROTOCOL } from "../../protocol/message.js";
import type { Transport, TransportEvents } from "./transport.js";

const HANDSHAKE_MS_MAX = 5_000;
/** More than the largest frame of outcomes has (131,120 bytes). */
const PAYLOAD_SIZE_MAX = 262_192;
const NORMAL_CLOSURE = 1000;

export class WebSocketTransport implements Transport {
  private readonly socket: WebSocket;
  /** The message that leaves at the end of this turn. */
  private frames: Uint8Array[] = [];
  private size = 0;
  private closed = false;

  constructor(url: string, events: TransportEvents) {
    this.socket = new WebSocket(url, GATHERED_SUBPROTOCOL, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      maxPayload: PAYLOAD_SIZE_MAX,
    });
    this.socket.on("open", () => events.opened());
    this.socket.on("message", (data: Buffer) => {
      for (const frame of framesOf(data)) if (!this.closed) events.received(frame);
    });
    this.socket.on("close", (code) => events.lost(code));
    // `close` follows each error and says all that the link needs to know.
    this.socket.on("error", () => {});
  }

  send(frame: Uint8Array, messageSizeMax: number): void {
    if (this.size + frame.length > messageSizeMax) this.flush();
    if (this.frames.length === 0) queueMicrotask(() => this.flush());
    this.frames.push(frame);
    this.size += frame.length;
    if (frame.length % GATHERED_ALIGNMENT !== 0) this.flush();
  }

  private flush(): void {
    const { frames } = this;
    if (frames.length === 0) return;
    this.frames = [];
    this.size = 0;
    this.socket.send(frames.length === 1 ? frames[0]! : Buffer.concat(frames), { binary: true });
  }

  close(): void {
    this.closed = true;
    this.flush();
    this.socket.removeAllListeners();
    this.socket.on("error", () => {});
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.terminate();
    else this.socket.close(NORMAL_CLOSURE);
  }
}
