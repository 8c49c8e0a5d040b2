// How frames travel: a WebSocket (ws:, wss:), or one HTTP POST for each frame (http:, https:).
// A transport promises nothing: frames may be lost, answers too. The link above repeats.

import { WebSocketTransport } from "./web-socket.js";

/** Close codes from here on say that a frame of ours was malformed (protocol/frame-problem.ts). */
export const CLOSE_CODE_MALFORMED = 4400;

export interface TransportEvents {
  opened(): void;
  /** A whole frame, or what the other end sent in place of one. */
  received(bytes: Uint8Array): void;
  /** The transport is of no further use; `code` is the WebSocket close code, 0 for none. */
  lost(code: number): void;
}

export interface Transport {
  /** Sends a frame; with others, in a message of `messageSizeMax` bytes at the most, if it can. */
  send(frame: Uint8Array, messageSizeMax: number): void;
  /** Ends the transport; no event follows. */
  close(): void;
}

/** Opens a transport to `url` by its scheme. Throws when the URL or its scheme is not one. */
export function openTransport(url: string, events: TransportEvents): Transport {
  switch (new URL(url).protocol) {
    case "ws:":
    case "wss:":
      return new WebSocketTransport(url, events);
    case "http:":
    case "https:":
      return new HttpTransport(url, events);
    default:
      throw new TypeError("the server's URL must start with ws:, wss:, http: or https:");
  }
}

/** Bad request, too large. */
const MALFORMED_STATUSES: readonly number[] = [400, 413];

class MalformedError extends Error {}

class HttpTransport implements Transport {
  private readonly url: string;
  private readonly events: TransportEvents;
  private readonly abort = new AbortController();

  constructor(url: string, events: TransportEvents) {
    this.url = url;
    this.events = events;
    queueMicrotask(() => this.report(() => events.opened()));
  }

  send(frame: Uint8Array): void {
    this.post(frame).then(
      (answer) => this.report(() => this.events.received(answer)),
      (error) => this.report(() => this.fail(error instanceof MalformedError)),
    );
  }

  close(): void {
    this.abort.abort();
  }

  private async post(frame: Uint8Array): Promise<Uint8Array> {
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: frame as Uint8Array<ArrayBuffer>,
      signal: this.abort.signal,
    });
    if (MALFORMED_STATUSES.includes(response.status)) throw new MalformedError();
    return new Uint8Array(await response.arrayBuffer());
  }

  private fail(malformed: boolean): void {
    this.close();
    this.events.lost(malformed ? CLOSE_CODE_MALFORMED : 0);
  }

  /** Passes an event on unless the transport has ended. */
  private report(event: () => void): void {
    if (!this.abort.signal.aborted) event();
  }
}
