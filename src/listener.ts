// The listener: WebSocket /v1/terminal and HTTP POST /v1/messages, which carry the same frames.
// The one home of uWebSockets.js, whose traps are dealt with here: `onAborted` is set before all
// else, a message's bytes are gone when its callback returns, a socket that has closed must not be
// touched, and doubled headers that could part two readers of a request are refused.

import type { HttpRequest, HttpResponse, us_listen_socket, WebSocket } from "uWebSockets.js";
import uWS from "uWebSockets.js";
import { assert } from "../protocol/assert.js";
import { FRAME_SIZE_MAX } from "../protocol/decode.js";
import {
  closeCode,
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_PROBLEM_TEXTS,
} from "../protocol/frame-problem.js";
import { GATHERED_SUBPROTOCOL } from "../protocol/message.js";
import type { Config } from "./config.js";
import type { Core } from "./core.js";
import type { Reply } from "./frame-slot.js";
import type { Metrics } from "./metrics.js";

const CONTENT_TYPE = "application/octet-stream";
/** Unsent bytes of one connection above which it is closed: its terminal does not read. */
const BACKPRESSURE_MAX = 8 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);
const CLOSE_GOING_AWAY = 1001;
/** Most bytes of all headers together; the library's own limit is their number, 50. */
const HEADERS_SIZE_MAX = 8192;
/** The one version of WebSocket there is (RFC 6455). */
const WEB_SOCKET_VERSION = "13";

interface Connection {
  reply: SocketReply | null;
  /** Whether its messages carry several frames. */
  gathers: boolean;
}

/** Answers over a WebSocket: all that is due to one connection leaves in one write. */
class SocketReply implements Reply {
  dirty = false;
  readonly gathers: boolean;
  private socket: WebSocket<Connection> | null;
  /** Where the answers that are queued stand. */
  private bytes: Uint8Array = NO_BYTES;
  /** Start and end of each message to send: frames that stand one behind the other. */
  private readonly spans: number[] = [];
  /** How many of `spans` are in use. */
  private used = 0;

  constructor(socket: WebSocket<Connection>) {
    this.socket = socket;
    this.gathers = socket.getUserData().gathers;
  }

  queue(bytes: Uint8Array, start: number, end: number): void {
    const { spans, used } = this;
    assert(used === 0 || bytes === this.bytes, "what is queued is sent before other bytes are");
    this.bytes = bytes;
    const behind = this.gathers && used > 0 && start === spans[used - 1];
    if (behind && end - spans[used - 2]! <= FRAME_SIZE_MAX) {
      spans[used - 1] = end;
      return;
    }
    // The way of a block's first answer, too: one that is hardly ever taken is not compiled.
    spans[used] = start;
    spans[used + 1] = end;
    this.used = used + 2;
  }

  flush(): void {
    const { socket } = this;
    if (this.used === 2) socket?.send(this.message(0), true);
    else socket?.cork(this.sendAll);
    this.used = 0;
    this.bytes = NO_BYTES;
  }

  end(code: number, text: string): void {
    this.socket?.end(code, text);
  }

  closed(): void {
    this.socket = null;
  }

  /** The message whose span begins at place `at`. */
  private message(at: number): Uint8Array {
    const { bytes, spans } = this;
    const from = spans[at]!;
    const to = spans[at + 1]!;
    return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
  }

  private readonly sendAll = (): void => {
    for (let at = 0; at < this.used; at += 2) {
      // A send can close the socket when its backpressure is over the limit.
      if (this.socket === null) return;
      this.socket.send(this.message(at), true);
    }
  };
}

/** The answer to one HTTP request. */
class HttpReply implements Reply {
  dirty = false;
  readonly gathers = false;
  private bytes: Uint8Array | null = null;
  private response: HttpResponse | null;
  /** What has come of the request's body, when it does not come at once. */
  private parts: Buffer | null = null;

  constructor(response: HttpResponse) {
    this.response = response;
  }

  queue(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes.subarray(start, end);
  }

  flush(): void {
    const { response, bytes } = this;
    this.response = null;
    if (response === null || bytes === null) return;
    response.cork(() => {
      response.writeHeader("content-type", CONTENT_TYPE).end(bytes as Uint8Array<ArrayBuffer>);
    });
  }

  /** Answers with an error instead of a frame. */
  fail(status: string, problem: string, text: string): void {
    const { response } = this;
    this.response = null;
    if (response === null) return;
    response.cork(() => {
      response.writeStatus(status).writeHeader("content-type", "application/json");
      response.end(JSON.stringify({ error: problem, message: text }), true);
    });
  }

  closed(): void {
    this.response = null;
    this.dropParts();
  }

  /** Bytes of the body that have come. */
  get bodySize(): number {
    return this.parts?.length ?? 0;
  }

  /** Keeps a part of the body. What it is copied from is zeroed: it may hold card numbers. */
  keep(chunk: ArrayBuffer): void {
    const whole = Buffer.alloc(this.bodySize + chunk.byteLength);
    whole.set(new Uint8Array(chunk), this.bodySize);
    wipe(chunk);
    if (this.parts !== null) whole.set(this.parts);
    this.dropParts();
    this.parts = whole;
  }

  /** Hands over what was kept. */
  takeBody(): ArrayBuffer {
    const body = this.parts!.buffer as ArrayBuffer;
    this.parts = null;
    return body;
  }

  /** Zeroes what was kept. */
  dropParts(): void {
    this.parts?.fill(0);
    this.parts = null;
  }

  get open(): boolean {
    return this.response !== null;
  }
}

export class Listener {
  private readonly app: uWS.TemplatedApp;
  private listenSocket: us_listen_socket | null = null;
  private readonly sockets = new Set<SocketReply>();
  private pendingHttp = 0;

  constructor(
    private readonly config: Config,
    private readonly core: Core,
    private readonly metrics: Metrics,
  ) {
    const { tlsCertFile, tlsKeyFile, idleSeconds, frameSizeMax } = config.terminals;
    const tls = { cert_file_name: tlsCertFile, key_file_name: tlsKeyFile };
    this.app = tlsCertFile === "" ? uWS.App() : uWS.SSLApp(tls);
    this.app.ws<Connection>("/v1/terminal", {
      maxPayloadLength: frameSizeMax + 1,
      idleTimeout: idleSeconds,
      maxBackpressure: BACKPRESSURE_MAX,
      closeOnBackpressureLimit: 1,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => this.upgrade(response, request, context),
      open: (socket) => this.opened(socket),
      message: (socket, message, isBinary) => this.message(socket, message, isBinary),
      close: (socket) => this.closed(socket),
    });
    this.app.post("/v1/messages", (response, request) => this.post(response, request));
    this.app.any("/*", (response) => {
      response.onAborted(() => {});
      response.writeStatus("404 Not Found").end("no such path\n", true);
    });
  }

  /** Starts to listen; resolves with the port. Rejects with one line that says what to do. */
  listen(): Promise<number> {
    const { host, port } = this.config.terminals;
    return new Promise((resolve, reject) => {
      listenExclusively(this.app, host, port, (socket) => {
        if (!socket) {
          const cause = `terminals: cannot listen on ${host}:${port}: the port is in use`;
          reject(new Error(`${cause} or not allowed; set terminals.port`));
          return;
        }
        this.listenSocket = socket;
        resolve(uWS.us_socket_local_port(socket));
      });
    });
  }

  /** Takes no new connections; those there are stay. */
  refuseConnections(): void {
    if (this.listenSocket !== null) uWS.us_listen_socket_close(this.listenSocket);
    this.listenSocket = null;
  }

  /** Closes all connections. */
  close(): void {
    this.refuseConnections();
    for (const socket of [...this.sockets]) socket.end(CLOSE_GOING_AWAY, "stopping");
    // Idle HTTP connections, too; the package's types lack it.
    (this.app as unknown as { close(): void }).close();
  }

  private get connectionCount(): number {
    return this.sockets.size + this.pendingHttp;
  }

  private upgrade(
    response: HttpResponse,
    request: HttpRequest,
    context: uWS.us_socket_context_t,
  ): void {
    response.onAborted(() => {});
    const headers = readHeaders(request);
    if (!headers.clear || headers.tooLarge || headers.hasBody) {
      response.close();
      return;
    }
    if (request.getHeader("sec-websocket-version") !== WEB_SOCKET_VERSION) {
      response.writeStatus("426 Upgrade Required");
      response.writeHeader("sec-websocket-version", WEB_SOCKET_VERSION);
      response.end("WebSocket version 13 is asked for\n", true);
      return;
    }
    if (this.connectionCount >= this.config.terminals.connectionsMax) {
      response.writeStatus("503 Service Unavailable").end("too many connections\n", true);
      return;
    }
    const offered = request.getHeader("sec-websocket-protocol").split(",");
    const gathers = offered.some((name) => name.trim() === GATHERED_SUBPROTOCOL);
    response.upgrade<Connection>(
      { reply: null, gathers },
      request.getHeader("sec-websocket-key"),
      gathers ? GATHERED_SUBPROTOCOL : "",
      request.getHeader("sec-websocket-extensions"),
      context,
    );
  }

  private opened(socket: WebSocket<Connection>): void {
    const reply = new SocketReply(socket);
    socket.getUserData().reply = reply;
    this.sockets.add(reply);
    this.metrics.setConnections(this.connectionCount);
  }

  private message(socket: WebSocket<Connection>, message: ArrayBuffer, isBinary: boolean): void {
    const reply = socket.getUserData().reply!;
    const problem = isBinary ? this.core.receive(reply, message) : FRAME_PROBLEM.NOT_BINARY;
    if (problem === FRAME_PROBLEM.NONE) return;
    if (!isBinary) wipe(message);
    this.metrics.countClosed(problem);
    reply.end(closeCode(problem), FRAME_PROBLEM_NAMES[problem]!);
  }

  private closed(socket: WebSocket<Connection>): void {
    const reply = socket.getUserData().reply!;
    reply.closed();
    this.sockets.delete(reply);
    this.metrics.setConnections(this.connectionCount);
  }

  private post(response: HttpResponse, request: HttpRequest): void {
    const reply = new HttpReply(response);
    this.pendingHttp++;
    let pending = true;
    const settle = () => {
      if (pending) this.pendingHttp--;
      pending = false;
    };
    response.onAborted(() => {
      settle();
      reply.closed();
    });
    const headers = readHeaders(request);
    if (!headers.clear || headers.tooLarge) {
      settle();
      reply.closed();
      response.close();
      return;
    }
    const tooMany = this.connectionCount > this.config.terminals.connectionsMax;
    this.readBody(response, reply, (body) => {
      settle();
      if (body !== null && headers.isFrame && !tooMany) {
        this.malformed(reply, this.core.receive(reply, body));
        return;
      }
      if (body !== null) wipe(body);
      if (tooMany) reply.fail("503 Service Unavailable", "OVERLOADED", "too many connections");
      else
        this.malformed(reply, body === null ? FRAME_PROBLEM.TOO_LARGE : FRAME_PROBLEM.NOT_BINARY);
    });
  }

  private malformed(reply: HttpReply, problem: number): void {
    if (problem === FRAME_PROBLEM.NONE) return;
    this.metrics.countClosed(problem);
    const tooLarge = problem === FRAME_PROBLEM.TOO_LARGE;
    const status = tooLarge ? "413 Payload Too Large" : "400 Bad Request";
    reply.fail(status, FRAME_PROBLEM_NAMES[problem]!, FRAME_PROBLEM_TEXTS[problem]!);
  }

  /** Hands over the body, which is the caller's to zero, or null as soon as it is too long. */
  private readBody(
    response: HttpResponse,
    reply: HttpReply,
    done: (body: ArrayBuffer | null) => void,
  ): void {
    let finished = false;
    response.onData((chunk, isLast) => {
      if (finished || !reply.open) {
        wipe(chunk);
      } else if (reply.bodySize + chunk.byteLength > this.config.terminals.frameSizeMax) {
        finished = true;
        reply.dropParts();
        wipe(chunk);
        done(null);
      } else if (isLast && reply.bodySize === 0) {
        finished = true;
        done(chunk);
      } else {
        reply.keep(chunk);
        if (!isLast) return;
        finished = true;
        done(reply.takeBody());
      }
    });
  }
}

/** Zeroes what came: it may hold card numbers, whatever it was sent as. */
function wipe(bytes: ArrayBuffer): void {
  new Uint8Array(bytes).fill(0);
}

/** Without the option, a second server would share the port; the package's types lack it. */
function listenExclusively(
  app: uWS.TemplatedApp,
  host: string,
  port: number,
  listening: (socket: us_listen_socket | false) => void,
): void {
  const { LIBUS_LISTEN_EXCLUSIVE_PORT } = uWS as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number };
  const listen = app.listen as (...options: unknown[]) => unknown;
  listen.call(app, host, port, LIBUS_LISTEN_EXCLUSIVE_PORT, listening);
}

/** What the headers of a request say, as far as one can rely on it. */
interface Headers {
  /** Whether every reader of the request sees the same end of it. */
  clear: boolean;
  tooLarge: boolean;
  hasBody: boolean;
  /** Whether the body is a frame as it is. */
  isFrame: boolean;
}

/** In one pass: each call into the library costs as much as a look at a header. */
function readHeaders(request: HttpRequest): Headers {
  // Those that may stand once: a second reader could take another one of them.
  let lengths = 0;
  let encodings = 0;
  let hosts = 0;
  let types = 0;
  let size = 0;
  let chunked = true;
  let isFrame = false;
  let coded = false;
  request.forEach((name, value) => {
    size += name.length + value.length;
    switch (name) {
      case "content-length":
        lengths++;
        break;
      case "transfer-encoding":
        encodings++;
        chunked = value.toLowerCase() === "chunked";
        break;
      case "host":
        hosts++;
        break;
      case "content-type":
        types++;
        isFrame = value === CONTENT_TYPE;
        break;
      case "content-encoding":
        coded ||= value !== "";
        break;
    }
  });
  const ends = lengths + encodings;
  const clear = ends <= 1 && hosts === 1 && types <= 1 && chunked;
  const tooLarge = size > HEADERS_SIZE_MAX;
  return { clear, tooLarge, hasBody: ends > 0, isFrame: isFrame && !coded };
}
