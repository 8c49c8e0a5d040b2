// The server at its limits: overload, floods, clients that break off, the pool of threads, clocks
// that move on, and a stop under load after which nothing that was taken is lost.

import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import t, { type Test } from "tap";
import type { BlockReader } from "../engine/block.js";
import { COMMAND } from "../engine/commands.js";
import { USE_WORD } from "../engine/use.js";
import { FRAME_PROBLEM } from "../protocol/frame-problem.js";
import {
  FRAME_MTI_OFFSET,
  FRAME_STATUS_OFFSET,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  isUseMti,
  MANAGEMENT_BODY_SIZE_MAX,
  type Management,
  MTI_MANAGEMENT_REQUEST,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  type Outcome,
  REASON,
  readManagement,
} from "../protocol/index.js";
import type { Admission } from "../src/admission.js";
import type { BlockSink } from "../src/block-sink.js";
import type { CoreParts } from "../src/core.js";
import { lockHolder } from "../src/data-lock.js";
import { readBlocks, verifyJournal } from "../src/journal-files.js";
import { createLogger } from "../src/log.js";
import type { MacPool } from "../src/mac-pool.js";
import { GAUGE } from "../src/metrics.js";
import { type RunningServer, startServer } from "../src/server.js";
import { type Answer, RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  CARD_COUNT,
  catalogue,
  configOf,
  document,
  GATE_FIRST,
  panOf,
  seededFolder,
  serve,
  until,
  within,
} from "./server-kit.js";

const LATE_MS = 300;

interface Gate {
  socket: RawSocket;
  terminal: RawTerminal;
}

async function gateOf(t: Test, server: RunningServer, terminalId: number): Promise<Gate> {
  const socket = await RawSocket.open(server.terminalsUrl);
  t.teardown(() => socket.close());
  const terminal = new RawTerminal(terminalId);
  await terminal.signOn(socket.exchange);
  return { socket, terminal };
}

function ask({ socket, terminal }: Gate, frame: Uint8Array): Promise<Answer> {
  return terminal.ask(socket.exchange, frame);
}

/** What of the core a test drives or watches. */
function coreParts(server: RunningServer): { journal: BlockSink; admission: Admission } {
  const core = server.node.core as unknown as { parts: CoreParts; admission: Admission };
  return { journal: core.parts.journal, admission: core.admission };
}

function tap({ terminal }: Gate, card = 0): Uint8Array {
  return terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(card))]);
}

t.test("overload is answered 91 at once, and passes", async (t) => {
  const flags = { "limits.recordsInFlightMax": 8, "limits.recordsPerFrameMax": 4 };
  const server = await serve(t, { flags });
  const { core, metrics } = server.node;
  const gate = await gateOf(t, server, GATE_FIRST);
  const frames = Array.from({ length: 200 }, (_, i) => tap(gate, i % CARD_COUNT));
  for (const frame of frames) gate.socket.send(frame);
  const answers: Answer[] = [];
  for (const _ of frames) answers.push(gate.terminal.read(await gate.socket.next()));
  const refused = answers.filter(({ header }) => header.status === "91");
  const taken = answers.filter(({ verified }) => verified);
  t.ok(refused.length > 0 && taken.length >= 8);
  t.equal(refused.length + taken.length, frames.length);
  t.ok(refused.every(({ header }) => header.flags === 1 && header.count === 0));
  t.ok(taken.every(({ outcomes }) => outcomes[0]!.responseCode === "00"));
  t.equal(metrics.frames(REASON.OVERLOADED), refused.length);
  t.equal(core.inFlight, 0);
  const five = Array.from({ length: 5 }, () => gate.terminal.use(panOf(0)));
  const tooMany = await ask(gate, gate.terminal.uses(MTI_USE_REQUEST, five));
  t.equal(tooMany.header.status, "91", "more records than a frame may have");
  t.equal((await ask(gate, tap(gate))).outcomes[0]!.responseCode, "00", "and goes on");
});

t.test("a core that learns late of a commit has let its frames wait as long before", async (t) => {
  const server = await serve(t, {});
  const gate = await gateOf(t, server, GATE_FIRST);
  await ask(gate, tap(gate));
  const { journal, admission } = coreParts(server);
  const append = journal.append.bind(journal);
  journal.append = async (...block) => {
    const tookMs = await append(...block);
    await delay(LATE_MS);
    return tookMs;
  };
  const answered = t.capture(admission, "answered", admission.answered.bind(admission));
  await ask(gate, tap(gate, 1));
  const [{ waitMs, commitMs }] = answered()[0]!.args as Parameters<Admission["answered"]>;
  t.ok(waitMs - commitMs > 1.9 * LATE_MS, `waited ${waitMs} ms, ${commitMs} for the disk`);
  t.ok(commitMs < LATE_MS, "which is not blamed");
});

t.test("what a message held is zeroed, whatever becomes of it", async (t) => {
  const limits = { "limits.recordsInFlightMax": 1, "limits.recordsPerFrameMax": 1 };
  const flags = { ...limits, "terminals.frameSizeMax": 4144 };
  const { core } = (await serve(t, { flags })).node;
  const answers: number[] = [];
  const queue = (_: Uint8Array, start: number, end: number) => answers.push(end - start);
  const reply = { gathers: false, queue, flush: () => {}, dirty: false };
  const gathering = { ...reply, gathers: true };
  const terminal = new RawTerminal(GATE_FIRST);
  terminal.openSession(5, new Uint8Array(NONCE_SIZE), new Uint8Array(NONCE_SIZE));
  const frame = terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(0))]);
  const answer = Uint8Array.from(terminal.manage(FUNCTION_ECHO));
  answer[FRAME_MTI_OFFSET] = 0x10;
  answer.fill(0x30, FRAME_STATUS_OFFSET, FRAME_STATUS_OFFSET + 2);
  const hurt = frame.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  const { NONE, TOO_LARGE, NOT_A_REQUEST } = FRAME_PROBLEM;
  const left = (sent: Uint8Array, expected: number | null, to = reply) => {
    const message = Uint8Array.from(sent).buffer;
    const problem = core.receive(to, message);
    if (expected === null) t.not(problem, NONE);
    else t.equal(problem, expected);
    return Buffer.from(message).filter((byte) => byte !== 0).length;
  };
  for (const when of ["before", "under"]) {
    if (when === "under") core.inFlight += 100;
    t.equal(left(new Uint8Array(4145).fill(7), TOO_LARGE), 0, `too large, ${when} overload`);
    t.equal(left(hurt, null), 0, `malformed, ${when} overload`);
    t.equal(left(answer, NOT_A_REQUEST), 0, `no request, ${when} overload`);
    t.equal(left(frame, NONE), 0, `a frame, ${when} overload`);
    const hurtBehind = Buffer.concat([frame, hurt]);
    t.equal(left(hurtBehind, null, gathering), 0, `malformed behind a frame, ${when} overload`);
    const three = Buffer.concat([frame, frame, frame]);
    t.equal(left(three, NONE, gathering), 0, `three frames, ${when} overload`);
  }
  core.inFlight -= 100;
  // By the turn, or for room, one by one; then at once, what is one message by one answer.
  t.same(answers, [48, 48, 48, 48, 48, 48, 48, 144]);
});

t.test("a flood of large management frames is refused, not fatal", async (t) => {
  const flags = {
    "limits.recordsInFlightMax": 64,
    "limits.recordsPerFrameMax": 64,
    "terminals.frameSizeMax": 4144,
  };
  const server = await serve(t, { flags });
  const socket = await RawSocket.open(server.terminalsUrl);
  t.teardown(() => socket.close());
  const stranger = new RawTerminal(GATE_FIRST);
  const body = new Uint8Array(MANAGEMENT_BODY_SIZE_MAX);
  const header = { mti: MTI_MANAGEMENT_REQUEST, keyGeneration: 5 };
  stranger.openSession(5, new Uint8Array(NONCE_SIZE), new Uint8Array(NONCE_SIZE));
  for (let i = 0; i < 60; i++) socket.send(stranger.seal(header, body, 1));
  const statuses = new Set<string>();
  for (let i = 0; i < 60; i++) statuses.add(stranger.read(await socket.next()).header.status);
  t.ok(statuses.has("A0"));
  t.ok([...statuses].every((status) => status === "A0" || status === "91"));
  t.equal(server.node.core.inFlight, 0);
});

/**
 * With threads for MACs that do all of them: whether they are worth it is measured, and where other
 * processes keep the cores they may not be (mac-board.test.ts has the rule).
 */
async function servePooled(t: Test, workers: number): Promise<RunningServer> {
  const server = await serve(t, { flags: { "crypto.workers": workers } });
  const { pool } = server.node.core.macs as unknown as { pool: MacPool };
  if (workers > 0) pool.worthIt = (count) => count > 0;
  return server;
}

/** Uses of 16 records from eight gates in one burst; every tenth frame has a wrong MAC. */
async function burst(t: Test, workers: number): Promise<{ answers: unknown[]; pooled: number }> {
  const server = await servePooled(t, workers);
  const gates = await Promise.all(
    Array.from({ length: 8 }, (_, i) => gateOf(t, server, GATE_FIRST + i)),
  );
  const answers: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    for (const gate of gates) for (const frame of frames(gate, round)) gate.socket.send(frame);
    for (const { socket, terminal } of gates) {
      const own: [number, unknown][] = [];
      for (let i = 0; i < 64; i++) {
        const { header, verified, outcomes } = terminal.read(await socket.next());
        const told = outcomes.map(({ stan, responseCode }) => `${stan} ${responseCode}`);
        own.push([header.sequence, [terminal.terminalId, header.status, verified, told]]);
      }
      answers.push(...own.sort(([a], [b]) => a - b));
    }
  }
  return { answers, pooled: server.node.metrics.gauge(GAUGE.MACS_POOLED) };
}

function frames({ terminal }: Gate, round: number): Uint8Array[] {
  return Array.from({ length: 64 }, (_, f) => {
    const uses = Array.from({ length: 16 }, (_, i) => {
      const stan = 1 + round * 1024 + f * 16 + i;
      return terminal.use(panOf((f + i) % (CARD_COUNT + 2)), { stan });
    });
    const frame = terminal.uses(MTI_USE_REQUEST, uses);
    if (f % 10 === 9) frame[100]! ^= 1;
    return frame;
  });
}

/** Of the frames of a gate in a round. Nobody signs the answers to them. */
const FORGED_FRAMES = 6;

t.test("the pool answers as the main thread does", async (t) => {
  const inline = await burst(t, 0);
  t.equal(inline.pooled, 0);
  t.equal(inline.answers.length, 3 * 8 * 64);
  for (const workers of [2, 3]) {
    const pooled = await burst(t, workers);
    t.same(pooled.answers, inline.answers);
    const signed = inline.answers.length - 3 * 8 * FORGED_FRAMES + 8;
    t.equal(pooled.pooled, inline.answers.length + signed, "requests, answers, and 8 sign-ons");
  }
});

t.test("a command that comes while the pool verifies forgeries is not forgotten", async (t) => {
  const server = await servePooled(t, 2);
  const { core, metrics } = server.node;
  const gates = await Promise.all(
    Array.from({ length: 8 }, (_, i) => gateOf(t, server, GATE_FIRST + i)),
  );
  let version = 1;
  let met = 0;
  for (let round = 0; round < 20 && met < 5; round++) {
    const pooledBefore = metrics.gauge(GAUGE.MACS_POOLED);
    for (const gate of gates)
      for (const frame of frames(gate, round)) gate.socket.send(forged(frame));
    let answered = 0;
    const all = Promise.all(
      gates.map(async ({ socket }) => {
        for (let i = 0; i < 64; i++) await socket.next();
        answered += 64;
      }),
    );
    while (metrics.gauge(GAUGE.MACS_POOLED) === pooledBefore && answered < 8 * 64) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (metrics.gauge(GAUGE.MACS_POOLED) > pooledBefore) met++;
    const bytes = document(catalogue(++version));
    const done = core.execute({ kind: COMMAND.CATALOGUE, count: 1, bytes });
    await within("the command", done);
    await all;
  }
  t.ok(met > 0, "the pool was at work");
});

function forged(frame: Uint8Array): Uint8Array {
  frame[frame.length - 1]! ^= 1;
  return frame;
}

t.test("sessions, key overlaps and challenges end by the clock", async (t) => {
  let nowMs = Date.UTC(2026, 1, 27, 4);
  const flags = {
    "session.seconds": 600,
    "session.keyOverlapSeconds": 10,
    "limits.sessionsMax": 2,
    "session.challengesMax": 2,
  };
  const server = await serve(t, { flags, clock: () => nowMs });
  const gate = await gateOf(t, server, GATE_FIRST);
  gate.terminal.businessDate = 20_260_227;
  t.equal((await ask(gate, tap(gate))).outcomes[0]!.responseCode, "00");
  const { keyGeneration, requestMac } = gate.terminal;
  const nonce = new Uint8Array(randomBytes(NONCE_SIZE));
  const changed = await gate.socket.exchange(gate.terminal.manage(FUNCTION_KEY_CHANGE, nonce));
  const record = readManagement(new DataView(changed.buffer), 32);
  gate.terminal.openSession(record.keyGeneration, nonce, record.serverNonce);
  const echo = (sequence: number) => {
    const body = gate.terminal.manage(FUNCTION_ECHO).slice(32, -16);
    const header = { mti: MTI_MANAGEMENT_REQUEST, keyGeneration, sequence };
    return ask(gate, gate.terminal.seal(header, body, 1, requestMac));
  };
  t.equal((await echo(100)).header.status, "00");
  nowMs += 10_000;
  t.equal((await echo(101)).header.status, "A0", "the overlap is over");
  t.equal((await ask(gate, tap(gate))).outcomes[0]!.responseCode, "00");
  const second = await gateOf(t, server, GATE_FIRST + 1);
  await t.rejects(gateOf(t, server, GATE_FIRST + 2), { message: /refused/ }, "sessions full");
  t.equal(server.node.metrics.frames(REASON.SESSIONS_FULL), 1);
  await ask(second, second.terminal.manage(FUNCTION_SIGN_OFF));
  const third = await gateOf(t, server, GATE_FIRST + 2);
  await challengesEnd(t, third, (ms) => {
    nowMs += ms;
  });
  nowMs += 600_000;
  t.equal((await ask(gate, tap(gate))).header.status, "A0", "the session is over");
  t.equal((await ask(third, tap(third))).header.status, "A0");
  await gate.terminal.signOn(gate.socket.exchange);
  t.equal((await ask(gate, tap(gate))).outcomes[0]!.responseCode, "00", "signed on again");
});

async function challengesEnd(t: Test, gate: Gate, passMs: (ms: number) => void): Promise<void> {
  const { exchange } = gate.socket;
  const terminals = [3, 4, 5].map((i) => new RawTerminal(GATE_FIRST + i));
  const opened: Management[] = [];
  for (const terminal of terminals) opened.push(await terminal.challenge(exchange));
  const proof = (i: number) =>
    terminals[i]!.proof(opened[i]!.terminalNonce, opened[i]!.serverNonce);
  const first = await terminals[0]!.ask(exchange, proof(0));
  t.equal(first.header.status, "63", "two challenges at most: the oldest made room");
  const second = await terminals[1]!.ask(exchange, proof(1));
  t.equal(second.header.status, "91", "its challenge was there, room for a session was not");
  passMs(30_000);
  const third = await terminals[2]!.ask(exchange, proof(2));
  t.equal(third.header.status, "63", "thirty seconds later");
}

t.test("dates that are in no calendar are a format error at the end of a month", async (t) => {
  const server = await serve(t, { clock: () => Date.UTC(2026, 1, 28, 4) });
  const gate = await gateOf(t, server, GATE_FIRST);
  const dates = [20_260_227, 20_260_228, 20_260_229, 20_260_230, 20_260_231, 20_260_301];
  const uses = dates.map((businessDate) => gate.terminal.use(panOf(0), { businessDate }));
  const { outcomes } = await ask(gate, gate.terminal.uses(MTI_USE_REQUEST, uses));
  t.same(
    outcomes.map(({ responseCode }) => responseCode),
    ["00", "00", "30", "30", "30", "00"],
  );
  const original = { businessDate: 20_260_228, originalStan: 1, originalBusinessDate: 20_260_230 };
  const undo = gate.terminal.uses(0x0400, [gate.terminal.use(panOf(0), original)]);
  t.equal((await ask(gate, undo)).outcomes[0]!.responseCode, "30");
});

t.test("a stop under load loses no answer, and a restart goes on where it was", async (t) => {
  const folder = await seededFolder(t);
  const server = await serve(t, { folder });
  const gates = await Promise.all(
    Array.from({ length: 16 }, (_, i) => gateOf(t, server, GATE_FIRST + i)),
  );
  const answered = new Map<string, Outcome>();
  const lastFrame = new Map<RawTerminal, Uint8Array>();
  const load = gates.map(async (gate, i) => {
    for (let n = 0; ; n++) {
      const frame = tap(gate, (i + n) % CARD_COUNT);
      const closed = gate.socket.closed.then(() => null);
      const bytes = await Promise.race([gate.socket.exchange(frame).catch(() => null), closed]);
      if (bytes === null) return;
      const { header, outcomes } = gate.terminal.read(bytes);
      if (header.status === "91") continue;
      for (const outcome of outcomes)
        answered.set(`${outcome.terminalId} ${outcome.stan}`, outcome);
      lastFrame.set(gate.terminal, frame);
    }
  });
  await until("load", () => answered.size > 500);
  await server.stop();
  await Promise.all(load);
  t.equal(lockHolder(folder), null, "the folder is free");
  const result = await verifyJournal(folder, () => {});
  t.equal(result.problem, "");
  t.same(await recorded(folder), [...answered.keys()].sort(), "answered and recorded are the same");
  await goesOn(t, folder, gates, answered, lastFrame);
});

/** What the journal holds, as "terminalId stan". */
async function recorded(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const block of await readBlocks(folder, { from: 1, count: 1_000_000 })) {
    found.push(...usesIn(block));
  }
  return found.sort();
}

function usesIn(block: BlockReader): string[] {
  return [...block.entries()].flatMap((entry) => {
    if (!isUseMti(entry.kind)) return [];
    return Array.from({ length: entry.count }, (_, i) => {
      const word = (entry.offset >> 2) + i * USE_WORD.COUNT;
      return `${block.words[word + USE_WORD.TERMINAL]} ${block.words[word + USE_WORD.STAN]}`;
    });
  });
}

/** After a restart: the first answers again, under the old sessions, whose windows hold. */
async function goesOn(
  t: Test,
  folder: string,
  gates: Gate[],
  answered: Map<string, Outcome>,
  lastFrame: Map<RawTerminal, Uint8Array>,
): Promise<void> {
  const server = await serve(t, { folder });
  t.equal(server.node.blocksReplayed, 0, "the stop made a checkpoint");
  const socket = await RawSocket.open(server.terminalsUrl);
  t.teardown(() => socket.close());
  const { position } = server.node.engine.state.registers;
  for (const { terminal } of gates) {
    const old = await terminal.ask(socket.exchange, lastFrame.get(terminal)!);
    t.match([old.header.status, old.verified], ["63", true], "its sequence was taken");
    const own = [...answered.values()].filter((o) => o.terminalId === terminal.terminalId);
    const first = own[own.length >> 1]!;
    const again = { stan: first.stan, businessDate: first.businessDate };
    const cards = Array.from({ length: CARD_COUNT }, (_, i) => terminal.use(panOf(i), again));
    const { verified, outcomes } = await terminal.ask(
      socket.exchange,
      terminal.uses(MTI_USE_REQUEST, cards),
    );
    t.ok(verified, "no sign-on was needed");
    const same = outcomes.filter(({ responseCode }) => responseCode === first.responseCode);
    t.same(same, [first], "one card is the one asked then, the others differ");
  }
  t.equal(server.node.engine.state.registers.position, position + gates.length * (CARD_COUNT - 1));
}

t.test("a port that is taken is one line, and the folder is free again", async (t) => {
  const folder = await seededFolder(t);
  const taken = createServer().listen(0, "127.0.0.1");
  t.teardown(() => taken.close());
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as { port: number };
  for (const key of ["terminals.port", "control.port"]) {
    const config = configOf(folder, { [key]: port });
    const started = startServer(config, createLogger("test", "silent"));
    const error = await started.then(
      () => new Error("it started"),
      (error: Error) => error,
    );
    t.match(error.message, new RegExp(`^[^\\n]*${port}[^\\n]*${key}[^\\n]*$`));
    t.equal(lockHolder(folder), null);
  }
});
