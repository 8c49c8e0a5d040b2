// What each stage of a use costs, in a loop over the real functions of protocol, engine and src.
// Every stage works through a set of uses of random cards, so that memory costs what it does.

import { performance } from "node:perf_hooks";
import { apply } from "../engine/apply.js";
import { admit, decide, findFirst } from "../engine/decide.js";
import {
  CIPHER_BLOCK_SIZE,
  CipherBuffer,
  openCipher,
  openPortable,
} from "../protocol/block-cipher.js";
import { frameProblem } from "../protocol/decode.js";
import { WORD } from "../protocol/endian.js";
import { FRAME_HEADER_SIZE, FRAME_MAC_SIZE } from "../protocol/frame.js";
import { MTI_USE_REQUEST } from "../protocol/mti.js";
import { OUTCOME_RECORD_SIZE } from "../protocol/outcome-record.js";
import { PAN_BLOCK_SIZE, panBlockValid } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import { Arena } from "../src/arena.js";
import { FrameSlot } from "../src/frame-slot.js";
import { beginResponse, responseFrameSize } from "../src/responses.js";
import type { BenchCase, Run } from "./case.js";
import { median } from "./core-case.js";
import { EngineWorld, type UseSet } from "./engine-world.js";
import { makeFrames, useFrameSize } from "./frames.js";
import { randomFrom, SEED } from "./random.js";
import { madeUpKeys, type TerminalKeys } from "./sign-on.js";
import { framePlans } from "./wire.js";

const CARDS = 1_000_000;
const ROUNDS = 9;
const USES_PER_ROUND = 50_000;
const TERMINALS = 64;
const RECORDS = 128;
const BATCH_RECORDS = 64;

export const STAGES: BenchCase = {
  name: "stages",
  text: "what each stage of a use costs, in loops over the real functions",
  run: async (run) => {
    const cardCount = run.amount(CARDS, 1000);
    const count = Math.ceil(run.amount(USES_PER_ROUND, 2000) / RECORDS) * RECORDS;
    run.say(`making ${cardCount} cards`);
    // Each round of apply and of use adds its uses to the memory of repeats.
    const world = await EngineWorld.make(cardCount, count * (2 * ROUNDS + 1));
    const random = randomFrom(SEED);
    const makeUses = () => world.makeUses(count, () => Math.floor(random() * cardCount));
    ciphers(run, count);
    frames(run, count);
    tokenize(run, world, count);
    engine(run, world, makeUses);
    journal(run, world, makeUses);
    encode(run, count);
  },
};

/** Nanoseconds for each of the `count` uses that `work` does in a round; `prepare` is not timed. */
function costOf<Prepared>(
  count: number,
  prepare: () => Prepared,
  work: (prepared: Prepared) => void,
): number {
  return median(costsOf(count, prepare, [work])[0]!);
}

/** The same of several ways, which take turns: the costs of each by round. */
function costsOf<Prepared>(
  count: number,
  prepare: () => Prepared,
  ways: readonly ((prepared: Prepared) => void)[],
): number[][] {
  const costs: number[][] = ways.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, way] of ways.entries()) {
      const prepared = prepare();
      const start = performance.now();
      way(prepared);
      costs[i]!.push(((performance.now() - start) * 1e6) / count);
    }
  }
  return costs;
}

function record(run: Run, name: string, text: string, value: number): void {
  run.record({ name, text, value, unit: "ns" });
}

/** Times a stage that needs nothing made for each round. */
function stage(run: Run, name: string, text: string, count: number, work: () => void): void {
  record(
    run,
    name,
    text,
    costOf(count, () => {}, work),
  );
}

/** What a MAC of a frame of one record asks of the cipher, in place and by node:crypto. */
function ciphers(run: Run, count: number): void {
  const size = useFrameSize(1) - FRAME_MAC_SIZE;
  const buffer = new CipherBuffer(size);
  for (const [name, text, open] of [
    ["cipher", "AES-128-CBC in place, a frame of one record", openCipher],
    ["cipher-portable", "the same by node:crypto", openPortable],
  ] as const) {
    const cipher = open("aes-128-cbc", new Uint8Array(CIPHER_BLOCK_SIZE));
    stage(run, name, text, count, () => {
      for (let i = 0; i < count; i++) cipher.encrypt(buffer, size);
    });
    cipher.close();
  }
}

/** Decode and MAC, of frames of one record and of 128. */
function frames(run: Run, count: number): void {
  const keys = Array.from({ length: TERMINALS }, madeUpKeys);
  const single = frameSet(keys, 1, count);
  const singleWords = new Int32Array(single.bytes.buffer);
  stage(run, "decode", "form of a frame of one record, and its card number", count, () => {
    for (let i = 0; i < single.count; i++) {
      const start = single.starts[i]!;
      if (frameProblem(single.view, start, single.size) !== 0) throw new Error("a frame is bad");
      panBlockValid(singleWords, (start + FRAME_HEADER_SIZE) / WORD.SIZE);
    }
  });
  macs(run, "mac-single", "MACs of request and answer, alone in its frame", single, keys, count);
  const batch = frameSet(keys, RECORDS, count / RECORDS);
  macs(run, "mac-128", `MACs of request and answer, one of ${RECORDS}`, batch, keys, count);
}

interface FrameSet {
  bytes: Uint8Array;
  view: DataView;
  starts: number[];
  size: number;
  count: number;
  records: number;
}

function macs(
  run: Run,
  name: string,
  text: string,
  set: FrameSet,
  keys: readonly TerminalKeys[],
  count: number,
): void {
  const answerSize = FRAME_HEADER_SIZE + set.records * OUTCOME_RECORD_SIZE;
  const answer = new Uint8Array(answerSize + FRAME_MAC_SIZE);
  const verify = () => {
    for (let i = 0; i < set.count; i++) {
      const start = set.starts[i]!;
      const end = start + set.size - FRAME_MAC_SIZE;
      const { request, response } = keys[i % keys.length]!;
      if (!request.verify(set.bytes, start, end, end)) throw new Error("a MAC does not hold");
      response.sign(answer, 0, answerSize, answer, answerSize);
    }
  };
  stage(run, name, text, count, verify);
}

/** `frameCount` frames of all terminals in turn. */
function frameSet(keys: readonly TerminalKeys[], records: number, frameCount: number): FrameSet {
  const perTerminal = Math.ceil(frameCount / keys.length);
  const plans = framePlans(keys.length, records, perTerminal, 1000);
  const sets = plans.map((plan, i) => makeFrames(plan, keys[i]!));
  const bytes = Buffer.concat(sets.map((set) => set.bytes));
  const { size } = sets[0]!;
  const starts = Array.from({ length: frameCount }, (_, i) => {
    return ((i % keys.length) * perTerminal + Math.floor(i / keys.length)) * size;
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { bytes, view, starts, size, count: frameCount, records };
}

function tokenize(run: Run, world: EngineWorld, count: number): void {
  const blocks = new Uint8Array(BATCH_RECORDS * PAN_BLOCK_SIZE);
  const text = `card numbers to tokens, ${BATCH_RECORDS} in a call`;
  stage(run, "tokenize", text, count, () => {
    for (let i = 0; i < count; i += BATCH_RECORDS) world.vault.tokenize(blocks);
  });
}

/**
 * The stages of the engine. Each needs what the one before has found, so they are run together,
 * one more in each row, and a stage is what its row costs more than the one before.
 */
function engine(run: Run, world: EngineWorld, makeUses: () => UseSet): void {
  const { state } = world.engine;
  const look = (set: UseSet, i: number) => {
    const use = world.read(set, i);
    const isFirst = admit(state, use) === REASON.APPROVED && findFirst(state, use) === 0;
    if (!isFirst) throw new Error("a use is a repeat");
    return use;
  };
  const judge = (set: UseSet, i: number) => {
    const use = look(set, i);
    if (decide(state, use) !== REASON.APPROVED) throw new Error("a use was declined");
    return use;
  };
  const change = (set: UseSet, i: number) => {
    apply(state, judge(set, i), REASON.APPROVED, state.registers.position);
  };
  const each = (visit: (set: UseSet, i: number) => unknown) => (set: UseSet) => {
    for (let i = 0; i < set.count; i++) visit(set, i);
  };
  const { count } = makeUses();
  const ways = [each(look), each(judge), each(change)];
  const [looked, judged, changed] = costsOf(count, makeUses, ways) as [
    number[],
    number[],
    number[],
  ];
  const more = (of: number[], than: number[]) => median(of.map((cost, i) => cost - than[i]!));
  record(run, "duplicate", "form, terminal, date; looked up among the repeats", median(looked));
  record(run, "decide", "the ladder, a random card", more(judged, looked));
  record(run, "apply", "remembered and counted", more(changed, judged));
}

/** The engine as the core calls it, and sealing the block, which is part of it. */
function journal(run: Run, world: EngineWorld, makeUses: () => UseSet): void {
  const { count } = makeUses();
  const open = () => {
    const set = makeUses();
    world.open();
    return set;
  };
  const sealNs: number[] = [];
  const whole = costOf(count, open, (set) => {
    world.decideAll(set);
    const start = performance.now();
    world.seal();
    sealNs.push(((performance.now() - start) * 1e6) / count);
  });
  record(run, "journal", "sealing the block: SHA-256 over its bytes", median(sealNs));
  record(run, "engine", "duplicate, decide, apply, record and journal as one", whole);
}

/** The header of an answer; its outcome is written by the engine. */
function encode(run: Run, count: number): void {
  const arena = new Arena(Math.ceil(responseFrameSize(OUTCOME_RECORD_SIZE) / 8) * 8 * 1024, false);
  const slot = new FrameSlot();
  slot.mti = MTI_USE_REQUEST;
  const text = "header of an answer of one record, in place";
  stage(run, "encode", text, count, () => {
    for (let i = 0; i < count; i++) {
      if (!arena.fits(responseFrameSize(OUTCOME_RECORD_SIZE))) arena.clear();
      beginResponse(arena, slot, 1, OUTCOME_RECORD_SIZE, 1e12, REASON.APPROVED);
    }
  });
}
