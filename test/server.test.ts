// The server as terminals meet it, over real sockets and a real disk: what each message is
// answered, and that what must not count changes nothing.

import { randomBytes } from "node:crypto";
import t, { type Test } from "tap";
import {
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_HEADER_SIZE,
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
import { httpExchange, RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  AMOUNT_MINOR_MAX_BUS,
  CARD_COUNT,
  clientOf,
  httpUrl,
  ITEM_BUS,
  panOf,
  putTerminal,
  serve,
  TERMINALS,
} from "./server-kit.js";

/** One server for the tests that leave it as they found it. */
const server = await serve(t);
const { core, vault, engine } = server.node;
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
