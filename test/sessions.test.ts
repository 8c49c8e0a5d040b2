// Sessions of terminals: key generations, their ends, sequence windows, and the master keys that
// session keys are derived from and that must be there for as long as a session is.

import t, { type Test } from "tap";
import { SESSION_KEY_CHANGE, SESSION_SIGN_OFF, type SessionCommand } from "../engine/commands.js";
import { Sessions } from "../engine/sessions.js";
import { EngineKit, LIMITS, SENDER, START_MS } from "./engine-kit.js";
import { type Random, seeded } from "./random.js";

const NOW = START_MS / 1000;
const WINDOW = 256;

/** A kit with terminals SENDER, SENDER + 1, ... and no session. */
function signedOff(terminals = 1, sessionsMax = 300): EngineKit {
  const kit = new EngineKit({ sessionsMax });
  kit.expectDone(kit.organisation());
  for (let i = 0; i < terminals; i++) kit.expectDone(kit.terminal({ terminalId: SENDER + i }));
  return kit;
}

/** Generations of a terminal, of the first five, that are in force. */
function inForce(kit: EngineKit, terminalId = SENDER): number[] {
  const row = kit.state.parties.find(terminalId);
  const { sessions, nowSeconds } = kit.state;
  return [1, 2, 3, 4, 5].filter((g) => sessions.find(row, g, nowSeconds) !== 0);
}

function checkReplay(t: Test, kit: EngineKit): void {
  t.equal(kit.replayed().hash(), kit.state.hash(), "the blocks lead to the same state");
}

t.test("a sequence is taken once, within a window of 256 below the highest", async (t) => {
  const kit = signedOff();
  for (const [seed, start] of [1, 200, 256, 2 ** 31 - 2000, 2 ** 32 - 1500].entries()) {
    t.equal(windowProblem(kit, seeded(seed), start), "", `from ${start}`);
  }
  t.throws(() => kit.state.sessions.takeSequence(1, 48, 0), "0 is no sequence");
});

/** Offers sequences about the highest, edges of the window above all, to a session and a model. */
function windowProblem(kit: EngineKit, random: Random, start: number): string {
  kit.expectDone(kit.session());
  const row = kit.state.parties.find(SENDER);
  const { sessions } = kit.state;
  const base = sessions.find(row, sessions.lastGeneration(row), NOW);
  const taken = new Set<number>();
  let highest = 0;
  for (let step = 0; step < 20_000; step++) {
    const edge = random.pick([-257, -256, -255, -254, -1, 0, 1, 1, 2, 3, 255, 256, 257]);
    const jump = random.below(4) > 0 ? random.below(270) - 266 : edge;
    const sequence = step === 0 ? start : Math.min(Math.max(highest + jump, 0), 2 ** 32 - 1);
    const fresh = sequence > 0 && !taken.has(sequence) && sequence > highest - WINDOW;
    if (sessions.sequenceFresh(base, sequence) !== fresh) return `sequence ${sequence}`;
    if (!fresh) continue;
    sessions.takeSequence(row, base, sequence);
    taken.add(sequence);
    highest = Math.max(highest, sequence);
  }
  return "";
}

t.test("windows of two generations are apart, and stay over a restart", async (t) => {
  const kit = signedOff();
  kit.expectDone(kit.session());
  kit.seal();
  const row = kit.state.parties.find(SENDER);
  frame(kit, 1, 7);
  kit.expectDone(kit.session({ action: SESSION_KEY_CHANGE }));
  frame(kit, 2, 7);
  frame(kit, 1, 8);
  checkReplay(t, kit);
  const { sessions } = kit.replayed();
  const fresh = (g: number, s: number) => sessions.sequenceFresh(sessions.find(row, g, NOW), s);
  t.same([fresh(1, 7), fresh(1, 8), fresh(1, 9)], [false, false, true]);
  t.same([fresh(2, 7), fresh(2, 8)], [false, true]);
});

/** An echo of the sender: a frame without records. */
function frame(kit: EngineKit, generation: number, sequence: number): void {
  const row = kit.state.parties.find(SENDER);
  const base = kit.state.sessions.find(row, generation, kit.state.nowSeconds);
  kit.engine.beginFrame(0x0800, row, generation, base, sequence);
  kit.engine.endFrame();
}

t.test("generations overlap, expire and end", async (t) => {
  const kit = signedOff();
  t.same(inForce(kit), []);
  kit.expectDone(kit.session({ expiresAt: NOW + 1000 }));
  kit.expectDone(kit.session({ expiresAt: NOW + 2000, action: SESSION_KEY_CHANGE }));
  t.same(inForce(kit), [1, 2]);
  kit.moveTo(START_MS + (LIMITS.keyOverlapSeconds - 1) * 1000);
  t.same(inForce(kit), [1, 2]);
  kit.moveTo(START_MS + LIMITS.keyOverlapSeconds * 1000);
  t.same(inForce(kit), [2], "the overlap is over");
  kit.expectDone(kit.session({ expiresAt: NOW + 3000, action: SESSION_KEY_CHANGE }));
  kit.expectDone(kit.session({ expiresAt: NOW + 3000, action: SESSION_KEY_CHANGE }));
  t.same(inForce(kit), [3, 4], "two at most");
  kit.moveTo(START_MS + 2_999_999);
  t.same(inForce(kit), [4]);
  kit.moveTo(START_MS + 3_000_000);
  t.same(inForce(kit), [], "expiresAt is the first second not valid");
  checkReplay(t, kit);
});

t.test("a sign-off ends both generations, and their numbers do not come again", async (t) => {
  const kit = signedOff();
  kit.expectDone(kit.session());
  kit.expectDone(kit.session({ action: SESSION_KEY_CHANGE }));
  t.equal(kit.session({ action: SESSION_SIGN_OFF }), "DONE");
  t.same(inForce(kit), []);
  t.equal(kit.session({ action: SESSION_SIGN_OFF }), "UNCHANGED");
  t.equal(kit.session({ keyGeneration: 1 }), "KEY_GENERATION_WRONG");
  t.equal(kit.session(), "DONE");
  t.same(inForce(kit), [3], "the one signed off does not come back by an overlap");
  checkReplay(t, kit);
});

t.test("what is refused leaves no session and no count", async (t) => {
  const kit = signedOff();
  const before = kit.state.hash();
  const cases: [string, Partial<SessionCommand>][] = [
    ["TERMINAL_UNKNOWN", { terminalId: 5, keyGeneration: 1 }],
    ["KEY_GENERATION_WRONG", { keyGeneration: 0 }],
    ["KEY_GENERATION_WRONG", { keyGeneration: 2 }],
    ["MASTER_KEY_MISSING", { masterKeyVersion: 2 }],
    ["MASTER_KEY_MISSING", { masterKeyVersion: 0 }],
    ["COMMAND_INVALID", { action: 0 }],
    ["COMMAND_INVALID", { action: 4 }],
    ["COMMAND_INVALID", { expiresAt: 0 }],
    ["COMMAND_INVALID", { expiresAt: NOW }],
    ["COMMAND_INVALID", { macAlgorithm: 2 }],
  ];
  for (const [outcome, fields] of cases) {
    t.equal(kit.session(fields), outcome, JSON.stringify(fields));
  }
  t.equal(kit.state.hash(), before);
  t.equal(kit.state.sessions.count, 0);
});

t.test("no more sessions than allowed; expired ones make room", async (t) => {
  const kit = signedOff(4, 2);
  const on = (i: number, seconds: number) =>
    kit.session({ terminalId: SENDER + i, expiresAt: kit.state.nowSeconds + seconds });
  t.equal(on(0, 100), "DONE");
  t.equal(on(1, 200), "DONE");
  t.equal(on(2, 100), "TABLE_FULL");
  t.equal(on(1, 200), "DONE", "a session that is there may change its keys");
  t.equal(kit.state.sessions.count, 2);
  kit.moveTo(START_MS + 100_000);
  t.equal(on(2, 500), "DONE", "the first has expired");
  t.equal(on(0, 500), "TABLE_FULL");
  t.equal(kit.state.sessions.count, 2);
  t.equal(kit.session({ terminalId: SENDER + 1, action: SESSION_SIGN_OFF }), "DONE");
  t.equal(on(0, 500), "DONE");
  t.equal(on(3, 500), "TABLE_FULL");
  checkReplay(t, kit);
  const fewer = kit.replayed(true, { ...kit.limits, sessionsMax: 1 });
  t.equal(fewer.hash(), kit.state.hash(), "a lower limit does not undo what is recorded");
  const more = kit.replayed(true, { ...kit.limits, sessionsMax: 9 });
  t.equal(more.hash(), kit.state.hash(), "nor does a higher one change it");
  t.equal(kit.restarted().session({ terminalId: SENDER + 3 }), "TABLE_FULL");
});

t.test("after a replay an expired session of its own gives no terminal room", async (t) => {
  const sessions = new Sessions(4, 10, 2);
  const nonces = { terminalNonce: new Uint8Array(16), serverNonce: new Uint8Array(16) };
  const seed = { keyGeneration: 1, macAlgorithm: 1, masterKeyVersion: 1, ...nonces };
  sessions.cover(3);
  // As replay does it, which does not ask for room: the first has expired when the others begin.
  for (const row of [1, 2, 3]) sessions.open(row, { ...seed, expiresAt: row === 1 ? 100 : 900 }, 0);
  t.equal(sessions.hasRoom(1, 500), false, "two others are open, and two may be");
  t.equal(sessions.hasRoom(2, 500), true, "one that is open may be renewed");
  t.equal(sessions.hasRoom(1, 900), true, "now they have expired");
});

t.test("a session ends with the master key it was made under", async (t) => {
  const key = (n: number, version = n) => ({
    masterKeyVersion: version,
    wrappedKey: new Uint8Array(24).fill(n),
  });
  const kit = signedOff();
  kit.expectDone(kit.session());
  kit.expectDone(kit.terminal(key(2)));
  t.same(inForce(kit), [1], "the key before is kept");
  kit.expectDone(kit.session({ masterKeyVersion: 2 }));
  kit.expectDone(kit.changeTerminal({ regionCode: 460_000 }));
  t.equal(kit.terminal({ ...key(2), regionCode: 460_105 }), "DONE");
  t.same(inForce(kit), [1, 2], "the key again is no change of it");
  kit.expectDone(kit.terminal(key(3)));
  t.same(inForce(kit), [2], "two changes, and the first key is gone");
  kit.expectDone(kit.terminal(key(4)));
  t.same(inForce(kit), []);
  t.equal(kit.state.sessions.count, 0);
  checkKeys(t, kit);
  kit.expectDone(kit.session({ masterKeyVersion: 4 }));
  kit.expectDone(kit.terminal(key(5, 4)));
  t.same(inForce(kit), [], "another key under the same number");
  checkReplay(t, kit);
});

t.test("a change of algorithm takes a key of its size for what is new", async (t) => {
  const kit = signedOff();
  kit.expectDone(kit.session());
  const hmac = { macAlgorithm: 3, masterKeyVersion: 2, wrappedKey: new Uint8Array(40).fill(2) };
  kit.expectDone(kit.terminal(hmac));
  t.same(inForce(kit), [1], "the session goes on under its own algorithm and key");
  checkKeys(t, kit);
  t.equal(kit.session(), "COMMAND_INVALID", "but gets no new keys");
  t.equal(kit.session({ macAlgorithm: 3 }), "MASTER_KEY_MISSING", "16 bytes are no key for HMAC");
  t.equal(kit.session({ macAlgorithm: 3, masterKeyVersion: 2 }), "DONE");
  checkKeys(t, kit);
  kit.expectDone(kit.terminal({ ...hmac, wrappedKey: new Uint8Array(40).fill(3) }));
  t.same(inForce(kit), [], "the current session ends with its key, and the one before with it");
  checkReplay(t, kit);
});

/** Each generation in force must have its master key, or the shell cannot derive its keys. */
function checkKeys(t: Test, kit: EngineKit): void {
  const { parties, sessions, nowSeconds } = kit.state;
  const row = parties.find(SENDER);
  for (const generation of inForce(kit)) {
    const seed = sessions.seed(sessions.find(row, generation, nowSeconds));
    const key = parties.masterKey(row, seed.masterKeyVersion);
    t.ok(key, "the master key of a session is kept");
    t.equal(key?.wrapped.length, seed.macAlgorithm < 3 ? 24 : 40);
  }
}
