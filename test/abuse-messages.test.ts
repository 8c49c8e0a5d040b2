// Messages of several frames (protocol/message.ts) on real sockets: each frame is taken as if it
// had come alone, the first that is none closes the connection, and who has not asked for it sends
// and gets one frame in a message.

import t from "tap";
import {
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_SIZE_MAX,
  FRAME_SIZE_MIN,
  framesOf,
  GATHERED_SUBPROTOCOL,
  MANAGEMENT_RECORD_SIZE,
  MTI_MANAGEMENT_REQUEST,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  OUTCOME_RECORD_SIZE,
} from "../protocol/index.js";
import { fateOf, inParallel, type SignedOn, statusOf, Target } from "./abuse-kit.js";
import { RawSocket, RawTerminal } from "./raw-terminal.js";
import { CARD_COUNT, CONCENTRATOR, GATE_FIRST, panOf, serve } from "./server-kit.js";

const GATHERS = [GATHERED_SUBPROTOCOL];
const BODY_SIZE_OFFSET = 20;
const { TRUNCATED, SIZE_DIFFERS } = FRAME_PROBLEM;

const target = await Target.start(t, { "limits.recordsPerFrameMax": 100 });
const { terminalsUrl, node } = target.server;

/** A frame that changes nothing: the challenge of a sign-on. */
function challenge(terminal = new RawTerminal(GATE_FIRST + 40)): Uint8Array {
  const nonce = new Uint8Array(NONCE_SIZE).fill(1);
  return terminal.signOnFrame(0, nonce, new Uint8Array(NONCE_SIZE));
}

/** A frame of one use of a card. */
function tap({ terminal }: Pick<SignedOn, "terminal">, card = 0): Uint8Array {
  return terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(card))]);
}

/** Sends frames as one message; resolves with their answers, by sequence, and the messages. */
async function ask(socket: RawSocket, frames: readonly Uint8Array[]) {
  socket.send(Buffer.concat(frames));
  const answers: Uint8Array[] = [];
  let messages = 0;
  while (answers.length < frames.length) {
    messages++;
    answers.push(...framesOf(await socket.next()));
  }
  return { answers, messages };
}

/** How often cards were used, all together. */
function usesCounted(): number {
  const { cards } = node.engine.state;
  let count = 0;
  for (let row = 1; row < cards.table.rowCount; row++) count += cards.useCount(row);
  return count;
}

t.test("frames of one terminal are answered in their order, in one message", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST, GATHERS);
  const counted = usesCounted();
  const frames = Array.from({ length: 20 }, (_, i) => tap(gate, i % CARD_COUNT));
  const { answers, messages } = await ask(gate.socket, frames);
  const read = answers.map((answer) => gate.terminal.read(answer));
  t.ok(read.every(({ verified, outcomes }) => verified && outcomes[0]!.responseCode === "00"));
  const first = read[0]!.header.sequence;
  t.same(
    read.map(({ header }) => header.sequence - first),
    frames.map((_, i) => i),
  );
  t.equal(messages, 1);
  t.equal(usesCounted() - counted, 20, "each is counted once");
});

t.test("frames of several terminals, of several sorts, each on its own merits", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 1, GATHERS);
  const other = await target.signedOn(t, CONCENTRATOR);
  const counted = usesCounted();
  const repeated = tap(gate);
  const forged = tap(gate);
  forged[forged.length - 1]! ^= 1;
  const tooMany = gate.terminal.uses(
    MTI_USE_REQUEST,
    Array.from({ length: 101 }, () => gate.terminal.use(panOf(1))),
  );
  const stranger = tap({ terminal: strangerOf(gate.terminal) });
  const rows: [frame: Uint8Array, status: string, terminal: RawTerminal][] = [
    [tap(gate), "00", gate.terminal],
    [repeated, "00", gate.terminal],
    [forged, "A0", gate.terminal],
    [tap(other), "00", other.terminal],
    [repeated, "63", gate.terminal],
    [tooMany, "91", gate.terminal],
    [stranger, "97", gate.terminal],
    [gate.terminal.manage(301), "00", gate.terminal],
    [tap(gate), "00", gate.terminal],
  ];
  const { answers } = await ask(
    gate.socket,
    rows.map(([frame]) => frame),
  );
  const told = answers.map((answer) => `${answer.subarray(8, 20).join()} ${statusOf(answer)}`);
  const asked = rows.map(([frame, status]) => `${frame.subarray(8, 20).join()} ${status}`);
  t.same(told.sort(), asked.sort());
  for (const [frame, status, terminal] of rows) {
    if (status !== "00") continue;
    const named = (answer: Uint8Array) =>
      Buffer.compare(answer.subarray(8, 20), frame.subarray(8, 20)) === 0;
    t.ok(answers.some((answer) => named(answer) && terminal.read(answer).verified));
  }
  t.equal(usesCounted() - counted, 4, "what was refused is not counted");
});

/** A terminal that is not registered, with the keys of one that is. */
function strangerOf(terminal: RawTerminal): RawTerminal {
  const stranger = new RawTerminal(9_999_999, terminal.algorithm, 1, new Uint8Array(16));
  stranger.requestMac = terminal.requestMac;
  stranger.keyGeneration = 1;
  return stranger;
}

t.test("a frame that is none closes; what stood before it is recorded, no more", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 2, GATHERS);
  const counted = usesCounted();
  const uses = Array.from({ length: 5 }, () => gate.terminal.use(panOf(2)));
  const frames = uses.map((use) => gate.terminal.uses(MTI_USE_REQUEST, [use]));
  frames[3]![0] = 0;
  gate.socket.send(Buffer.concat(frames));
  const code = await gate.socket.closed;
  t.equal(FRAME_PROBLEM_NAMES[code - 4400], "MAGIC_WRONG");
  const again = await target.socket(t, GATHERS);
  const { answers } = await ask(
    again,
    uses.map((use) => gate.terminal.uses(MTI_USE_REQUEST, [use])),
  );
  const rrns = answers.map((answer) => gate.terminal.read(answer).outcomes[0]!.rrn);
  t.equal(new Set(rrns).size, 5);
  t.equal(rrns[2]! - rrns[0]!, 2, "three were recorded one behind the other");
  t.ok(rrns[3]! - rrns[2]! > 1, "and the fourth only when it came again");
  t.equal(usesCounted() - counted, 5, "each is counted once");
});

t.test("every truncation of a message closes or ends with a frame", async (t) => {
  const mark = target.mark();
  const frame = challenge();
  const message = Buffer.concat([frame, frame, frame]);
  const sizes = Array.from({ length: message.length }, (_, size) => size);
  await inParallel(sizes, 16, async (size) => {
    const rest = size % frame.length;
    const whole = rest === 0 && size > 0;
    const problem = rest < FRAME_SIZE_MIN ? TRUNCATED : SIZE_DIFFERS;
    const expected = whole ? "00" : FRAME_PROBLEM_NAMES[problem];
    t.equal(await fateOf(terminalsUrl, message.subarray(0, size), GATHERS), expected, `${size}`);
  });
  target.refused += sizes.length;
  await target.unchanged(t, mark, "cut messages");
});

t.test("sizes that lie: no frame is read askew", async (t) => {
  const mark = target.mark();
  const frame = challenge();
  const lying = (bodySize: number, ...behind: Uint8Array[]) => {
    const first = Uint8Array.from(frame);
    new DataView(first.buffer).setUint32(BODY_SIZE_OFFSET, bodySize, true);
    return Buffer.concat([first, ...behind]);
  };
  const odd = oddFrame();
  const rows: [name: string, message: Uint8Array, fate: string][] = [
    ["nothing at all", new Uint8Array(), "TRUNCATED"],
    ["a body of 0 bytes", lying(0, frame), "BODY_SIZE_INVALID"],
    ["a body of 8 bytes", lying(8, frame), "BODY_SIZE_INVALID"],
    // One management frame: it is read, and its MAC does not hold.
    ["a body as long as both", lying(64 + frame.length, frame), "A0"],
    ["a body one frame longer", lying(64 + 2 * frame.length, frame), "SIZE_DIFFERS"],
    ["a body of 2^32 - 1 bytes", lying(2 ** 32 - 1, frame), "SIZE_DIFFERS"],
    ["a body of 2^31 bytes", lying(2 ** 31, frame), "SIZE_DIFFERS"],
    ["a body with which 32 bits wrap around", lying(2 ** 32 - 48, frame), "SIZE_DIFFERS"],
    ["a frame that is no multiple of 8, at the end", Buffer.concat([frame, odd]), "00"],
    ["the same before another", Buffer.concat([odd, frame]), "SIZE_DIFFERS"],
    ["a byte behind", Buffer.concat([frame, Uint8Array.of(0)]), "TRUNCATED"],
  ];
  await inParallel(rows, 4, async ([name, message, fate]) => {
    t.equal(await fateOf(terminalsUrl, message, GATHERS), fate, name);
  });
  target.refused += rows.length;
  await target.unchanged(t, mark, "lying sizes");
});

/** A sound management frame of 113 bytes. */
function oddFrame(): Uint8Array {
  const terminal = new RawTerminal(GATE_FIRST + 41);
  const whole = challenge(terminal);
  const body = new Uint8Array(MANAGEMENT_RECORD_SIZE + 1);
  body.set(whole.subarray(32, 32 + MANAGEMENT_RECORD_SIZE));
  const header = { mti: MTI_MANAGEMENT_REQUEST, keyGeneration: 0, sequence: 0 };
  return terminal.seal(header, body, 1, terminal.signOnMac());
}

t.test("a flipped bit in one frame touches no other", async (t) => {
  const mark = target.mark();
  const frame = challenge();
  const bits = Array.from({ length: frame.length * 8 }, (_, bit) => bit);
  let closed = 0;
  await inParallel(bits, 16, async (bit) => {
    const flipped = Uint8Array.from(frame);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const other = challenge(new RawTerminal(GATE_FIRST + 42));
    const socket = await target.socket(t, GATHERS);
    socket.send(Buffer.concat([other, flipped]));
    const gone = socket.closed.then(() => null);
    const answers: Uint8Array[] = [];
    while (answers.length < 2) {
      const message = await Promise.race([socket.next().catch(() => null), gone]);
      if (message === null) break;
      answers.push(...framesOf(message));
    }
    if (answers.length < 2) closed++;
    const own = answers.filter((answer) => statusOf(answer) === "00");
    t.ok(own.length <= 1, `bit ${bit}`);
    await socket.close();
  });
  t.ok(closed > 0 && closed < bits.length, `${closed} of ${bits.length} closed`);
  target.refused += bits.length;
  await target.unchanged(t, mark, "flipped bits");
});

t.test("the longest message: each of its frames is answered once", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 3, GATHERS);
  const size = tap(gate).length;
  const count = Math.floor(FRAME_SIZE_MAX / size);
  const frames = Array.from({ length: count }, () => tap(gate, 3));
  const { answers } = await ask(gate.socket, frames);
  const sequences = new Set(answers.map((answer) => gate.terminal.read(answer).header.sequence));
  t.equal(sequences.size, count, `${count} frames`);
  const longer = Buffer.concat([...frames, frames[0]!, frames[0]!]);
  t.equal(await fateOf(terminalsUrl, longer.subarray(0, FRAME_SIZE_MAX + 1), GATHERS), "TOO_LARGE");
});

t.test("who has not asked for it gets and sends one frame in a message", async (t) => {
  const mark = target.mark();
  const two = Buffer.concat([challenge(), challenge()]);
  t.equal(await fateOf(terminalsUrl, two), "SIZE_DIFFERS");
  await target.unchanged(t, mark, "two frames in a message");
  const gate = await target.signedOn(t, GATE_FIRST + 4);
  for (let i = 0; i < 5; i++) gate.socket.send(tap(gate));
  for (let i = 0; i < 5; i++) {
    const answer = await gate.socket.next();
    t.equal(answer.length, FRAME_SIZE_MIN + OUTCOME_RECORD_SIZE);
    t.ok(gate.terminal.read(answer).verified);
  }
});

t.test("of the subprotocols offered, only ours is chosen", async (t) => {
  for (const [offered, chosen] of [
    [[], ""],
    [GATHERS, GATHERED_SUBPROTOCOL],
    [["chat", GATHERED_SUBPROTOCOL], GATHERED_SUBPROTOCOL],
  ] as const) {
    const socket = await target.socket(t, [...offered]);
    t.equal(socket.socket.protocol, chosen, offered.join(", "));
  }
  // A client that wants another one is told so by the lack of it.
  for (const other of ["chat", `${GATHERED_SUBPROTOCOL}.1`, GATHERED_SUBPROTOCOL.toUpperCase()]) {
    await t.rejects(target.socket(t, [other]), /no subprotocol/, other);
  }
  await target.unharmed(t);
  t.comment(`messages refused: ${target.refused}`);
});

t.test("under overload all frames of a message are refused in one message", async (t) => {
  const flags = { "limits.recordsInFlightMax": 4, "limits.recordsPerFrameMax": 4 };
  const { node: small, terminalsUrl: url } = await serve(t, { flags });
  const socket = await RawSocket.open(url, GATHERS);
  t.teardown(() => socket.close());
  const terminal = new RawTerminal(GATE_FIRST);
  await terminal.signOn(socket.exchange);
  const frames = Array.from({ length: 50 }, () => tap({ terminal }));
  socket.send(Buffer.concat(frames.slice(0, 4)));
  socket.send(Buffer.concat(frames.slice(4)));
  const statuses = new Map<string, number>();
  let messages = 0;
  for (let count = 0; count < frames.length; messages++) {
    for (const answer of framesOf(await socket.next())) {
      const { verified, header } = terminal.read(answer);
      const status = `${header.status} ${verified ? "verified" : "unauthenticated"}`;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      count++;
    }
  }
  t.equal(statuses.get("00 verified"), 4);
  t.equal(statuses.get("91 unauthenticated"), 46);
  t.equal(messages, 2);
  t.equal(small.core.inFlight, 0);
});
