// A running server keeps no card or ID number, no terminal's master key and no root key: after
// frames, sign-ons, imports and requests of every kind, when nothing is in flight, none of them is
// in a heap snapshot of any of its threads (strings), nor in its memory (bytes, searched whole).
//
// What the memory may hold is said in SECURITY.md: text of requests to the control plane, until
// the runtime uses its memory again. Numbers and keys that came that way only are looked for as
// bytes, all others in every form.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { FRAME_SIZE_MAX } from "../protocol/decode.js";
import { closeCode, FRAME_PROBLEM } from "../protocol/frame-problem.js";
import { MTI_USE_ADVICE, MTI_USE_REQUEST } from "../protocol/mti.js";
import { ADMIN_TOKEN_FILE } from "../src/admin-token.js";
import { ControlClient } from "../src/control/client.js";
import { wrapKey } from "../src/key-wrap.js";
import { ROOT_KEY_FILE } from "../src/root-key.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";
import { heapSnapshots } from "./inspector.js";
import { Needles } from "./needles.js";
import { memoryOf, memoryReadable } from "./process-memory.js";
import { httpExchange, httpUrlOf, post, RawSocket, RawTerminal, rawTcp } from "./raw-terminal.js";
import {
  cardTokenOf,
  GATE_FIRST,
  idNumberOf,
  masterKeyOf,
  panOf,
  seededFolder,
  TERMINALS,
  until,
} from "./server-kit.js";
import { type ServerProcess, serve } from "./tongka-process.js";

/** Cards and holders that come over the terminals' port, and those that come in by import. */
const TAPPED = 24;
const IMPORTED_FIRST = 500;
const IMPORTED = 60;
const IMPORTED_TERMINAL = 7001;
/** A card that is only ever in a request that does not end. */
const HELD_CARD = 900;
const ROUNDS = 6;
const MAC_THREADS = 1;
const KEK = Buffer.alloc(32, 0x3c);

const skip = memoryReadable("self") ? false : "the memory of a process cannot be read here";
const folder = await seededFolder(t);
const rootKey = Buffer.from(readFileSync(join(folder, ROOT_KEY_FILE), "utf8").trim(), "hex");
const adminToken = readFileSync(join(folder, ADMIN_TOKEN_FILE), "utf8").trim();
const vaultKeys = deriveVaultKeys(new Uint8Array(rootKey));
const kekFile = join(folder, "kek.hex");
writeFileSync(kekFile, KEK.toString("hex"), { mode: 0o600 });

/** Everything that must not be found in strings. */
const inStrings = new Needles();
/** Everything that must not be found in memory. */
const inMemory = new Needles();

function lookForSecrets(): void {
  for (let i = 0; i < TAPPED; i++) {
    for (const needles of [inStrings, inMemory]) {
      needles.addNumber(`card ${i}`, panOf(i));
      needles.addNumber(`ID ${i}`, idNumberOf(i).replace("X", ""));
    }
  }
  for (let i = IMPORTED_FIRST; i < IMPORTED_FIRST + IMPORTED; i++) {
    inStrings.addNumber(`card ${i}`, panOf(i));
    inStrings.addNumber(`ID ${i}`, idNumberOf(i).replace("X", ""));
    inMemory.addPacked(`card ${i}`, panOf(i));
    inMemory.addPacked(`ID ${i}`, idNumberOf(i).replace("X", ""));
  }
  for (const id of [...TERMINALS, GATE_FIRST, IMPORTED_TERMINAL]) {
    inStrings.addKey(`master key ${id}`, masterKeyOf(id));
    inMemory.addKey(`master key ${id}`, masterKeyOf(id));
  }
  inStrings.addKey("root key", rootKey);
  inMemory.addKey("root key", rootKey);
  inStrings.addKey("tokenization key", vaultKeys.tokenizationKey);
  inStrings.addKey("wrapping key", vaultKeys.wrappingKey);
}

/** Names of what is found in the memory of `pid`, with the mapping it is found in. */
function searched(pid: number | "self", needles: Needles): Map<string, string> {
  const found = new Map<string, string>();
  for (const { mapping, bytes } of memoryOf(pid)) {
    for (const name of needles.found(bytes)) found.set(name, mapping);
  }
  return found;
}

/** Every terminal signs on and sends, over both transports, good frames and bad ones. */
async function throwFrames(server: ServerProcess): Promise<RawTerminal[]> {
  const terminals = [...TERMINALS, GATE_FIRST].map((id) => new RawTerminal(id));
  const url = httpUrlOf(server.terminalsUrl);
  for (const terminal of terminals) {
    const socket = await RawSocket.open(server.terminalsUrl);
    await terminal.signOn(socket.exchange);
    for (let round = 0; round < ROUNDS; round++) {
      const mti = round % 2 === 0 ? MTI_USE_REQUEST : MTI_USE_ADVICE;
      const numbers = Array.from({ length: TAPPED }, (_, i) => [panOf(i), idNumberOf(i)]).flat();
      const uses = numbers.slice(0, round === 0 ? 1 : TAPPED * 2).map((pan) => terminal.use(pan));
      const exchange = round % 3 === 2 ? httpExchange(url) : socket.exchange;
      const answer = await terminal.ask(exchange, terminal.uses(mti, uses));
      if (answer.header.status !== "00") throw new Error(`refused: ${answer.header.status}`);
      const changed = terminal.uses(mti, uses);
      changed[40]! ^= 1;
      await exchange(changed);
      await post(url, changed.slice(0, changed.length - 3));
    }
    await socket.close();
  }
  return terminals;
}

/**
 * Messages that nobody looks into: a body that is too long, in pieces, a text, and a body of
 * another type. The memory they are read into is used again by the next, which is shorter.
 */
async function throwBodies(server: ServerProcess, terminal: RawTerminal): Promise<void> {
  const numbers = Array.from({ length: TAPPED }, (_, i) => terminal.use(panOf(i)));
  const frame = terminal.uses(MTI_USE_REQUEST, numbers);
  const { socket, ended } = rawTcp(Number(new URL(server.terminalsUrl).port));
  const rest = Buffer.alloc(FRAME_SIZE_MAX);
  socket.write(Buffer.concat([requestHead(frame.length + rest.length), frame]));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.write(rest);
  if (!(await ended).startsWith("HTTP/1.1 413")) throw new Error("too long a body was taken");
  const text = Array.from({ length: 20 * TAPPED }, (_, i) => panOf(i % TAPPED)).join(" ");
  const reader = await RawSocket.open(server.terminalsUrl);
  reader.send(text);
  const code = await reader.closed;
  if (code !== closeCode(FRAME_PROBLEM.NOT_BINARY)) throw new Error(`a text was taken: ${code}`);
  const typed = { "content-type": "application/json" };
  const { status } = await post(httpUrlOf(server.terminalsUrl), frame, typed);
  if (status !== 400) throw new Error(`a body of another type was taken: ${status}`);
}

/** Cards and a terminal come in, are asked for and changed. */
async function throwRequests(server: ServerProcess): Promise<string> {
  const client = new ControlClient({ url: server.controlUrl, adminToken });
  const cards = Array.from({ length: IMPORTED }, (_, i) => ({
    cardNumber: panOf(IMPORTED_FIRST + i),
    idNumber: idNumberOf(IMPORTED_FIRST + i),
    medium: "chip",
    status: "active",
    regionCode: 460_105,
    expiryDate: "20991231",
  }));
  const lines = cards.map((card) => `${JSON.stringify(card)}\n`);
  const report = await client.import("cards", lines.join(""));
  if (report.imported !== IMPORTED) throw new Error("the cards did not go in");
  const profile = { organisationId: 1, regionCode: 460_105, domains: ["transport" as const] };
  const masterKeyWrapped = wrapKey(masterKeyOf(IMPORTED_TERMINAL), KEK).toString("hex");
  const row = { terminalId: IMPORTED_TERMINAL, ...profile, masterKeyWrapped };
  const keyed = await client.import("terminals", `${JSON.stringify(row)}\n`);
  if (keyed.imported !== 1) throw new Error("the terminal did not go in");
  const { cardNumber, idNumber } = cards[0]!;
  await client.card(cardNumber);
  await client.cardEvent({ event: "lose", cardNumber });
  await client.addToBlacklist({ subjectKind: "holder", subject: idNumber, cause: "fraud" });
  await client.searchBlacklist("card", cardNumber);
  const made = await client.setTerminal({ terminalId: 7002, ...profile, masterKey: "new" });
  return made.masterKey!;
}

/** Waits until nothing is in flight, and a little longer. */
async function quiet(server: ServerProcess): Promise<void> {
  let inFlight = 1;
  const look = async () => {
    const text = await (await fetch(`${server.controlUrl}/metrics`)).text();
    inFlight = Number(/^tongka_records_in_flight (\d+)/m.exec(text)?.[1]);
  };
  for (let i = 0; i < 3 || inFlight > 0; i++) {
    await look();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function checkSnapshots(t: Test, snapshots: readonly string[]): void {
  // A test runner's loader is a thread beside each of them.
  t.ok(snapshots.length >= 2 + MAC_THREADS, "main, control and MAC threads");
  for (const [i, snapshot] of snapshots.entries()) {
    const strings = (JSON.parse(snapshot) as { strings: string[] }).strings.join("\n");
    t.same(inStrings.found(Buffer.from(strings)), [], `heap of thread ${i}`);
    if (i > 0) continue;
    const there = new Needles();
    there.addText("the data folder", folder);
    t.same(there.found(Buffer.from(strings)), ["the data folder"], "strings are searched");
  }
}

t.test("no number and no key stays in a running server", { skip }, async (t) => {
  lookForSecrets();
  const flags = ["--crypto-workers", String(MAC_THREADS), "--control-key-exchange-key-file"];
  const tables = ["cards", "holders", "terminals", "blacklist"].flatMap((name) => {
    return [`--tables-${name}-max`, "1000"];
  });
  const args = ["--data", folder, ...flags, kekFile, ...tables, "--tables-uses-per-date-max"];
  const inspect = ["--inspect=127.0.0.1:0", "--heap-snapshot-string-limit=1000000000"];
  const server = await serve([...args, "200000"], inspect);
  t.teardown(() => server.end("SIGKILL"));
  const pid = server.child.pid!;
  const terminals = await throwFrames(server);
  const shownKey = await throwRequests(server);
  await throwBodies(server, terminals[0]!);
  inStrings.addKey("a key shown once", Buffer.from(shownKey, "hex"));
  inMemory.addKeyBytes("a key shown once", Buffer.from(shownKey, "hex"));
  await quiet(server);

  await until("the inspector's address", () => /ws:\/\/\S+/.test(server.messages()));
  const [inspector] = /ws:\/\/\S+/.exec(server.messages())!;
  checkSnapshots(t, await heapSnapshots(inspector, 1 + MAC_THREADS));
  t.same([...searched(pid, inMemory)], [], "memory");

  const there = new Needles();
  there.addBytes("a token", cardTokenOf(new KeyVault(vaultKeys), 1));
  there.addKeyBytes("a session key", terminals.at(-1)!.sessionKeys[1]!);
  there.addNumber("a card number in flight", panOf(HELD_CARD));
  const held = rawTcp(Number(new URL(server.terminalsUrl).port));
  held.socket.write(openRequest(terminals[0]!));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const names = [...searched(pid, there).keys()].sort();
  t.same(names, ["a card number in flight", "a session key", "a token"], "it finds what is there");
  held.socket.destroy();
  await quiet(server);
  t.notOk(searched(pid, there).has("a card number in flight"), "and that it is gone");
  t.equal(await server.end("SIGTERM"), 0);
});

/** A request with a card number whose body does not end. */
function openRequest(terminal: RawTerminal): Buffer {
  const frame = terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(HELD_CARD))]);
  return Buffer.concat([requestHead(frame.length), frame.subarray(0, frame.length - 8)]);
}

function requestHead(bodySize: number): Buffer {
  const head =
    "POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n";
  return Buffer.from(`${head}content-length: ${bodySize}\r\n\r\n`);
}
