// One WebSocket as a transport: the only place of the client that knows `ws`.

import { WebSocket } from "ws";
import type { Transport, TransportEvents } from "./transport.js";

const HANDSHAKE_MS_MAX = 5_000;
/** More than the largest frame of outcomes has (131,120 bytes). */
const PAYLOAD_SIZE_MAX = 262_192;
const NORMAL_CLOSURE = 1000;

export class WebSocketTransport implements Transport {
  private readonly socket: WebSocket;

  constructor(url: string, events: TransportEvents) {
    this.socket = new WebSocket(url, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      maxPayload: PAYLOAD_SIZE_MAX,
    });
    this.socket.on("open", () => events.opened());
    this.socket.on("message", (data: Buffer) => events.received(data));
    this.socket.on("close", (code) => events.lost(code));
    // `close` follows each error and says all that the link needs to know.
    this.socket.on("error", () => {});
  }

  send(frame: Uint8Array): void {
    this.socket.send(frame, { binary: true });
  }

  close(): void {
    this.socket.removeAllListeners();
    this.socket.on("error", () => {});
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.terminate();
    else this.socket.close(NORMAL_CLOSURE);
  }
}
