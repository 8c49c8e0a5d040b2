// Requests that no honest client sends, byte by byte over TCP: each is answered or cut off as its
// row says, none changes the state, and the server serves on.

import t from "tap";
import { FRAME_SIZE_MAX } from "../protocol/index.js";
import { GAUGE } from "../src/metrics.js";
import { Target } from "./abuse-kit.js";
import { post, RawSocket, RawTerminal, rawTcp } from "./raw-terminal.js";
import { GATE_FIRST, httpUrl, serve, until, within } from "./server-kit.js";

/** The listener's library gives idle and slow connections ten seconds, on a clock of four. */
const SLOW_MS_MAX = 16_000;
/** Long enough for a close to come, where none must come. */
const QUIET_MS = 50;

const target = await Target.start(t);
const { terminalsPort } = target.server;
/** A challenge: right, and answered without a change of the state. */
const FRAME = Buffer.from(
  new RawTerminal(GATE_FIRST).signOnFrame(0, new Uint8Array(16).fill(1), new Uint8Array(16)),
);
const POST = "POST /v1/messages HTTP/1.1";
const HOST = "host: a";
const TYPE = "content-type: application/octet-stream";
const LENGTH = `content-length: ${FRAME.length}`;
const CHUNKED = "transfer-encoding: chunked";
const KEY = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION = "sec-websocket-version: 13";
const UPGRADE = ["GET /v1/terminal HTTP/1.1", HOST, "upgrade: websocket", "connection: upgrade"];

/** What comes back: a status, several of them, "" closed without a byte. */
type Fate = string;
type Row = [name: string, head: string[], body: readonly (Buffer | string)[], fate: Fate];

const chunk = (size: string, bytes: Buffer | string = FRAME) => [`${size}\r\n`, bytes, "\r\n"];
const END = "0\r\n\r\n";
const many = (count: number) => Array.from({ length: count }, (_, i) => `x${i}: 1`);
const good = [POST, HOST, TYPE, LENGTH];
const withLength = (value: string) => [POST, HOST, TYPE, `content-length: ${value}`];
const withEncoding = (value: string) => [POST, HOST, TYPE, `transfer-encoding: ${value}`];
const method = (line: string) => [line, HOST, TYPE, LENGTH];
const upgrade = (...lines: string[]) => [...UPGRADE, ...lines];

const longBody = Buffer.alloc(FRAME_SIZE_MAX + 1);

const LENGTHS: Row[] = [
  ["a good one", good, [FRAME], "200"],
  ["content-length twice, the same", [...good, LENGTH], [FRAME], ""],
  ["content-length twice, another", [...good, "content-length: 113"], [FRAME], ""],
  ["content-length as a list", withLength("112, 112"), [FRAME], ""],
  ["content-length negative", withLength("-1"), [FRAME], ""],
  ["content-length with a sign", withLength("+112"), [FRAME], ""],
  ["content-length in hex", withLength("0x70"), [FRAME], ""],
  ["content-length of 23 digits", withLength("9".repeat(23)), [FRAME], ""],
  ["content-length 0", withLength("0"), [], "400"],
  ["no length at all", [POST, HOST, TYPE], [], "400"],
  ["both length and chunked", [...good, CHUNKED], [FRAME], ""],
  ["chunked and length", [POST, HOST, TYPE, CHUNKED, LENGTH], [...chunk("70"), END], ""],
  ["chunked", withEncoding("chunked"), [...chunk("70"), END], "200"],
  ["chunked in two", withEncoding("chunked"), halves(), "200"],
  ["chunked twice", [POST, HOST, TYPE, CHUNKED, CHUNKED], [...chunk("70"), END], ""],
  ["gzip, then chunked", withEncoding("gzip, chunked"), [...chunk("70"), END], ""],
  ["xchunked", withEncoding("xchunked"), [...chunk("70"), END], ""],
  ["identity", withEncoding("identity"), [FRAME], ""],
  ["a chunk of no size", withEncoding("chunked"), chunk("zz"), ""],
  ["a chunk of negative size", withEncoding("chunked"), chunk("-1"), ""],
  ["a chunk of 2^68 bytes", withEncoding("chunked"), chunk("fffffffffffffffff"), ""],
  ["a body over the limit", withLength(`${FRAME_SIZE_MAX + 1}`), [longBody], "413"],
  ["content-length of a gigabyte", withLength("1000000000"), [FRAME], ""],
  ["a body over the limit, chunked", withEncoding("chunked"), longChunk(), "413"],
];

function halves(): (Buffer | string)[] {
  return [...chunk("38", FRAME.subarray(0, 56)), ...chunk("38", FRAME.subarray(56)), END];
}

function longChunk(): (Buffer | string)[] {
  return [...chunk(longBody.length.toString(16), longBody), END];
}

const HEADERS: Row[] = [
  ["no host", [POST, TYPE, LENGTH], [FRAME], ""],
  ["host twice", [...good, "host: b"], [FRAME], ""],
  ["content-type twice", [...good, "content-type: text/plain"], [FRAME], ""],
  ["another content-type", [POST, HOST, "content-type: text/plain", LENGTH], [FRAME], "400"],
  ["no content-type", [POST, HOST, LENGTH], [FRAME], "400"],
  ["a coded body", [...good, "content-encoding: gzip"], [FRAME], "400"],
  ["40 headers", [...good, ...many(36)], [FRAME], "200"],
  ["over 100 headers", [...good, ...many(101)], [FRAME], ""],
  ["10,000 headers", [...good, ...many(10_000)], [FRAME], ""],
  ["a header of 3 KB", [...good, `x: ${"a".repeat(3000)}`], [FRAME], "200"],
  ["a header of 9 KB", [...good, `x: ${"a".repeat(9000)}`], [FRAME], ""],
  ["a header of 64 KB", [...good, `x: ${"a".repeat(65_536)}`], [FRAME], ""],
  ["a header of 4 MB", [...good, `x: ${"a".repeat(4 << 20)}`], [FRAME], ""],
  ["a space before the colon", [POST, HOST, TYPE, "content-length : 112"], [FRAME], ""],
  ["a folded header", [...good, "x: a", " b: c"], [FRAME], ""],
  ["a line without a colon", [...good, "nonsense"], [FRAME], ""],
  ["a NUL in a header", [...good, "x: a\0b"], [FRAME], ""],
  ["expect: 100-continue", [...good, "expect: 100-continue"], [FRAME], "100 200"],
];

const LINES: Row[] = [
  ["GET", method("GET /v1/messages HTTP/1.1"), [], "404"],
  ["PUT", method("PUT /v1/messages HTTP/1.1"), [FRAME], "404"],
  ["DELETE", ["DELETE /v1/messages HTTP/1.1", HOST], [], "404"],
  ["PATCH", method("PATCH /v1/messages HTTP/1.1"), [FRAME], "404"],
  ["HEAD", ["HEAD /v1/messages HTTP/1.1", HOST], [], "404"],
  ["TRACE", ["TRACE /v1/messages HTTP/1.1", HOST], [], "404"],
  ["OPTIONS", ["OPTIONS /v1/messages HTTP/1.1", HOST], [], "404"],
  ["CONNECT", ["CONNECT a:1 HTTP/1.1", HOST], [], ""],
  ["no method", method("FOO /v1/messages HTTP/1.1"), [FRAME], ""],
  ["post in small letters", method("post /v1/messages HTTP/1.1"), [FRAME], ""],
  ["HTTP/1.0", method("POST /v1/messages HTTP/1.0"), [FRAME], ""],
  ["HTTP/2.0", method("POST /v1/messages HTTP/2.0"), [FRAME], ""],
  ["no version", method("POST /v1/messages"), [FRAME], ""],
  ["the first bytes of HTTP/2", ["PRI * HTTP/2.0", "", "SM"], [], ""],
  ["dots in the path", method("POST /x/../v1/messages HTTP/1.1"), [FRAME], "404"],
  ["an encoded slash", method("POST /v1%2fmessages HTTP/1.1"), [FRAME], "404"],
  ["two slashes", method("POST //v1/messages HTTP/1.1"), [FRAME], "404"],
  ["a slash at the end", method("POST /v1/messages/ HTTP/1.1"), [FRAME], "404"],
  ["capitals", method("POST /V1/Messages HTTP/1.1"), [FRAME], "404"],
  ["an encoded NUL", method("POST /v1/messages%00 HTTP/1.1"), [FRAME], "404"],
  ["a parameter", method("POST /v1/messages;x=1 HTTP/1.1"), [FRAME], "404"],
  ["the root key's file", method("GET /../root.key HTTP/1.1"), [], "404"],
  ["the control plane", method("GET /v1/status HTTP/1.1"), [], "404"],
  ["metrics", method("GET /metrics HTTP/1.1"), [], "404"],
  ["a whole URL", method("POST http://a/v1/messages HTTP/1.1"), [FRAME], ""],
  ["a query is passed over", method("POST /v1/messages?x=1 HTTP/1.1"), [FRAME], "200"],
  ["a path of 4 KB", method(`POST /v1/messages${"a".repeat(4096)} HTTP/1.1`), [FRAME], "404"],
];

const UPGRADES: Row[] = [
  ["a good upgrade", upgrade(KEY, VERSION), [], "101"],
  ["no key", upgrade(VERSION), [], "404"],
  ["a short key", upgrade("sec-websocket-key: abc", VERSION), [], "404"],
  ["another version", upgrade(KEY, "sec-websocket-version: 8"), [], "426"],
  ["no version of WebSocket", upgrade(KEY), [], "426"],
  ["an upgrade with host twice", upgrade(HOST, KEY, VERSION), [], ""],
  ["an upgrade with a body", upgrade(KEY, VERSION, "content-length: 5"), ["hello"], ""],
  ["an upgrade of 9 KB", upgrade(KEY, VERSION, `x: ${"a".repeat(9000)}`), [], ""],
  ["no upgrade", ["GET /v1/terminal HTTP/1.1", HOST], [], "404"],
];

const WHOLE = `${good.join("\r\n")}\r\n\r\n`;
const SEQUENCES: Row[] = [
  ["pipelined, in two writes", good, [FRAME, WHOLE, FRAME], ""],
  ["pipelined, in one write", good, [Buffer.concat([FRAME, Buffer.from(WHOLE), FRAME])], ""],
  ["a second request hidden in the first", hidden(), [`${END}${WHOLE}`, FRAME], ""],
];

function hidden(): string[] {
  return [POST, HOST, TYPE, "content-length: 5", CHUNKED];
}

const BYTES: Row[] = [
  ["TLS", [Buffer.from("16030100c8010000c403035f", "hex").toString("latin1")], [], ""],
  ["0xff", ["\xff".repeat(100)], [], ""],
  ["NUL", ["\0".repeat(100)], [], ""],
  ["a frame without HTTP", [FRAME.toString("latin1")], [], ""],
  ["no line end in 1 MB", ["a".repeat(1 << 20)], [], ""],
];

const SERVED = ["200", "100 200", "101"];

/** Statuses in what came. */
function statuses(text: string): Fate {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status).join(" ");
}

/** Sends a row's bytes and waits until its fate is there and, unless it was served, closed. */
async function fateOf([, head, body, fate]: Row): Promise<Fate> {
  const { socket, ended, received } = rawTcp(terminalsPort);
  socket.write(`${head.join("\r\n")}\r\n\r\n`, "latin1");
  for (const part of body) socket.write(part);
  if (SERVED.includes(fate)) {
    await until(`status ${fate}`, () => statuses(received()) === fate);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  } else {
    const late = setTimeout(() => socket.destroy(new Error("late")), SLOW_MS_MAX);
    await ended;
    clearTimeout(late);
    if (socket.errored?.message === "late") return "open";
  }
  socket.destroy();
  return statuses(received());
}

type SlowRow = [name: string, first: string, drip: Buffer];

/** Bytes sent at once, and then one each half second. */
const SLOW: SlowRow[] = [
  ["headers byte by byte", "", Buffer.from(`${POST}\r\n${HOST}\r\nx: ${"a".repeat(64)}`)],
  ["a body byte by byte", WHOLE, FRAME],
  ["silence", "", Buffer.alloc(0)],
  ["silence in the headers", `${POST}\r\nhos`, Buffer.alloc(0)],
  ["silence in the body", WHOLE, Buffer.alloc(0)],
];

/** How long the server bears a slow connection. */
async function patienceMs([, first, drip]: SlowRow): Promise<number> {
  const start = performance.now();
  const { socket, ended, received } = rawTcp(terminalsPort);
  socket.write(first);
  let at = 0;
  const timer = setInterval(() => {
    if (at < drip.length) socket.write(drip.subarray(at, ++at));
  }, 500);
  const late = setTimeout(() => socket.destroy(), 2 * SLOW_MS_MAX);
  await ended;
  clearInterval(timer);
  clearTimeout(late);
  if (received() !== "") throw new Error("a slow request was answered");
  return performance.now() - start;
}

// What is no HTTP is waited on for more, ten seconds: so all rows go at once.
t.test("requests that are wrong or slow", async (t) => {
  const mark = target.mark();
  const tables = Object.entries({ LENGTHS, HEADERS, LINES, UPGRADES, SEQUENCES, BYTES });
  const rows = tables.flatMap(([table, each]) => each.map((row): [string, Row] => [table, row]));
  const slow = SLOW.map(async (row) => {
    const ms = await patienceMs(row);
    t.ok(ms < SLOW_MS_MAX, `slow: ${row[0]}: closed after ${Math.round(ms / 1000)} s`);
  });
  const wrong = rows.map(async ([table, row]) => {
    t.equal(await fateOf(row), row[3], `${table}: ${row[0]}`);
  });
  await Promise.all([...wrong, ...slow]);
  await target.unchanged(t, mark, "bad requests");
  t.comment(`requests tried: ${rows.length + SLOW.length}`);
  await target.unharmed(t);
});

t.test("half-close: what was asked whole is answered, what was not is dropped", async (t) => {
  const whole = rawTcp(terminalsPort);
  whole.socket.write(WHOLE);
  whole.socket.end(FRAME);
  t.equal(statuses(await within("the answer", whole.ended)), "200");
  const half = rawTcp(terminalsPort);
  half.socket.write(WHOLE);
  half.socket.end(FRAME.subarray(0, 40));
  t.equal(await within("the close", half.ended), "");
});

t.test("bodies that do not end hold connections up to the limit and no longer", async (t) => {
  const server = await serve(t, { flags: { "terminals.connectionsMax": 2 } });
  const url = httpUrl(server);
  const half = [rawTcp(server.terminalsPort), rawTcp(server.terminalsPort)];
  for (const { socket } of half) {
    socket.write(WHOLE);
    socket.write(FRAME.subarray(0, 40));
  }
  await untilStatus("half bodies hold their connections", url, 503);
  half[0]!.socket.destroy();
  await untilStatus("one broke off", url, 200);
  for (const byte of FRAME.subarray(40)) {
    half[1]!.socket.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  half[1]!.socket.end();
  t.equal(statuses(await within("the answer", half[1]!.ended)), "200", "byte by byte");
  t.equal(server.node.core.inFlight, 0);
});

async function untilStatus(what: string, url: string, status: number) {
  let last = 0;
  const endMs = Date.now() + 5000;
  while (last !== status && Date.now() < endMs) last = (await post(url, FRAME)).status;
  if (last !== status) throw new Error(`waited in vain: ${what}`);
}

t.test("connections beyond the limit are turned away until one closes", async (t) => {
  const server = await serve(t, { flags: { "terminals.connectionsMax": 3 } });
  const sockets: RawSocket[] = [];
  for (let i = 0; i < 3; i++) sockets.push(await RawSocket.open(server.terminalsUrl));
  await t.rejects(RawSocket.open(server.terminalsUrl), { message: /503/ });
  t.equal((await post(httpUrl(server), FRAME)).status, 503);
  await sockets[0]!.close();
  await until("one has closed", () => server.node.metrics.gauge(GAUGE.CONNECTIONS) === 2);
  t.equal((await post(httpUrl(server), FRAME)).status, 200);
  const again = await RawSocket.open(server.terminalsUrl);
  for (const socket of [...sockets.slice(1), again]) await socket.close();
});
