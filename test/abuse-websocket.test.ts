// WebSockets as no honest client uses them: broken framing, floods, clients that never read, that
// come by the thousand, that go away in the middle. Each row says what must happen; the server
// serves on, and what was not taken has changed nothing.

import t from "tap";
import {
  closeCode,
  FRAME_PROBLEM,
  FRAME_RECORDS_MAX,
  FRAME_SIZE_MAX,
  MTI_USE_REQUEST,
} from "../protocol/index.js";
import { GAUGE } from "../src/metrics.js";
import { inParallel, type SignedOn, statusOf, Target } from "./abuse-kit.js";
import { RawSocket, type RawTcp, RawTerminal, rawTcp } from "./raw-terminal.js";
import { CARD_COUNT, GATE_COUNT, GATE_FIRST, panOf, until, within } from "./server-kit.js";

const IDLE_COUNT = 3000;
const FLOOD_COUNT = 3000;
const PING_COUNT = 20_000;
/** How long nothing must come where nothing must happen. */
const QUIET_MS = 200;
const LATENCY_MS_MAX = 2000;

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const target = await Target.start(t);
const { server } = target;
const { core, metrics } = server.node;
const FRAME = new RawTerminal(GATE_FIRST).signOnFrame(0, ones(16), new Uint8Array(16));

function ones(size: number): Uint8Array {
  return new Uint8Array(size).fill(1);
}

interface FrameOptions {
  /** Whether it is the last fragment. */
  last?: boolean;
  masked?: boolean;
  reserved?: number;
  /** The length it claims, when that is not its own. */
  length?: bigint;
}

/** A frame of RFC 6455 as a client sends it, and as it must not. */
function webSocketFrame(opcode: number, payload: Uint8Array, options: FrameOptions = {}): Buffer {
  const { last = true, masked = true, reserved = 0 } = options;
  const length = options.length ?? BigInt(payload.length);
  const short = length < 126n ? Number(length) : length < 65_536n ? 126 : 127;
  const extended = Buffer.alloc(8);
  extended.writeBigUInt64BE(length);
  const size = short === 126 ? extended.subarray(6) : short === 127 ? extended : Buffer.alloc(0);
  const mask = Buffer.from([0x5a, 0x11, 0xc3, 0x7e]);
  const head = [(last ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | short];
  if (!masked) return Buffer.concat([Buffer.from(head), size, payload]);
  const covered = Buffer.from(payload.map((byte, i) => byte ^ mask[i & 3]!));
  return Buffer.concat([Buffer.from(head), size, mask, covered]);
}

/** A TCP connection that has become a WebSocket. */
async function rawWebSocket(): Promise<RawTcp> {
  const raw = rawTcp(server.terminalsPort);
  raw.socket.write(
    "GET /v1/terminal HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
  );
  await until("the upgrade", () => raw.received().includes("\r\n\r\n"));
  return raw;
}

/** What the server sent after the upgrade, each frame in a word. */
function words(received: string): string[] {
  const bytes = Buffer.from(received.slice(received.indexOf("\r\n\r\n") + 4), "latin1");
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const short = bytes[at + 1]! & 0x7f;
    const size = short === 126 ? bytes.readUInt16BE(at + 2) : short;
    const start = at + (short === 126 ? 4 : 2);
    const payload = bytes.subarray(start, start + size);
    const opcode = bytes[at]! & 0xf;
    if (opcode === BINARY) found.push(statusOf(payload));
    else if (opcode === CLOSE)
      found.push(`close ${size < 2 ? "" : payload.readUInt16BE(0)}`.trim());
    else found.push(opcode === PONG ? "pong" : `opcode ${opcode}`);
    at = start + size;
  }
  return found;
}

const part = (opcode: number, payload: Uint8Array) =>
  webSocketFrame(opcode, payload, { last: false });
const whole = webSocketFrame;
const notBinary = `close ${closeCode(FRAME_PROBLEM.NOT_BINARY)} closed`;
const truncated = `close ${closeCode(FRAME_PROBLEM.TRUNCATED)} closed`;
const magicWrong = `close ${closeCode(FRAME_PROBLEM.MAGIC_WRONG)} closed`;
const sizeDiffers = `close ${closeCode(FRAME_PROBLEM.SIZE_DIFFERS)} closed`;
const tooLarge = `close ${closeCode(FRAME_PROBLEM.TOO_LARGE)} closed`;
const head = FRAME.subarray(0, 50);
const rest = FRAME.subarray(50);

type Row = [name: string, frames: Buffer[], fate: string];

/** Of all that came after the upgrade: statuses, "pong", "close CODE"; "closed" when it was. */
const ROWS: Row[] = [
  ["one message", [whole(BINARY, FRAME)], "00"],
  ["in two fragments", [part(BINARY, head), whole(CONTINUATION, rest)], "00"],
  ["with a ping between", [part(BINARY, head), whole(PING, ones(1)), whole(0, rest)], "pong 00"],
  ["byte by byte", byteByByte(), "00"],
  ["a pong nobody asked for", [whole(PONG, ones(5)), whole(BINARY, FRAME)], "00"],
  ["a ping of 125 bytes", [whole(PING, ones(125))], "pong"],
  ["text", [whole(TEXT, ones(10)), whole(BINARY, FRAME)], notBinary],
  ["text that is not UTF-8", [whole(TEXT, Uint8Array.of(0xff, 0xfe))], "closed"],
  ["text in fragments", [part(TEXT, ones(3)), whole(CONTINUATION, ones(3))], notBinary],
  ["an empty message", [whole(BINARY, new Uint8Array())], truncated],
  ["a message within another", [part(BINARY, head), whole(BINARY, FRAME)], sizeDiffers],
  ["an end without a beginning", [whole(CONTINUATION, FRAME)], "closed"],
  ["reserved bit 1", [whole(BINARY, FRAME, { reserved: 4 })], "closed"],
  ["reserved bit 2", [whole(BINARY, FRAME, { reserved: 2 })], "closed"],
  ["reserved bit 3", [whole(BINARY, FRAME, { reserved: 1 })], "closed"],
  ["opcode 3", [whole(3, FRAME)], "closed"],
  ["opcode 11", [whole(11, ones(1))], "closed"],
  ["a ping of 126 bytes", [whole(PING, ones(126))], "closed"],
  ["a ping in fragments", [part(PING, ones(1))], "closed"],
  ["unmasked", [whole(BINARY, FRAME, { masked: false }), whole(BINARY, FRAME)], magicWrong],
  ["close", [whole(CLOSE, Uint8Array.of(3, 232))], "close 1000 closed"],
  ["close without a code", [whole(CLOSE, new Uint8Array())], "close closed"],
  [
    "close, then a message",
    [whole(CLOSE, Uint8Array.of(3, 232)), whole(2, FRAME)],
    "close 1000 closed",
  ],
  ["the largest frame, of zeros", [whole(BINARY, new Uint8Array(FRAME_SIZE_MAX))], magicWrong],
  ["one byte more", [whole(BINARY, new Uint8Array(FRAME_SIZE_MAX + 1))], tooLarge],
  ["two bytes more", [whole(BINARY, new Uint8Array(FRAME_SIZE_MAX + 2))], "closed"],
  ["two halves that are too large", largeHalves(), "closed"],
  ["a claim of 2^32 bytes", [whole(BINARY, FRAME, { length: 2n ** 32n })], "closed"],
  ["a claim of 2^63 bytes", [whole(BINARY, FRAME, { length: 2n ** 63n })], "closed"],
  ["a claim of 2^64 - 1 bytes", [whole(BINARY, FRAME, { length: 2n ** 64n - 1n })], "closed"],
  ["no WebSocket", [Buffer.alloc(50, 0xff)], "closed"],
];

function byteByByte(): Buffer[] {
  const middle = [...FRAME.subarray(1, -1)].map((byte) => part(CONTINUATION, Uint8Array.of(byte)));
  return [part(BINARY, FRAME.slice(0, 1)), ...middle, whole(CONTINUATION, FRAME.slice(-1))];
}

function largeHalves(): Buffer[] {
  const half = new Uint8Array(200_000);
  return [part(BINARY, half), whole(CONTINUATION, half)];
}

async function fateOf([, frames, fate]: Row): Promise<string> {
  const raw = await rawWebSocket();
  for (const frame of frames) raw.socket.write(frame);
  let closed = false;
  void raw.ended.then(() => {
    closed = true;
  });
  const told = () => [...words(raw.received()), ...(closed ? ["closed"] : [])].join(" ");
  await until(fate, () => told() === fate).catch(() => undefined);
  if (!closed) await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  raw.socket.destroy();
  return told();
}

t.test("framing", async (t) => {
  const mark = target.mark();
  await inParallel(ROWS, 8, async (row) => {
    t.equal(await fateOf(row), row[2], row[0]);
  });
  await target.unchanged(t, mark, "broken framing");
  t.comment(`sequences of WebSocket frames tried: ${ROWS.length}`);
  await target.unharmed(t);
});

t.test("floods of pings and of empty fragments", async (t) => {
  const mark = target.mark();
  const pings = await rawWebSocket();
  const ping = whole(PING, ones(4));
  for (let i = 0; i < PING_COUNT; i++) pings.socket.write(ping);
  pings.socket.write(whole(BINARY, FRAME));
  await until("an answer after the pings", () => pings.received().includes("TK"));
  pings.socket.destroy();
  const deaf = await rawWebSocket();
  deaf.socket.pause();
  const many = Buffer.concat(Array.from({ length: 1000 }, () => whole(PING, ones(125))));
  let writes = 0;
  while (!deaf.socket.destroyed && writes++ < 400) {
    await new Promise<void>((resolve) => {
      deaf.socket.write(many, () => resolve());
      setTimeout(resolve, 20);
    });
  }
  deaf.socket.destroy();
  const fragments = await rawWebSocket();
  fragments.socket.write(part(BINARY, new Uint8Array()));
  const empty = part(CONTINUATION, new Uint8Array());
  for (let i = 0; i < PING_COUNT; i++) fragments.socket.write(empty);
  fragments.socket.write(whole(CONTINUATION, FRAME));
  await until("an answer after the fragments", () => fragments.received().includes("TK"));
  fragments.socket.destroy();
  await target.unchanged(t, mark, "floods of pings");
  await target.unharmed(t);
});

t.test("a client that never reads is cut off, and nobody waits for it", async (t) => {
  const { socket, terminal } = await target.signedOn(t, GATE_FIRST + 1);
  const uses = Array.from({ length: FRAME_RECORDS_MAX }, (_, i) =>
    terminal.use(panOf(i % CARD_COUNT), { stan: 1 + i }),
  );
  const witness = await target.signedOn(t, GATE_FIRST + 2);
  let slowestMs = 0;
  let sent = 0;
  const transport = (socket.socket as unknown as { _socket: RawTcp["socket"] })._socket;
  transport.pause();
  let closed = false;
  void socket.closed.then(() => {
    closed = true;
  });
  const connections = metrics.gauge(GAUGE.CONNECTIONS);
  while (metrics.gauge(GAUGE.CONNECTIONS) === connections && sent < 600) {
    socket.send(terminal.uses(MTI_USE_REQUEST, uses));
    sent++;
    const start = performance.now();
    const use = witness.terminal.use(panOf(0));
    t.equal((await witness.decide(MTI_USE_REQUEST, use)).responseCode, "00");
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  t.equal(metrics.gauge(GAUGE.CONNECTIONS), connections - 1, `cut off after ${sent} frames`);
  transport.resume();
  await until("the client sees it", () => closed);
  t.ok(slowestMs < LATENCY_MS_MAX, `others waited ${Math.round(slowestMs)} ms at most`);
  await target.unharmed(t);
});

t.test("thousands of connections, most of them idle, each with its own answers", async (t) => {
  const before = metrics.gauge(GAUGE.CONNECTIONS);
  const idle: RawTcp[] = [];
  await inParallel(Array.from({ length: IDLE_COUNT }), 64, async () => {
    idle.push(await rawWebSocket());
  });
  t.equal(metrics.gauge(GAUGE.CONNECTIONS), before + IDLE_COUNT);
  const gates = await Promise.all(
    Array.from({ length: GATE_COUNT - 1 }, (_, i) => target.signedOn(t, GATE_FIRST + i)),
  );
  const others = await Promise.all(
    Array.from({ length: 400 }, () => RawSocket.open(server.terminalsUrl)),
  );
  const start = performance.now();
  const good = await Promise.all(
    others.map(async (socket, i) => {
      const { terminal } = gates[i % gates.length]!;
      const use = terminal.use(panOf(i % CARD_COUNT));
      const frame = terminal.uses(MTI_USE_REQUEST, [use]);
      const { verified, outcomes } = await terminal.ask(socket.exchange, frame);
      return verified && outcomes[0]!.stan === use.stan && outcomes[0]!.responseCode === "00";
    }),
  );
  t.ok(good.every((each) => each));
  const tookMs = performance.now() - start;
  t.ok(tookMs < LATENCY_MS_MAX, `400 answers beside them in ${Math.round(tookMs)} ms`);
  for (const { socket } of idle) socket.destroy();
  for (const { socket } of [...others, ...gates.map((gate) => gate.socket)]) socket.terminate();
  await until("all are gone", () => metrics.gauge(GAUGE.CONNECTIONS) <= before);
  t.comment(`idle connections at once: ${IDLE_COUNT}`);
  await target.unharmed(t);
});

t.test("a flood of connections that break off at every stage", async (t) => {
  const before = metrics.gauge(GAUGE.CONNECTIONS);
  const mark = target.mark();
  const stages = Array.from({ length: FLOOD_COUNT }, (_, i) => i % 5);
  await inParallel(stages, 100, async (stage) => {
    if (stage < 3) {
      const { socket, ended } = rawTcp(server.terminalsPort);
      if (stage > 0) socket.write("GET /v1/terminal HTTP/1.1\r\nhost: a\r\nupgr");
      if (stage === 2) await new Promise((resolve) => setImmediate(resolve));
      if (stage === 1) socket.resetAndDestroy();
      else socket.destroy();
      await ended;
    } else {
      const { socket, ended } = await rawWebSocket();
      if (stage === 4) socket.write(whole(BINARY, FRAME).subarray(0, 60));
      socket.destroy();
      await ended;
    }
  });
  await until("all are gone", () => metrics.gauge(GAUGE.CONNECTIONS) === before);
  await target.unchanged(t, mark, "broken connections");
  t.comment(`connections broken off: ${FLOOD_COUNT}`);
  await target.unharmed(t);
});

/** Sends uses in frames of eight, goes away when half of them have left, and returns the uses. */
async function sendAndLeave({ socket, terminal }: SignedOn) {
  const frames = Array.from({ length: 32 }, (_, f) =>
    Array.from({ length: 8 }, (_, i) => terminal.use(panOf((f + i) % CARD_COUNT))),
  );
  const [first, second] = [frames.slice(0, 16), frames.slice(16)];
  for (const uses of first) socket.send(terminal.uses(MTI_USE_REQUEST, uses));
  await new Promise<void>((resolve) => socket.socket.ping("", true, () => resolve()));
  for (const uses of second) socket.send(terminal.uses(MTI_USE_REQUEST, uses));
  socket.socket.terminate();
  return frames;
}

t.test("close in the middle of a batch: what was recorded is answered later, once", async (t) => {
  const { cards } = server.node.engine.state;
  const countAll = () => {
    let count = 0;
    for (let row = 1; row < cards.table.rowCount; row++) count += cards.useCount(row);
    return count;
  };
  const counted = countAll();
  const gates = await Promise.all([3, 4, 5, 6].map((i) => target.signedOn(t, GATE_FIRST + i)));
  const before = core.committedPosition;
  const sent = await Promise.all(gates.map(sendAndLeave));
  await until("something is recorded", () => core.committedPosition > before);
  await until("nothing is in flight", () => core.inFlight === 0);
  let total = 0;
  for (const [g, gate] of gates.entries()) {
    const socket = await target.socket(t);
    const rrns = new Set<number>();
    for (const uses of sent[g]!) {
      const frame = gate.terminal.uses(MTI_USE_REQUEST, uses);
      const { verified, outcomes } = await gate.terminal.ask(socket.exchange, frame);
      t.ok(verified && outcomes.every(({ responseCode }) => responseCode === "00"));
      for (const { rrn } of outcomes) rrns.add(rrn);
      total += uses.length;
    }
    t.equal(rrns.size, 32 * 8, "each use has one place in the journal");
  }
  t.equal(countAll() - counted, total, "each use counts once");
  await target.unharmed(t);
});

t.test("a client that goes away before its answer, over both transports", async (t) => {
  const { engine } = server.node;
  const gate = await target.signedOn(t, GATE_FIRST + 7);
  const uses = [gate.terminal.use(panOf(1)), gate.terminal.use(panOf(2))];
  const [first, second] = uses.map((use) => gate.terminal.uses(MTI_USE_REQUEST, [use]));
  const { position } = engine.state.registers;
  await new Promise<void>((resolve) => gate.socket.socket.send(first!, () => resolve()));
  gate.socket.socket.terminate();
  const { socket } = rawTcp(server.terminalsPort);
  const headers = `content-type: application/octet-stream\r\ncontent-length: ${second!.length}`;
  socket.write(`POST /v1/messages HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n`);
  socket.write(second!, () => socket.destroy());
  await until("both are recorded", () => core.committedPosition === position + 2);
  const back = await target.socket(t);
  const again = gate.terminal.uses(MTI_USE_REQUEST, uses);
  const { verified, outcomes } = await gate.terminal.ask(back.exchange, again);
  t.ok(verified);
  t.same(outcomes.map(({ rrn }) => rrn).sort(), [position + 1, position + 2]);
  await within("the end", target.unharmed(t));
});
