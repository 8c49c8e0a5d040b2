// The terminal client against a peer that loses, cuts, delays, forges and refuses, over real
// sockets. What must hold throughout: a call settles once, by its deadline, and only an answer
// whose MAC holds is ever handed to the caller.

import t, { type Test } from "tap";
import {
  FRAME_HEADER_SIZE,
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type MacAlgorithmName,
  MTI_REVERSAL_REQUEST,
  MTI_USE_REQUEST,
  MTI_USE_RESPONSE,
  writeRefusal,
} from "../protocol/index.js";
import {
  StanAllocator,
  TerminalClient,
  type TerminalClientOptions,
  TerminalError,
  type Use,
} from "../src/client/index.js";
import { ScriptedServer } from "./scripted-server.js";

const TERMINAL_ID = 46_000_001;
const PAN = "6214000000000000019";
const TAP: Use = { pan: PAN, itemCode: 3_000_001, amountMinor: 200 };

interface Pair {
  server: ScriptedServer;
  client: TerminalClient;
  port: number;
}

async function pair(
  t: Test,
  options: Partial<TerminalClientOptions> = {},
  algorithm = 1,
  path = "ws",
): Promise<Pair> {
  const masterKey = new Uint8Array(MAC_KEY_SIZES[algorithm]!).fill(9);
  const server = new ScriptedServer(algorithm, masterKey);
  const port = await server.listen();
  const client = new TerminalClient({
    url: `${path}://127.0.0.1:${port}/v1/terminal`,
    terminalId: TERMINAL_ID,
    macAlgorithm: MAC_ALGORITHM_NAMES[algorithm] as MacAlgorithmName,
    masterKey,
    deadlineMs: 3000,
    answerTimeoutMs: 1000,
    backoffMsMin: 5,
    backoffMsMax: 40,
    ...options,
  });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  return { server, client, port };
}

async function failure(promise: Promise<unknown>): Promise<TerminalError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TerminalError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

t.test("signs on and authorizes under every algorithm, over both transports", async (t) => {
  for (const path of ["ws", "http"]) {
    for (const algorithm of [1, 2, 3, 4]) {
      const { server, client } = await pair(t, {}, algorithm, path);
      const parameters = await client.signOn();
      t.equal(parameters.businessDate, 20260105);
      const outcome = await client.authorize(TAP);
      t.match(outcome, { approved: true, responseCode: "00", reasonName: "APPROVED", stan: 1 });
      t.equal(server.signOns, 1);
      t.ok((await client.echo()) >= 0);
    }
  }
});

t.test("a call alone connects and signs on by itself; advices and reversals too", async (t) => {
  const { client, server } = await pair(t);
  const use = client.prepare(TAP);
  t.equal((await client.authorize(use)).rrn, 1_000_001);
  t.equal((await client.advise(TAP)).stan, 2);
  t.equal((await client.reverse(use)).stan, 3);
  t.equal((await client.reverseAdvice(use)).stan, 4);
  t.same(
    server.headers.filter(({ mti }) => mti !== 0x0800).map(({ mti }) => mti),
    [0x0100, 0x0120, 0x0400, 0x0420],
  );
});

t.test("a thousand calls at once and a batch of 4,096 come back each to its own", async (t) => {
  const { client, server } = await pair(t);
  const outcomes = await Promise.all(Array.from({ length: 1000 }, () => client.authorize(TAP)));
  t.same(
    outcomes.map(({ stan }) => stan),
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
  const uses = Array.from({ length: 4096 }, () => client.prepare(TAP));
  const batch = await client.batch(MTI_USE_REQUEST, uses);
  t.equal(batch.length, 4096);
  t.ok(batch.every(({ stan }, i) => stan === uses[i]!.stan));
  t.equal(server.asked.size, 5096);
  const tooMany = [...uses, client.prepare(TAP)];
  t.equal((await failure(client.batch(MTI_USE_REQUEST, tooMany))).code, "USE_INVALID");
});

t.test("frames of one turn leave in messages no longer than the largest frame", async (t) => {
  for (const [recordsPerFrameMax, expected] of [
    [4096, [10, 1]],
    [1, Array(11).fill(1)],
    // 48 + 4 x 64 bytes are room for two frames of 112.
    [4, [2, 2, 2, 2, 2, 1]],
  ] as const) {
    const { client, server } = await pair(t);
    server.recordsPerFrameMax = recordsPerFrameMax;
    await client.signOn();
    server.messages.length = 0;
    await Promise.all(Array.from({ length: 10 }, () => client.authorize(TAP)));
    await client.authorize(TAP);
    t.same(server.messages, expected, `${recordsPerFrameMax} records in a frame`);
    t.equal(client.counters.repeats, 0);
  }
});

t.test("answers come apart from one message, and none is taken for another", async (t) => {
  const { client, server } = await pair(t);
  server.gathers = true;
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => client.authorize(TAP)));
  t.same(
    outcomes.map(({ stan }) => stan),
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  t.same([client.counters.repeats, client.counters.ignored], [0, 0]);
});

t.test("an answer that ends the connection ends its message, too", async (t) => {
  const { client, server } = await pair(t);
  await client.signOn();
  server.gathers = true;
  server.onUse = () => ({ refuse: "97", authenticated: false });
  const calls = [client.authorize(TAP), client.authorize(TAP)];
  for (const call of calls) t.equal((await failure(call)).code, "TERMINAL_UNKNOWN");
  t.equal(client.counters.ignored, 0);
});

t.test("the server's limit of records in flight is kept", async (t) => {
  const { client, server } = await pair(t);
  server.recordsInFlightMax = 10;
  server.onUse = () => ({ delayMs: 2 });
  await client.signOn();
  await Promise.all(Array.from({ length: 60 }, () => client.authorize(TAP)));
  t.equal(server.recordsInFlightPeak, 10);
});

t.test("lost answers: the same record again under a new number", async (t) => {
  const { client, server } = await pair(t, { answerTimeoutMs: 100 });
  const seen: string[] = [];
  server.onUse = (index, uses) => {
    seen.push(JSON.stringify(uses));
    return index < 2 ? "swallow" : "answer";
  };
  t.equal((await client.authorize(TAP)).approved, true);
  t.ok(seen.length >= 3);
  t.equal(new Set(seen).size, 1, "the record is the same each time");
  t.equal(server.asked.size, 1);
  t.ok(client.counters.repeats >= 2);
});

t.test("a connection cut in flight: connects again, goes on with the session", async (t) => {
  const { client, server } = await pair(t);
  server.onUse = (index) => (index === 3 ? "cut" : "answer");
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => client.authorize(TAP)));
  t.ok(outcomes.every(({ approved }) => approved));
  t.equal(server.asked.size, 20, "no use is another use");
  t.equal(server.connections, 2);
  t.equal(server.signOns, 1, "the session outlives the connection");
});

t.test("A0 after the server lost the session: signs on again and repeats", async (t) => {
  const { client, server } = await pair(t);
  await client.signOn();
  server.forgetSessions();
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => client.authorize(TAP)));
  t.ok(outcomes.every(({ approved }) => approved));
  t.equal(server.signOns, 2);
  t.equal(server.asked.size, 5);
});

t.test("91, 63: waits and repeats, authenticated or not", async (t) => {
  const { client, server } = await pair(t);
  server.onUse = (index) => {
    if (index === 0) return { refuse: "91", authenticated: false };
    if (index === 1) return { refuse: "91", authenticated: true };
    if (index === 2) return { refuse: "63", authenticated: true };
    return "answer";
  };
  t.equal((await client.authorize(TAP)).approved, true);
  t.equal(server.useFrames, 4);
  t.equal(server.asked.size, 1);
});

t.test("97: stops with an error that says whom to tell", async (t) => {
  const { client, server } = await pair(t);
  server.onChallenge = () => ({ refuse: "97", authenticated: false });
  const error = await failure(client.signOn());
  t.match(error, { code: "TERMINAL_UNKNOWN", responseCode: "97" });
  server.onChallenge = () => "answer";
  t.equal((await client.authorize(TAP)).approved, true, "a later call tries again");
});

t.test("another refusal is an answer only when authenticated", async (t) => {
  const { client, server } = await pair(t, { answerTimeoutMs: 100 });
  server.onUse = () => ({ refuse: "96", authenticated: true });
  t.match(await failure(client.authorize(TAP)), { code: "REFUSED", responseCode: "96" });
  let index = 0;
  server.onUse = () => (index++ === 0 ? { refuse: "96", authenticated: false } : "answer");
  t.equal((await client.authorize(TAP)).approved, true);
});

t.test("answers with a wrong MAC are never believed", async (t) => {
  const { client, server } = await pair(t, { deadlineMs: 1000, answerTimeoutMs: 100 });
  await client.signOn();
  server.onUse = () => "wrong-mac";
  t.equal((await failure(client.authorize(TAP))).code, "DEADLINE");
  t.ok(client.counters.ignored >= 2);
  server.onUse = (index) => (index % 2 === 0 ? "wrong-mac" : "answer");
  t.equal((await client.authorize(TAP)).approved, true);
});

t.test("forged frames change nothing but make it repeat", async (t) => {
  const { client, server } = await pair(t);
  await client.signOn();
  const asked = { flags: 0, mti: MTI_USE_REQUEST, count: 1, senderId: TERMINAL_ID, bodySize: 0 };
  const header = { ...asked, keyGeneration: 1, sequence: 2, timeMs: 0, status: "" };
  const forged = new Uint8Array(48);
  writeRefusal(forged, 0, header, "00", 0, null);
  server.onUse = (index) => {
    if (index > 0) return "answer";
    server.inject(forged);
    server.inject(new Uint8Array([1, 2, 3]));
    server.inject(new Uint8Array(300).fill(0x54));
    return { delayMs: 30 };
  };
  const outcome = await client.authorize(TAP);
  t.equal(outcome.rrn, 1_000_001);
  t.equal(client.counters.ignored, 3);
  t.equal(new DataView(forged.buffer).getUint16(4, true), MTI_USE_RESPONSE);
  t.equal(forged.length, FRAME_HEADER_SIZE + 16);
});

t.test("the deadline: a typed error in time, and the late answer is nobody's", async (t) => {
  const { client, server } = await pair(t, { deadlineMs: 250 });
  await client.signOn();
  server.onUse = (index) => (index === 0 ? { delayMs: 900 } : "answer");
  const start = Date.now();
  const use = client.prepare(TAP);
  const error = await failure(client.authorize(use));
  const took = Date.now() - start;
  t.match(error, { code: "DEADLINE", responseCode: "" });
  t.ok(took >= 249 && took < 800, `took ${took} ms`);
  t.equal((await client.authorize(use)).stan, use.stan, "asked again by the caller");
  await new Promise((done) => setTimeout(done, 900));
  t.equal(client.counters.ignored, 1);
});

t.test("an answer that comes twice is taken once; a late first answer will do", async (t) => {
  const { client, server } = await pair(t, { answerTimeoutMs: 100 });
  server.onUse = (index) => (index === 0 ? { delayMs: 150 } : "swallow");
  t.equal((await client.authorize(TAP)).approved, true);
  t.equal(server.useFrames, 2);
  server.onUse = () => "twice";
  t.equal((await client.authorize(TAP)).approved, true);
  await client.echo();
  t.equal(client.counters.ignored, 1);
});

t.test("nobody listens: the deadline; then the server comes", async (t) => {
  const { client, server, port } = await pair(t, { deadlineMs: 600, answerTimeoutMs: 100 });
  await server.close();
  t.equal((await failure(client.authorize(TAP))).code, "DEADLINE");
  const late = new ScriptedServer(1, new Uint8Array(16).fill(9));
  t.teardown(() => late.close());
  setTimeout(() => void late.listen(port), 50);
  t.equal((await client.authorize(TAP)).approved, true);
  t.ok(client.counters.connections > 2);
});

t.test("a lost challenge is made again; a wrong master key ends at the deadline", async (t) => {
  const { client, server } = await pair(t, { answerTimeoutMs: 100 });
  server.onChallenge = (index) => (index === 0 ? "swallow" : "answer");
  await client.signOn();
  t.ok(server.signOns >= 2);
  const other = await pair(t, { masterKey: new Uint8Array(16).fill(1), deadlineMs: 300 });
  t.match(await failure(other.client.signOn()), { code: "DEADLINE", responseCode: "A0" });
});

t.test("key change: new keys at once, what was in flight is still answered", async (t) => {
  const { client, server } = await pair(t);
  await client.signOn();
  server.onUse = (index) => (index === 0 ? { delayMs: 50 } : "answer");
  const before = client.authorize(TAP);
  t.equal(await client.changeKey(), 2);
  t.equal((await client.authorize(TAP)).approved, true);
  t.equal(server.headers.at(-1)!.keyGeneration, 2);
  t.equal((await before).stan, 1);
  t.equal(server.useFrames, 2);
  t.equal(server.signOns, 1);
});

t.test("sign-off ends the session; the next call signs on again", async (t) => {
  const { client, server } = await pair(t);
  await client.signOn();
  await client.signOff();
  t.equal((await client.authorize(TAP)).approved, true);
  t.equal(server.signOns, 2);
});

t.test("close: what waits rejects, and so does what comes after", async (t) => {
  const { client, server } = await pair(t);
  server.onUse = () => "swallow";
  await client.signOn();
  const waiting = client.authorize(TAP);
  client.close();
  t.equal((await failure(waiting)).code, "CLOSED");
  t.equal((await failure(client.authorize(TAP))).code, "CLOSED");
});

t.test("the other end says our frame is malformed: PROTOCOL, on both transports", async (t) => {
  for (const path of ["ws", "http"]) {
    const { client, server } = await pair(t, {}, 1, path);
    server.onUse = () => "malformed";
    t.equal((await failure(client.authorize(TAP))).code, "PROTOCOL");
  }
});

t.test("amounts out of range are refused before anything is sent", async (t) => {
  const { client, server } = await pair(t);
  for (const amountMinor of [-1, 0.5, 1_000_000_000_000, Number.NaN, Number.POSITIVE_INFINITY]) {
    const error = await failure(client.authorize({ ...TAP, amountMinor }));
    t.match(error, { code: "AMOUNT_INVALID", responseCode: "13" });
  }
  t.equal((await client.authorize({ ...TAP, amountMinor: 999_999_999_999 })).stan, 1);
  t.equal(server.useFrames, 1);
});

t.test("other fields out of range too, and no card number stands in the error", async (t) => {
  const { client, server } = await pair(t);
  const wrong: [Partial<Use>, string][] = [
    [{ pan: `${PAN}x` }, "pan"],
    [{ stan: 1_000_000 }, "stan"],
    [{ terminalId: 0 }, "terminalId"],
    [{ businessDate: 2026 }, "businessDate"],
    [{ itemCode: 0 }, "itemCode"],
    [{ localTime: -1 }, "localTime"],
    [{ medium: 3 }, "medium"],
  ];
  for (const [fields, name] of wrong) {
    const error = await failure(client.authorize({ ...TAP, ...fields }));
    t.match(error, { code: "USE_INVALID", responseCode: "30" });
    t.ok(error.message.includes(name));
    t.notMatch(JSON.stringify(error) + error.stack, PAN);
  }
  const use = client.prepare(TAP);
  t.equal((await failure(client.batch(MTI_REVERSAL_REQUEST, [use]))).code, "USE_INVALID");
  t.equal(server.useFrames, 0);
});

t.test("options are checked, and the message names the one that is wrong", async (t) => {
  const right: TerminalClientOptions = {
    url: "ws://127.0.0.1:1/",
    terminalId: 1,
    macAlgorithm: "aes-128-cmac",
    masterKey: new Uint8Array(16),
  };
  const wrong: [Partial<TerminalClientOptions>, RegExp][] = [
    [{ url: "ftp://host/" }, /url/],
    [{ url: "nonsense" }, /url/],
    [{ terminalId: 0 }, /terminalId/],
    [{ macAlgorithm: "none" as MacAlgorithmName }, /macAlgorithm/],
    [{ masterKey: new Uint8Array(15) }, /masterKey/],
    [{ masterKeyVersion: 0 }, /masterKeyVersion/],
    [{ deadlineMs: 0 }, /deadlineMs/],
  ];
  for (const [options, message] of wrong) {
    t.throws(() => new TerminalClient({ ...right, ...options }), message);
  }
});

t.test(
  "STANs: from where they stopped, anew each date, none twice, none over 999,999",
  async (t) => {
    const written: unknown[] = [];
    const stans = new StanAllocator({ businessDate: 20260105, stan: 999_997 }, (last) => {
      written.push(last);
    });
    t.equal(stans.next(20260105), 999_998);
    t.equal(stans.next(20260106), 1);
    t.equal(stans.next(20260105), 999_999);
    t.throws(() => stans.next(20260105), { code: "STAN_EXHAUSTED" });
    t.equal(stans.next(20260106), 2);
    t.same(written[0], { businessDate: 20260105, stan: 999_998 });
    t.equal(written.length, 4);
  },
);

t.test("more calls than callsMax are refused at once", async (t) => {
  const { client, server } = await pair(t, { callsMax: 2 });
  server.onUse = () => ({ delayMs: 20 });
  const calls = [client.authorize(TAP), client.authorize(TAP)];
  t.equal((await failure(client.authorize(TAP))).code, "BACKLOG_FULL");
  t.equal((await Promise.all(calls)).length, 2);
});
