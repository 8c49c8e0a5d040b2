// Frames that lie, over real sockets: every single bit of every message turned, every message cut
// at every byte, frames of other sessions and other terminals, and frames that come again. All are
// refused as the protocol says; none changes the state; what was true before is taken afterwards.

import { randomBytes } from "node:crypto";
import t, { type Test } from "tap";
import { LIST_ADD } from "../engine/commands.js";
import { LIST_CAUSE, LIST_SUBJECT, PARTY_STATUS } from "../engine/domain.js";
import {
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_HEADER_SIZE,
  FRAME_MTI_OFFSET,
  FRAME_STATUS_OFFSET,
  type FrameHeader,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  type Mac,
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  REASON,
  readManagement,
} from "../protocol/index.js";
import { fateOf, inParallel, type SignedOn, statusOf, Target } from "./abuse-kit.js";
import { post, type RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  BEHIND_CONCENTRATOR,
  CONCENTRATOR,
  GATE_FIRST,
  httpUrl,
  panOf,
  putListEntry,
  putTerminal,
  TERMINALS,
} from "./server-kit.js";

const ZERO_NONCE = new Uint8Array(NONCE_SIZE);
const CONNECTIONS = 16;
const IN_FLIGHT = 64;

const target = await Target.start(t);
const { terminalsUrl, node } = target.server;
const { core, metrics, vault } = node;

/** A frame that is right, and was not sent yet. */
interface Message {
  name: string;
  frame: Uint8Array;
}

/** Every message of a terminal; the last but one ends the session. */
async function messagesOf({ socket, terminal }: SignedOn): Promise<Message[]> {
  const use = (changes = {}) => terminal.use(panOf(1), changes);
  const undo = { originalStan: 1, originalBusinessDate: terminal.businessDate };
  const nonce = new Uint8Array(randomBytes(NONCE_SIZE));
  const other = new RawTerminal(terminal.terminalId + 32);
  const { terminalNonce, serverNonce } = await other.challenge(socket.exchange);
  return [
    requestOf({ terminal }),
    { name: "0100 of three", frame: terminal.uses(MTI_USE_REQUEST, [use(), use(), use()]) },
    { name: "0120", frame: terminal.uses(MTI_USE_ADVICE, [use()]) },
    { name: "0400", frame: terminal.uses(MTI_REVERSAL_REQUEST, [use(undo)]) },
    { name: "0420", frame: terminal.uses(MTI_REVERSAL_ADVICE, [use(undo)]) },
    { name: "0800 proof", frame: other.proof(terminalNonce, serverNonce) },
    { name: "0800 echo", frame: terminal.manage(FUNCTION_ECHO) },
    { name: "0800 key change", frame: terminal.manage(FUNCTION_KEY_CHANGE, nonce) },
    { name: "0800 sign-off", frame: terminal.manage(FUNCTION_SIGN_OFF) },
    { name: "0800 challenge", frame: terminal.signOnFrame(0, nonce, ZERO_NONCE) },
  ];
}

function requestOf({ terminal }: Pick<SignedOn, "terminal">): Message {
  return { name: "0100", frame: terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(1))]) };
}

/** By offset in the header: what a turned bit there may lead to. */
const FATES: readonly [name: string, until: number, fates: readonly string[]][] = [
  ["magic", 2, ["MAGIC_WRONG"]],
  ["version", 3, ["VERSION_UNKNOWN"]],
  ["flags", 4, ["FLAGS_INVALID"]],
  // Another request's MTI, a response's, or none.
  ["mti", 6, ["A0", "STATUS_INVALID", "MTI_UNKNOWN"]],
  ["count", 8, ["COUNT_INVALID", "BODY_SIZE_INVALID"]],
  ["senderId", 12, ["97", "A0", "SENDER_ID_INVALID"]],
  ["keyGeneration and sequence", 20, ["A0"]],
  ["bodySize", 24, ["SIZE_DIFFERS"]],
  ["timeMs", 30, ["A0"]],
  ["status", 32, ["STATUS_INVALID"]],
  ["body and MAC", 2 ** 32, ["A0"]],
];

function fatesAt(offset: number): (typeof FATES)[number] {
  return FATES.find(([, until]) => offset < until)!;
}

/** Whether a frame with a bit turned at `offset` is answered, so that its connection stays. */
function staysOpen(offset: number): boolean {
  return fatesAt(offset)[2].length === 1 && fatesAt(offset)[2][0] === "A0";
}

function turned(frame: Uint8Array, bit: number): Uint8Array {
  const copy = frame.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** Sends frames that are answered over one connection; returns the statuses that came. */
async function statusesOf(socket: RawSocket, frames: readonly Uint8Array[]): Promise<string[]> {
  const statuses: string[] = [];
  for (let i = 0; i < frames.length; i += IN_FLIGHT) {
    const some = frames.slice(i, i + IN_FLIGHT);
    for (const frame of some) socket.send(frame);
    for (const _ of some) statuses.push(statusOf(await socket.next()));
  }
  return statuses;
}

/** Turns every bit of a message, and returns how many were refused as they should. */
async function turnAll(t: Test, socket: RawSocket, { name, frame }: Message): Promise<number> {
  const bits = Array.from({ length: frame.length * 8 }, (_, bit) => bit);
  const wrong: string[] = [];
  const answered = bits.filter((bit) => staysOpen(bit >> 3));
  const statuses = await statusesOf(
    socket,
    answered.map((bit) => turned(frame, bit)),
  );
  statuses.forEach((status, i) => {
    if (status !== "A0") wrong.push(`bit ${answered[i]}: ${status}`);
  });
  const others = bits.filter((bit) => !staysOpen(bit >> 3));
  await inParallel(others, CONNECTIONS, async (bit) => {
    const fate = await fateOf(terminalsUrl, turned(frame, bit));
    const [field, , fates] = fatesAt(bit >> 3);
    if (!fates.includes(fate)) wrong.push(`bit ${bit} of ${field}: ${fate}`);
  });
  t.same(wrong, [], `${name}: every turned bit is refused`);
  return bits.length;
}

t.test("every single bit of every message turned", async (t) => {
  let tried = 0;
  const gates = [GATE_FIRST, ...TERMINALS.slice(1)];
  for (const terminalId of gates) {
    const gate = await target.signedOn(t, terminalId);
    // The messages of one terminal, and one message under each of the other algorithms.
    const messages = terminalId === GATE_FIRST ? await messagesOf(gate) : [requestOf(gate)];
    const mark = target.mark();
    for (const message of messages) {
      const name = `algorithm ${gate.terminal.algorithm}, ${message.name}`;
      tried += await turnAll(t, gate.socket, { ...message, name });
      await target.unchanged(t, mark, name);
    }
    for (const { name, frame } of messages) {
      const status = statusOf(await gate.socket.exchange(frame));
      t.equal(status, "00", `${name}: itself is taken afterwards`);
    }
  }
  t.comment(`frames with a bit turned: ${tried}, taken: 0`);
  await target.unharmed(t);
});

t.test("every message cut at every byte, over both transports", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 1);
  const messages = await messagesOf(gate);
  const mark = target.mark();
  const cuts = messages.flatMap(({ name, frame }) =>
    Array.from({ length: frame.length }, (_, size) => ({ name, cut: frame.slice(0, size) })),
  );
  const wrong: string[] = [];
  await inParallel(cuts, CONNECTIONS, async ({ name, cut }) => {
    const expected = cut.length < 48 ? "TRUNCATED" : "SIZE_DIFFERS";
    const fate = await fateOf(terminalsUrl, cut);
    const { status, body } = await post(httpUrl(target.server), cut);
    const told = JSON.parse(Buffer.from(body).toString()).error;
    if (fate !== expected) wrong.push(`${name}, ${cut.length} bytes: ${fate}`);
    if (status !== 400 || told !== expected) wrong.push(`${name} by HTTP: ${status} ${told}`);
  });
  t.same(wrong, []);
  await target.unchanged(t, mark, "cut messages");
  t.comment(`cut frames tried: ${2 * cuts.length}, taken: 0`);
  for (const { name, frame } of messages) {
    t.equal(statusOf(await gate.socket.exchange(frame)), "00", `${name}: whole it is taken`);
  }
  await target.unharmed(t);
});

t.test("frames under other keys, generations and directions", async (t) => {
  const { terminal, socket, ask } = await target.signedOn(t, 1001);
  const other = await target.signedOn(t, 1002);
  const mark = target.mark();
  const counted = metrics.frames(REASON.MAC_INVALID) + metrics.frames(REASON.NOT_SIGNED_ON);
  const use = terminal.use(panOf(8), { stan: 95_000 });
  const { keyGeneration } = terminal;
  const body = terminal.uses(MTI_USE_REQUEST, [use]).slice(FRAME_HEADER_SIZE, -16);
  const sealed = (mac: Mac | null) => terminal.seal({ mti: MTI_USE_REQUEST }, body, 1, mac);
  const under = (header: Partial<FrameHeader>) => terminal.uses(MTI_USE_REQUEST, [use], header);
  const rows: [string, Uint8Array][] = [
    ["in another terminal's name", under({ senderId: 1002 })],
    ["under another terminal's key", sealed(other.terminal.requestMac)],
    ["under the response key", sealed(terminal.responseMac)],
    ["without a MAC", sealed(null)],
    ["a generation that ended or never was", under({ keyGeneration: keyGeneration - 1 })],
    ["a generation to come", under({ keyGeneration: keyGeneration + 1 })],
    ["the last generation there can be", under({ keyGeneration: 2 ** 32 - 1 })],
    ["no generation", under({ keyGeneration: 0 })],
  ];
  for (const [name, frame] of rows) {
    const { header, verified } = await ask(frame);
    t.match(header, { status: "A0", flags: FRAME_FLAG_UNAUTHENTICATED, count: 0 }, name);
    t.notOk(verified, name);
  }
  const refused = metrics.frames(REASON.MAC_INVALID) + metrics.frames(REASON.NOT_SIGNED_ON);
  t.equal(refused - counted, rows.length, "each was counted");
  const stranger = new RawTerminal(1004, 4, 1, new Uint8Array(32).fill(1));
  await t.rejects(stranger.challenge(socket.exchange), { message: /A0/ }, "another master key");
  await target.unchanged(t, mark, "other keys");
});

t.test("responses sent back", async (t) => {
  const { terminal, socket } = await target.signedOn(t, 1003);
  const taken: Uint8Array[] = [];
  taken.push(await socket.exchange(terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(8))])));
  taken.push(await socket.exchange(terminal.manage(FUNCTION_ECHO)));
  taken.push(await socket.exchange(terminal.signOnFrame(0, ZERO_NONCE, ZERO_NONCE)));
  const mark = target.mark();
  for (const answer of taken) {
    t.equal(await fateOf(terminalsUrl, answer), "NOT_A_REQUEST", "as it is");
    const request = answer.slice();
    const view = new DataView(request.buffer);
    view.setUint16(FRAME_MTI_OFFSET, view.getUint16(FRAME_MTI_OFFSET, true) & ~0x10, true);
    t.equal(await fateOf(terminalsUrl, request), "STATUS_INVALID", "as a request");
    view.setUint16(FRAME_STATUS_OFFSET, 0, true);
    const fate = await fateOf(terminalsUrl, request);
    // An outcome is half as long as a use; a management record is the same in both directions.
    t.ok(["BODY_SIZE_INVALID", "A0"].includes(fate), `as a request without its status: ${fate}`);
  }
  await target.unchanged(t, mark, "responses");
});

t.test("replay: inside the window, outside, on other connections and transports", async (t) => {
  const { socket, terminal, ask } = await target.signedOn(t, 1003);
  const use = terminal.use(panOf(10), { stan: 60_000 });
  const first = terminal.uses(MTI_USE_REQUEST, [use], { sequence: 1000 });
  t.equal((await ask(first)).outcomes[0]!.responseCode, "00");
  const mark = target.mark();
  t.equal(await fateOf(terminalsUrl, first), "63", "on another connection");
  t.equal(statusOf((await post(httpUrl(target.server), first)).body), "63", "over HTTP");
  for (const sequence of [1000, 1000 - 256, 1, 0]) {
    const again = await ask(terminal.uses(MTI_USE_REQUEST, [use], { sequence }));
    t.match([again.header.status, again.verified], ["63", true], `sequence ${sequence}`);
  }
  await target.unchanged(t, mark, "replays");
  for (const sequence of [999, 1000 - 255, 2 ** 32 - 1, 2 ** 32 - 200]) {
    const asked = terminal.uses(MTI_USE_REQUEST, [use], { sequence });
    t.equal((await ask(asked)).header.status, "00", `sequence ${sequence}`);
    t.equal((await ask(asked)).header.status, "63", `sequence ${sequence} again`);
  }
  t.equal((await ask(first)).header.status, "63", "the first one, far outside the window by now");
  const twice = terminal.uses(MTI_USE_REQUEST, [use], { sequence: 2 ** 32 - 100 });
  socket.send(twice);
  socket.send(twice);
  const statuses = [terminal.read(await socket.next()), terminal.read(await socket.next())];
  t.same(statuses.map(({ header }) => header.status).sort(), ["00", "63"], "at the same moment");
});

t.test("sign-on replayed, and proofs that belong to no challenge", async (t) => {
  const socket = await target.socket(t);
  const terminal = new RawTerminal(1002);
  const statusFor = async (frame: Uint8Array) => statusOf(await socket.exchange(frame));
  const mark = target.mark();
  t.equal(await statusFor(terminal.proof(ZERO_NONCE, ZERO_NONCE)), "63", "no challenge");
  const first = await terminal.challenge(socket.exchange);
  const wrong = first.serverNonce.slice();
  wrong[0]! ^= 1;
  t.equal(await statusFor(terminal.proof(first.terminalNonce, wrong)), "63", "another nonce");
  const right = terminal.proof(first.terminalNonce, first.serverNonce);
  t.equal(await statusFor(right), "63", "a challenge is good for one attempt");
  await target.unchanged(t, mark, "proofs");
  const nonce = new Uint8Array(randomBytes(NONCE_SIZE));
  const challenge = terminal.signOnFrame(0, nonce, ZERO_NONCE);
  const { serverNonce } = readManagement(viewOf(await socket.exchange(challenge)), 32);
  const proof = terminal.proof(nonce, serverNonce);
  t.equal(await statusFor(proof), "00");
  const after = target.mark();
  t.equal(await statusFor(proof), "63", "the proof again");
  const again = readManagement(viewOf(await socket.exchange(challenge)), 32);
  t.notSame(again.serverNonce, serverNonce, "the challenge again: another nonce of the server");
  t.equal(await statusFor(proof), "63", "to which the old proof does not belong");
  await target.unchanged(t, after, "a replayed sign-on");
});

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

t.test("a concentrator speaks for its terminals, for no others, and not when closed", async (t) => {
  const gate = await target.signedOn(t, CONCENTRATOR);
  const { terminal } = gate;
  const asked = (terminalId: number, stan: number) =>
    gate.decide(MTI_USE_REQUEST, terminal.use(panOf(5), { terminalId, stan }));
  const own = { responseCode: "00" };
  const foreign = { responseCode: "58", reason: REASON.TERMINAL_NOT_OF_SENDER };
  t.match(await asked(CONCENTRATOR, 90_000), own);
  t.match(await asked(BEHIND_CONCENTRATOR, 90_001), own);
  t.match(await asked(1001, 90_001), foreign, "a terminal that is not its own");
  t.match(await asked(99_999, 90_001), { responseCode: "97" }, "one that is nobody's");
  const behind = await target.signedOn(t, BEHIND_CONCENTRATOR);
  const back = behind.terminal.use(panOf(5), { terminalId: CONCENTRATOR, stan: 90_002 });
  t.match(await behind.decide(MTI_USE_REQUEST, back), foreign, "the other way round");
  await putTerminal(core, vault, CONCENTRATOR, { status: PARTY_STATUS.CLOSED });
  t.match(await asked(BEHIND_CONCENTRATOR, 90_003), foreign, "closed, with a session still");
  t.match(await asked(CONCENTRATOR, 90_003), { reason: REASON.TERMINAL_CLOSED }, "for itself");
  const advice = terminal.use(panOf(5), { terminalId: BEHIND_CONCENTRATOR, stan: 90_003 });
  t.match(await gate.decide(MTI_USE_ADVICE, advice), foreign, "nor is it believed what happened");
  const same = behind.terminal.use(panOf(6), { stan: 90_003 });
  t.match(await behind.decide(MTI_USE_REQUEST, same), own, "it took no STAN of the open terminal");
  await putTerminal(core, vault, CONCENTRATOR, { status: PARTY_STATUS.OPEN });
  t.match(await asked(BEHIND_CONCENTRATOR, 90_004), own, "open again");
  await listConcentrator();
  t.match(await asked(BEHIND_CONCENTRATOR, 90_005), foreign, "on the blacklist");
  t.match(await asked(CONCENTRATOR, 90_005), { reason: REASON.TERMINAL_LISTED });
  const direct = behind.terminal.use(panOf(5), { stan: 90_005 });
  t.match(await behind.decide(MTI_USE_REQUEST, direct), own, "the terminal itself still may");
  await target.unharmed(t);
});

function listConcentrator(): Promise<number> {
  return putListEntry(core, {
    subjectToken: null,
    subjectId: CONCENTRATOR,
    subjectKind: LIST_SUBJECT.TERMINAL,
    action: LIST_ADD,
    scopeKind: 0,
    cause: LIST_CAUSE.FRAUD,
    scopeValue: 0,
    prefixDigits: 0,
    entryId: 0,
    fromTime: 1,
    untilTime: 0,
    organisationId: 1,
  });
}
