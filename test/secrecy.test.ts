// Card numbers, ID numbers and keys leave no trace: whatever is thrown at a server, none of them is
// in its log, its metrics, its answers or the files of its data folder, in any of the forms in
// which they could stand there.

import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t, { type Test } from "tap";
import { MTI_USE_ADVICE, MTI_USE_REQUEST } from "../protocol/mti.js";
import { ADMIN_TOKEN_FILE } from "../src/admin-token.js";
import { ROOT_KEY_FILE } from "../src/root-key.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";
import { type Child, startChild } from "./child-process.js";
import { Needles } from "./needles.js";
import { post, RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  CARD_COUNT,
  cardTokenOf,
  GATE_FIRST,
  httpUrl,
  idNumberOf,
  masterKeyOf,
  panOf,
  seededFolder,
  TERMINALS,
} from "./server-kit.js";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const RUNS = 400;
const DEADLINE_MS = 5000;

const folder = await seededFolder(t);
const logFile = `${folder}.log`;
t.teardown(() => rmSync(logFile, { force: true }));
const rootKeyText = readFileSync(join(folder, ROOT_KEY_FILE), "utf8").trim();
const adminToken = readFileSync(join(folder, ADMIN_TOKEN_FILE), "utf8").trim();
const rootKey = new Uint8Array(Buffer.from(rootKeyText, "hex"));
const vaultKeys = deriveVaultKeys(rootKey);
const needles = new Needles();
/** All that the server said, on every port. */
const said: Buffer[] = [];

for (let i = 0; i < CARD_COUNT + 8; i++) needles.addNumber(`card ${i}`, panOf(i));
for (let i = 0; i < CARD_COUNT; i++) needles.addNumber(`ID ${i}`, idNumberOf(i).replace("X", ""));
for (const id of [...TERMINALS, GATE_FIRST]) needles.addKey(`master key ${id}`, masterKeyOf(id));
needles.addKey("root key", rootKey);
needles.addKey("tokenization key", vaultKeys.tokenizationKey);
needles.addKey("wrapping key", vaultKeys.wrappingKey);
needles.addText("admin token", adminToken);

t.test("what is looked for would be found", async (t) => {
  for (const [name, forms] of needles.forms) {
    for (const form of forms) t.ok(form.length >= 8, `${name} is long enough to tell`);
  }
  const hidden = Buffer.from(`... ${panOf(3)} and ${Buffer.from(rootKey).toString("hex")}`);
  t.same(needles.found(hidden), ["card 3", "root key"]);
  t.same(needles.found(Buffer.from(`{"a":"${Buffer.from(`${panOf(4)}`).toString("base64")}"}`)), [
    "card 4",
  ]);
});

/** Frames whose bytes are changed, cut, doubled or replaced; some stay as they were. */
function mutated(frame: Uint8Array, seed: readonly [number, number, number]): Uint8Array {
  const [how, where, what] = seed;
  const at = where % frame.length;
  const copy = frame.slice();
  switch (how % 6) {
    case 0:
      return copy;
    case 1:
      copy[at] = what;
      return copy;
    case 2:
      return copy.slice(0, at);
    case 3:
      return Uint8Array.from([...copy.slice(0, at), what, ...copy.slice(at)]);
    case 4:
      return Uint8Array.from([...copy, ...copy]);
    default:
      return Uint8Array.from(Buffer.from(panOf(at % CARD_COUNT).repeat(1 + (what % 8))));
  }
}

/** Sends over a WebSocket of its own or one that is still open; keeps all that comes back. */
class Thrower {
  private socket: RawSocket | null = null;

  constructor(private readonly url: string) {}

  async send(data: Uint8Array | string): Promise<void> {
    if (this.socket === null || this.socket.socket.readyState !== 1) {
      this.socket = await RawSocket.open(this.url);
      this.socket.socket.on("message", (bytes: Buffer) => said.push(Buffer.from(bytes)));
      this.socket.socket.on("close", (_code, reason: Buffer) => said.push(reason));
    }
    this.socket.send(data);
  }

  /** Waits for the answer of a ping, before which all answers have come. */
  async settle(): Promise<void> {
    const socket = this.socket?.socket;
    if (socket?.readyState !== 1) return;
    await new Promise<void>((resolve) => {
      socket.once("pong", () => resolve());
      socket.once("close", () => resolve());
      socket.ping();
    });
    socket.close();
  }
}

async function throwFrames(child: Child, terminal: RawTerminal): Promise<void> {
  const socket = await RawSocket.open(child.terminalsUrl);
  await terminal.signOn(socket.exchange);
  const thrower = new Thrower(child.terminalsUrl);
  const number = fc.nat({ max: CARD_COUNT + 7 });
  const seed = fc.tuple(fc.nat(), fc.nat(), fc.nat({ max: 255 }));
  const input = fc.record({
    number,
    seed,
    noise: fc.uint8Array({ maxLength: 300 }),
    way: fc.nat(),
  });
  const property = fc.asyncProperty(input, async ({ number, seed, noise, way }) => {
    const mti = way % 2 === 0 ? MTI_USE_REQUEST : MTI_USE_ADVICE;
    const uses = [terminal.use(panOf(number)), terminal.use(idNumberOf(number % CARD_COUNT))];
    const frame = mutated(terminal.uses(mti, uses), seed);
    const bytes = way % 7 === 6 ? noise : frame;
    if (way % 5 !== 4) return thrower.send(way % 11 === 10 ? panOf(number) : bytes);
    const answer = await post(httpUrl(child), bytes, way % 3 ? {} : { "x-card": panOf(number) });
    said.push(Buffer.from(JSON.stringify(answer.headers)), Buffer.from(answer.body));
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS, endOnFailure: true });
  await thrower.settle();
  await socket.close();
}

/** Requests to the control plane, good and bad, each with numbers where they could be repeated. */
async function throwRequests(child: Child): Promise<number[]> {
  const pan = panOf(5);
  const idNumber = idNumberOf(5);
  const key = Buffer.from(masterKeyOf(1001)).toString("hex");
  const right = { authorization: `Bearer ${adminToken}` };
  const wrong = { authorization: `Bearer ${key}${pan}` };
  const row = JSON.stringify({ cardNumber: pan, idNumber, event: "load", status: pan });
  const requests: [string, string, Record<string, string>, string | null][] = [
    ["GET", `/v1/cards/${pan}`, right, null],
    ["GET", `/v1/decisions?rrn=${pan}&key=${key}`, right, null],
    ["GET", `/v1/terminals/${pan}?${idNumber}`, right, null],
    ["GET", `/${pan}`, wrong, null],
    ["POST", "/v1/cards/status", wrong, JSON.stringify({ cardNumber: pan })],
    ["POST", "/v1/cards/status", right, JSON.stringify({ cardNumber: pan })],
    ["POST", "/v1/cards/status", right, JSON.stringify({ cardNumber: `${pan}9` })],
    ["POST", "/v1/cards/status", right, JSON.stringify({ [pan]: idNumber })],
    ["POST", "/v1/cards/status", right, `{"cardNumber": "${pan}`],
    ["POST", "/v1/cards/events", right, JSON.stringify({ cardNumber: pan, event: "lose" })],
    ["POST", "/v1/cards/events", right, JSON.stringify({ cardNumber: pan, event: pan })],
    ["POST", "/v1/blacklist", right, JSON.stringify({ subject: pan, cause: key })],
    ["POST", "/v1/blacklist/search", right, JSON.stringify({ card: pan, holder: idNumber })],
    ["POST", "/v1/terminals", right, JSON.stringify({ terminalId: pan, masterKey: key })],
    ["POST", "/v1/organisations", right, JSON.stringify({ name: pan, organisationId: key })],
    ["POST", "/v1/import/cards", right, `${row}\n{"cardNumber":"${pan}"\n${row.slice(0, 30)}\n`],
    [
      "POST",
      "/v1/import/cards?format=csv",
      right,
      `cardNumber,idNumber\n${pan},${idNumber}\n"${pan}`,
    ],
    ["POST", `/v1/import/${pan}`, right, row],
  ];
  const statuses: number[] = [];
  for (const [method, path, headers, body] of requests) {
    const response = await fetch(child.controlUrl + path, {
      method,
      headers: {
        ...headers,
        "x-request-id": pan,
        ...(body === null ? {} : { "content-type": contentType(path) }),
      },
      body,
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    statuses.push(response.status);
    said.push(Buffer.from(await response.arrayBuffer()));
    said.push(Buffer.from(JSON.stringify([...response.headers])));
  }
  return statuses;
}

function contentType(path: string): string {
  if (!path.startsWith("/v1/import")) return "application/json";
  return path.includes("csv") ? "text/csv" : "application/x-ndjson";
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesOf(join(path, name)));
}

function checkFiles(t: Test): void {
  const secret = [ROOT_KEY_FILE, ADMIN_TOKEN_FILE].map((name) => join(folder, name));
  const files = filesOf(folder).filter((path) => !secret.includes(path));
  t.ok(files.some((path) => path.includes("journal")) && files.some((p) => p.includes("tables")));
  for (const path of files)
    t.same(needles.found(readFileSync(path)), [], path.slice(folder.length));
}

t.test(`nothing of it in logs, metrics, answers or files (seed ${SEED})`, async (t) => {
  t.comment(`SEED=${SEED}`);
  const terminal = new RawTerminal(GATE_FIRST);
  const child = await startChild(t, { folder, flags: { "journal.checkpointSeconds": 1 } }, logFile);
  await throwFrames(child, terminal);
  for (const [i, key] of terminal.sessionKeys.entries()) needles.addKey(`session key ${i}`, key);
  const statuses = await throwRequests(child);
  t.ok(statuses.includes(200) && statuses.includes(400) && statuses.includes(401), `${statuses}`);
  t.notOk(statuses.includes(500), "none was a fault of the server");
  const metrics = Buffer.from(await (await fetch(`${child.controlUrl}/metrics`)).arrayBuffer());
  t.match(metrics.toString(), /reason="CARD_NUMBER_INVALID"/);
  t.same(needles.found(metrics), [], "metrics");
  checkFiles(t);
  await child.end("SIGKILL");
  const again = await startChild(t, { folder, flags: {} }, logFile);
  t.ok(again.position > RUNS / 4, "much of it was recorded");
  t.equal(await again.end("SIGTERM"), 0);
  checkFiles(t);
  const log = readFileSync(logFile);
  t.ok(log.length > 0);
  t.same(needles.found(log), [], "log");
  t.same(
    needles.found(Buffer.concat(said.map((part) => Buffer.concat([part, Buffer.from("\n")])))),
    [],
  );
  const journal = readFileSync(join(folder, "journal", "0000000000000001.blocks"));
  t.ok(journal.includes(Buffer.from(cardTokenOf(new KeyVault(vaultKeys), 1))), "tokens are there");
});
