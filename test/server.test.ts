// The server as terminals meet it, over real sockets and a real disk: what each message is
// answered, and that what must not count changes nothing.

import { randomBytes } from "node:crypto";
import t, { type Test } from "tap";
import {
  AMOUNT_MINOR_MAX,
  closeCode,
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_HEADER_SIZE,
  FRAME_MTI_OFFSET,
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_RECORDS_MAX,
  FRAME_SIZE_MAX,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  frameVerified,
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  OUTCOME_FLAG_WOULD_DECLINE,
  REASON,
  readManagement,
} from "../protocol/index.js";
import type { RunningServer } from "../src/server.js";
import { httpExchange, post, RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  AMOUNT_MINOR_MAX_BUS,
  BEHIND_CONCENTRATOR,
  CARD_COUNT,
  CONCENTRATOR,
  clientOf,
  httpUrl,
  ITEM_BUS,
  ITEM_ELSEWHERE,
  panOf,
  putTerminal,
  serve,
  TERMINALS,
} from "./server-kit.js";

/** One server for the tests that leave it as they found it. */
const server = await serve(t);
const { core, metrics, vault, engine } = server.node;
const ZERO_NONCE = new Uint8Array(NONCE_SIZE);

async function socketOf(t: Test, to: RunningServer = server): Promise<RawSocket> {
  const socket = await RawSocket.open(to.terminalsUrl);
  t.teardown(() => socket.close());
  return socket;
}

async function signedOn(t: Test, terminalId: number) {
  const socket = await socketOf(t);
  const terminal = new RawTerminal(terminalId);
  await terminal.signOn(socket.exchange);
  const ask = (frame: Uint8Array) => terminal.ask(socket.exchange, frame);
  /** The outcome of one use. */
  const decide = async (mti: number, use: ReturnType<typeof terminal.use>) => {
    const answer = await ask(terminal.uses(mti, [use]));
    if (!answer.verified) throw new Error(`not verified: ${answer.header.status}`);
    return answer.outcomes[0]!;
  };
  return { socket, terminal, ask, decide };
}

/** The position must be the same after `attempt`: nothing was recorded. */
async function unchanged<T>(t: Test, attempt: () => Promise<T>): Promise<T> {
  const { position } = engine.state.registers;
  const result = await attempt();
  t.equal(engine.state.registers.position, position, "nothing was recorded");
  return result;
}

t.test("the client library, each algorithm over both transports", async (t) => {
  for (const url of [server.terminalsUrl, httpUrl(server)]) {
    for (const terminalId of TERMINALS) {
      const client = clientOf(t, url, terminalId);
      const parameters = await client.signOn();
      t.equal(parameters.recordsPerFrameMax, FRAME_RECORDS_MAX);
      const pan = panOf(terminalId % CARD_COUNT);
      // The second client of a terminal must not begin at STAN 1 again.
      const stan = url === server.terminalsUrl ? 500_000 : 500_001;
      const use = client.prepare({ pan, itemCode: ITEM_BUS, amountMinor: 200, stan });
      const first = (await client.batch(MTI_USE_REQUEST, [use]))[0]!;
      t.match(first, { approved: true, responseCode: "00", reasonName: "APPROVED" });
      t.ok(first.authorizationId >= 1 && first.authorizationId <= 999_999);
      t.same((await client.batch(MTI_USE_REQUEST, [use]))[0], first, "a repeat: the first answer");
      const generation = await client.changeKey();
      t.ok(generation >= 2);
      t.same((await client.batch(MTI_USE_REQUEST, [use]))[0], first, "under the new keys, too");
      t.ok((await client.echo()) >= 0);
      await client.signOff();
      t.equal(engine.state.sessions.signedOn(engine.state.parties.find(terminalId)), false);
      t.equal(client.counters.signOns, 1);
      client.close();
    }
  }
});

t.test("authorize, advice, reversal, reversal advice", async (t) => {
  const { terminal, decide } = await signedOn(t, 1001);
  const pan = panOf(1);
  const use = terminal.use(pan);
  t.match(await decide(MTI_USE_REQUEST, use), { responseCode: "00", reason: 0 });
  const other = { ...use, amountMinor: 300 };
  t.match(
    await decide(MTI_USE_REQUEST, other),
    { responseCode: "94", differingField: 4 },
    "same STAN, other amount",
  );
  const dear = terminal.use(pan, { amountMinor: AMOUNT_MINOR_MAX_BUS + 1 });
  t.match(await decide(MTI_USE_REQUEST, dear), { responseCode: "61", authorizationId: 0 });
  const advised = terminal.use(pan, { amountMinor: AMOUNT_MINOR_MAX_BUS + 1 });
  t.match(await decide(MTI_USE_ADVICE, advised), {
    responseCode: "00",
    reason: REASON.AMOUNT_OVER_LIMIT,
    flags: OUTCOME_FLAG_WOULD_DECLINE,
  });
  const undo = (original: typeof use) =>
    terminal.use(pan, {
      amountMinor: original.amountMinor,
      originalStan: original.stan,
      originalBusinessDate: original.businessDate,
    });
  t.match(await decide(MTI_REVERSAL_REQUEST, undo(use)), { responseCode: "00" });
  t.match(await decide(MTI_REVERSAL_REQUEST, undo(use)), {
    responseCode: "94",
    reason: REASON.ALREADY_REVERSED,
  });
  t.match(await decide(MTI_REVERSAL_ADVICE, undo(advised)), { responseCode: "00", flags: 0 });
  const late = terminal.use(pan);
  t.match(await decide(MTI_REVERSAL_REQUEST, undo(late)), { responseCode: "25" });
  t.match(await decide(MTI_USE_REQUEST, late), { reason: REASON.REVERSAL_CAME_FIRST });
});

t.test("a batch of 4,096 over both transports, each outcome in its place", async (t) => {
  const url = httpUrl(server);
  for (const path of ["ws", "http"]) {
    const terminal = new RawTerminal(path === "ws" ? 1001 : 1003);
    const exchange = path === "ws" ? (await socketOf(t)).exchange : httpExchange(url);
    await terminal.signOn(exchange);
    const records = Array.from({ length: FRAME_RECORDS_MAX }, (_, i) =>
      terminal.use(panOf(i % (CARD_COUNT + 1)), { stan: 100_000 + i }),
    );
    const frame = terminal.uses(MTI_USE_REQUEST, records);
    t.equal(frame.length, FRAME_SIZE_MAX);
    const { verified, outcomes } = await terminal.ask(exchange, frame);
    t.ok(verified);
    t.equal(outcomes.length, FRAME_RECORDS_MAX);
    const wrong = outcomes.filter((outcome, i) => {
      const known = i % (CARD_COUNT + 1) < CARD_COUNT;
      return outcome.stan !== 100_000 + i || outcome.responseCode !== (known ? "00" : "14");
    });
    t.same(wrong, []);
    const again = await terminal.ask(exchange, terminal.uses(MTI_USE_REQUEST, records));
    t.same(again.outcomes, outcomes, "a repeat of the whole: the same outcomes");
  }
});

t.test("a frame with the same record twice answers both the same", async (t) => {
  const { terminal, ask } = await signedOn(t, 1002);
  const use = terminal.use(panOf(3), { stan: 7000 });
  const { outcomes } = await ask(terminal.uses(MTI_USE_REQUEST, [use, use]));
  t.equal(outcomes[0]!.responseCode, "00");
  t.same(outcomes[0], outcomes[1]);
});

t.test("old keys hold over a key change, and not over a sign-on", async (t) => {
  for (const terminalId of TERMINALS) {
    const { socket, terminal, ask } = await signedOn(t, terminalId);
    const old = { generation: terminal.keyGeneration, sequence: 50 };
    const [oldRequest, oldResponse] = [terminal.requestMac!, terminal.responseMac!];
    const nonce = new Uint8Array(randomBytes(NONCE_SIZE));
    const answer = await socket.exchange(terminal.manage(FUNCTION_KEY_CHANGE, nonce));
    t.ok(frameVerified(oldResponse, answer, 0, answer.length), "answered under the old keys");
    const view = new DataView(answer.buffer);
    const record = readManagement(view, FRAME_HEADER_SIZE);
    terminal.openSession(record.keyGeneration, nonce, record.serverNonce);
    t.equal(record.keyGeneration, old.generation + 1);
    const echo = await ask(terminal.manage(FUNCTION_ECHO));
    t.match([echo.header.status, echo.verified], ["00", true]);
    const header = { keyGeneration: old.generation, sequence: old.sequence, mti: 0x0100 };
    const use = terminal.use(panOf(4), { stan: 8000 });
    const body = terminal.uses(MTI_USE_REQUEST, [use]).slice(FRAME_HEADER_SIZE, -16);
    const late = await socket.exchange(terminal.seal(header, body, 1, oldRequest));
    t.ok(frameVerified(oldResponse, late, 0, late.length), "the old keys still hold");
    t.equal(terminal.read(late).outcomes[0]!.responseCode, "00");
    await terminal.signOn(socket.exchange);
    const later = { ...header, sequence: old.sequence + 1 };
    const tooLate = await ask(terminal.seal(later, body, 1, oldRequest));
    t.equal(tooLate.header.status, "A0", "and end with the sign-on after");
  }
});

t.test("a concentrator speaks for its terminals and for no others", async (t) => {
  const { terminal, decide } = await signedOn(t, CONCENTRATOR);
  const own = terminal.use(panOf(5));
  t.equal((await decide(MTI_USE_REQUEST, own)).responseCode, "00");
  const behind = terminal.use(panOf(5), { terminalId: BEHIND_CONCENTRATOR });
  t.match(await decide(MTI_USE_REQUEST, behind), {
    responseCode: "00",
    terminalId: BEHIND_CONCENTRATOR,
  });
  const others = terminal.use(panOf(5), { terminalId: 1001, stan: 90_001 });
  t.match(await decide(MTI_USE_REQUEST, others), {
    responseCode: "58",
    reason: REASON.TERMINAL_NOT_OF_SENDER,
  });
  const nobodys = terminal.use(panOf(5), { terminalId: 99_999 });
  t.equal((await decide(MTI_USE_REQUEST, nobodys)).responseCode, "97");
  const second = await signedOn(t, BEHIND_CONCENTRATOR);
  const back = second.terminal.use(panOf(5), { terminalId: CONCENTRATOR, stan: 90_002 });
  t.equal((await second.decide(MTI_USE_REQUEST, back)).responseCode, "58");
});

t.test("cards, amounts and items that are none", async (t) => {
  const { terminal, decide, ask } = await signedOn(t, 1001);
  const pan = panOf(6);
  const wrongCheck = pan.slice(0, -1) + ((Number(pan.at(-1)) + 1) % 10);
  const cases: [string, Partial<ReturnType<typeof terminal.use>>, string, number][] = [
    ["unknown card", { pan: panOf(CARD_COUNT) }, "14", REASON.CARD_UNKNOWN],
    ["wrong check digit", { pan: wrongCheck }, "14", REASON.CARD_NUMBER_INVALID],
    ["eleven digits", { pan: pan.slice(0, 11) }, "14", REASON.CARD_NUMBER_INVALID],
    ["negative amount", { amountMinor: -1 }, "13", REASON.AMOUNT_INVALID],
    ["most negative amount", { amountMinor: -(2 ** 53) + 1 }, "13", REASON.AMOUNT_INVALID],
    ["amount of 2^32 fen", { amountMinor: 2 ** 32 }, "61", REASON.AMOUNT_OVER_LIMIT],
    ["amount too large", { amountMinor: AMOUNT_MINOR_MAX + 1 }, "13", REASON.AMOUNT_INVALID],
    ["largest amount", { amountMinor: AMOUNT_MINOR_MAX }, "61", REASON.AMOUNT_OVER_LIMIT],
    ["unknown item", { itemCode: 999 }, "12", REASON.ITEM_UNKNOWN],
    ["item of elsewhere", { itemCode: ITEM_ELSEWHERE }, "58", REASON.REGION_NOT_SERVED],
    ["other medium", { medium: 2 }, "57", REASON.MEDIUM_NOT_ALLOWED],
    ["no medium", { medium: 9 }, "30", REASON.FORMAT_INVALID],
    ["no STAN", { stan: 0 }, "30", REASON.FORMAT_INVALID],
    ["date of long ago", { businessDate: 20_200_101 }, "68", REASON.DATE_TOO_OLD],
    ["date of the future", { businessDate: 20_990_101 }, "90", REASON.DATE_AHEAD],
    ["an original in a request", { originalStan: 1 }, "30", REASON.FORMAT_INVALID],
  ];
  for (const [name, changes, responseCode, reason] of cases) {
    const outcome = await decide(MTI_USE_REQUEST, { ...terminal.use(pan), ...changes });
    t.match(outcome, { responseCode, reason, authorizationId: 0 }, name);
  }
  const records = cases.map(([, changes]) => ({ ...terminal.use(pan), ...changes }));
  const { outcomes } = await ask(terminal.uses(MTI_USE_REQUEST, records));
  t.same(
    outcomes.map(({ responseCode }) => responseCode),
    cases.map(([, , responseCode]) => responseCode),
    "all in one frame",
  );
});

t.test("a wrong MAC gets A0, is counted, and changes nothing", async (t) => {
  const { socket, terminal, ask } = await signedOn(t, 1001);
  const counted = metrics.frames(REASON.MAC_INVALID);
  const use = terminal.use(panOf(7));
  const frame = terminal.uses(MTI_USE_REQUEST, [use]);
  const offsets = [16, 24, 40, 63, 80, frame.length - 1];
  await unchanged(t, async () => {
    for (const at of offsets) {
      const forged = frame.slice();
      forged[at]! ^= 1;
      const { header, verified } = await ask(forged);
      t.match(header, { status: "A0", flags: FRAME_FLAG_UNAUTHENTICATED, count: 0 }, `byte ${at}`);
      t.notOk(verified);
    }
  });
  t.equal(metrics.frames(REASON.MAC_INVALID) - counted, offsets.length);
  const answer = await ask(frame);
  t.equal(answer.outcomes[0]!.responseCode, "00", "its sequence was not taken by the forged ones");
  await unchanged(t, async () => {
    const other = new RawTerminal(1004);
    await other.challenge(socket.exchange);
    const stranger = new RawTerminal(1004, 4, 1, new Uint8Array(32).fill(1));
    await t.rejects(stranger.challenge(socket.exchange), { message: /A0/ });
  });
});

t.test("frames under other keys, and responses sent back", async (t) => {
  const { socket, terminal, ask } = await signedOn(t, 1001);
  const other = await signedOn(t, 1002);
  await unchanged(t, async () => {
    const use = terminal.use(panOf(8), { stan: 95_000 });
    const borrowed = terminal.uses(MTI_USE_REQUEST, [use], { senderId: 1002 });
    t.equal((await ask(borrowed)).header.status, "A0", "a frame under another terminal's key");
    const body = borrowed.slice(FRAME_HEADER_SIZE, -16);
    const underResponseKey = terminal.seal({ mti: 0x0100 }, body, 1, terminal.responseMac);
    t.equal((await ask(underResponseKey)).header.status, "A0", "a request under the response key");
    const generation = { keyGeneration: terminal.keyGeneration + 1 };
    const ahead = terminal.uses(MTI_USE_REQUEST, [use], generation);
    t.equal((await ask(ahead)).header.status, "A0", "a generation to come");
  });
  const use = other.terminal.use(panOf(8), { stan: 95_001 });
  const answer = await other.socket.exchange(other.terminal.uses(MTI_USE_REQUEST, [use]));
  const reflected = answer.slice();
  await unchanged(t, async () => {
    new DataView(reflected.buffer).setUint16(FRAME_MTI_OFFSET, MTI_USE_REQUEST, true);
    other.socket.send(reflected);
    t.equal(await other.socket.closed, closeCode(FRAME_PROBLEM.STATUS_INVALID));
    socket.send(answer);
    t.equal(await socket.closed, closeCode(FRAME_PROBLEM.NOT_A_REQUEST));
  });
});

t.test("unknown terminals, and those not signed on", async (t) => {
  const socket = await socketOf(t);
  await unchanged(t, async () => {
    const unknown = new RawTerminal(77_777, 1);
    await t.rejects(unknown.challenge(socket.exchange), { message: /97/ });
    unknown.openSession(1, ZERO_NONCE, ZERO_NONCE);
    const frame = unknown.uses(MTI_USE_REQUEST, [unknown.use(panOf(9))]);
    const answer = await unknown.ask(socket.exchange, frame);
    t.match(answer.header, { status: "97", flags: FRAME_FLAG_UNAUTHENTICATED });
    const silent = new RawTerminal(3060);
    silent.openSession(1, ZERO_NONCE, ZERO_NONCE);
    for (const keyGeneration of [0, 1, 2 ** 32 - 1]) {
      const asked = silent.uses(MTI_USE_REQUEST, [silent.use(panOf(9))], { keyGeneration });
      t.equal((await silent.ask(socket.exchange, asked)).header.status, "A0");
    }
  });
  const { terminal, ask } = await signedOn(t, 3061);
  t.equal((await ask(terminal.manage(FUNCTION_SIGN_OFF))).header.status, "00");
  const after = await ask(terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(9))]));
  t.equal(after.header.status, "A0", "signed off");
});

t.test("a sequence is taken once, within the window", async (t) => {
  const { socket, terminal, ask } = await signedOn(t, 1003);
  const use = terminal.use(panOf(10), { stan: 60_000 });
  const frame = terminal.uses(MTI_USE_REQUEST, [use], { sequence: 1000 });
  t.equal((await ask(frame)).outcomes[0]!.responseCode, "00");
  await unchanged(t, async () => {
    for (const sequence of [1000, 1000 - 256, 1, 0]) {
      const again = await ask(terminal.uses(MTI_USE_REQUEST, [use], { sequence }));
      t.match([again.header.status, again.verified], ["63", true], `sequence ${sequence}`);
    }
  });
  for (const sequence of [999, 1000 - 255, 2 ** 32 - 1, 2 ** 32 - 200]) {
    const asked = terminal.uses(MTI_USE_REQUEST, [use], { sequence });
    t.equal((await ask(asked)).header.status, "00", `sequence ${sequence}`);
  }
  const twice = terminal.uses(MTI_USE_REQUEST, [use], { sequence: 2 ** 32 - 100 });
  socket.send(twice);
  socket.send(twice);
  const statuses = [terminal.read(await socket.next()), terminal.read(await socket.next())];
  t.same(statuses.map(({ header }) => header.status).sort(), ["00", "63"], "at the same moment");
});

t.test("sign-on proofs that belong to no challenge", async (t) => {
  const socket = await socketOf(t);
  const terminal = new RawTerminal(1002);
  const refused = async (frame: Uint8Array, status: string, name: string) => {
    t.equal(terminal.read(await socket.exchange(frame)).header.status, status, name);
  };
  await unchanged(t, async () => {
    await refused(terminal.proof(ZERO_NONCE, ZERO_NONCE), "63", "no challenge");
    const first = await terminal.challenge(socket.exchange);
    const wrong = first.serverNonce.slice();
    wrong[0]! ^= 1;
    await refused(terminal.proof(first.terminalNonce, wrong), "63", "another nonce");
    const right = terminal.proof(first.terminalNonce, first.serverNonce);
    await refused(right, "63", "a challenge is good for one attempt");
    await refused(terminal.signOnFrame(7, ZERO_NONCE, ZERO_NONCE), "30", "no such step");
  });
  const { terminalNonce, serverNonce } = await terminal.challenge(socket.exchange);
  const proof = terminal.proof(terminalNonce, serverNonce);
  const opened = await socket.exchange(proof);
  t.equal(terminal.read(opened).header.status, "00");
  await unchanged(t, () => refused(proof, "63", "a proof replayed"));
});

t.test("frames that are none close the connection with the documented code", async (t) => {
  const terminal = new RawTerminal(1001);
  terminal.openSession(1, ZERO_NONCE, ZERO_NONCE);
  const sound = terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(11))]);
  const changed = (offset: number, ...bytes: number[]) => {
    const frame = sound.slice();
    frame.set(bytes, offset);
    return frame;
  };
  const cases: [keyof typeof FRAME_PROBLEM, Uint8Array | string][] = [
    ["TRUNCATED", new Uint8Array(0)],
    ["TRUNCATED", sound.slice(0, 47)],
    ["TOO_LARGE", new Uint8Array(FRAME_SIZE_MAX + 1)],
    ["MAGIC_WRONG", changed(0, 0)],
    ["VERSION_UNKNOWN", changed(2, 2)],
    ["FLAGS_INVALID", changed(3, 1)],
    ["MTI_UNKNOWN", changed(4, 0x77)],
    ["SENDER_ID_INVALID", changed(8, 0, 0, 0, 0)],
    ["SIZE_DIFFERS", changed(20, 65)],
    ["COUNT_INVALID", changed(6, 0, 0)],
    ["BODY_SIZE_INVALID", changed(6, 2)],
    ["STATUS_INVALID", changed(30, 0x30, 0x30)],
    ["NOT_BINARY", "text"],
    ["NOT_A_REQUEST", changed(4, 0x10, 1, 0, 0, 233, 3, 0, 0)],
  ];
  for (const [name, bytes] of cases) {
    const problem = FRAME_PROBLEM[name];
    if (name === "NOT_A_REQUEST") (bytes as Uint8Array).set([0x30, 0x30], 30);
    const frame = name === "NOT_A_REQUEST" ? withoutBody(bytes as Uint8Array) : bytes;
    const counted = metrics.closed(problem);
    const socket = await socketOf(t);
    await unchanged(t, async () => {
      socket.send(frame);
      socket.send(sound);
      t.equal(await socket.closed, closeCode(problem), name);
    });
    t.equal(socket.count, 0, "nothing is answered after it");
    t.equal(metrics.closed(problem), counted + 1);
    if (typeof frame === "string") continue;
    const answer = await post(httpUrl(server), frame);
    t.equal(answer.status, name === "TOO_LARGE" ? 413 : 400, name);
    t.equal(JSON.parse(Buffer.from(answer.body).toString()).error, FRAME_PROBLEM_NAMES[problem]);
  }
  const far = await socketOf(t);
  far.send(new Uint8Array(FRAME_SIZE_MAX * 4));
  t.ok((await far.closed) > 1000, "much too large: closed");
});

function withoutBody(frame: Uint8Array): Uint8Array {
  const short = new Uint8Array(48);
  short.set(frame.subarray(0, 32));
  short.fill(0, 20, 24);
  return short;
}

t.test("a master key that was changed twice, and one of another algorithm", async (t) => {
  const terminalId = 3062;
  const { socket, terminal, ask } = await signedOn(t, terminalId);
  const use = terminal.use(panOf(12));
  await putTerminal(core, vault, terminalId, { masterKeyVersion: 2, macAlgorithm: 3 });
  const under = await ask(terminal.uses(MTI_USE_REQUEST, [use]));
  t.equal(under.outcomes[0]!.responseCode, "00", "the session goes on");
  const oldKey = new RawTerminal(terminalId, 3, 1, new Uint8Array(32));
  await t.rejects(oldKey.challenge(socket.exchange), { message: /A0/ }, "a key of the other size");
  const changed = await ask(terminal.manage(FUNCTION_KEY_CHANGE));
  t.equal(changed.header.status, "A0", "no new keys from the old master key");
  await putTerminal(core, vault, terminalId, { masterKeyVersion: 3, macAlgorithm: 3 });
  // As after a restart, or when other sessions needed the room: keys are derived again.
  core.keys.close();
  const later = await ask(terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(12))]));
  t.equal(later.header.status, "A0", "its master key is gone: sign on again");
  const next = new RawTerminal(terminalId, 3, 3);
  await next.signOn(socket.exchange);
  const outcome = await next.ask(socket.exchange, next.uses(MTI_USE_REQUEST, [use]));
  t.same(outcome.outcomes, under.outcomes, "a repeat across the sign-on");
});
