// The journal of a random workload, replayed: state = all blocks applied in order, with and without
// a checkpoint on the way. And blocks that have been changed, which must be found.

import { createHash } from "node:crypto";
import t, { type Test } from "tap";
import { BlockReader, blockProblem } from "../engine/block.js";
import { Checkpoint, type CheckpointHead } from "../engine/checkpoint.js";
import { CARD_EVENT } from "../engine/domain.js";
import { replayBlock } from "../engine/replay.js";
import { State } from "../engine/state.js";
import { EngineKit, itemOf, pan, START_MS, tokenOf, type UseFields } from "./engine-kit.js";
import { seeded } from "./random.js";
import { Workload } from "./workload.js";

const SEED = 20_250_301;
const STEPS = 4500;
const HASH_OFFSET = 80;
const HASH_END = 112;

/** What checkpoints have written so far: the newest of each page and document. */
class Store {
  readonly pages = new Map<string, Int32Array>();
  readonly documents = new Map<string, Uint8Array>();
  head: CheckpointHead | null = null;

  /** Takes up to `count` pages. Returns whether there was none left. */
  take(checkpoint: Checkpoint, count: number): boolean {
    for (let i = 0; i < count; i++) {
      const words = new Int32Array(checkpoint.pageWordsMax);
      const taken = checkpoint.take(words);
      if (taken === null) return true;
      this.pages.set(`${taken.table.id} ${taken.page}`, words.slice(0, taken.wordCount));
    }
    return false;
  }

  end(checkpoint: Checkpoint): void {
    this.head = checkpoint.head;
    for (const [key, bytes] of checkpoint.documents) this.documents.set(key, bytes);
  }

  copy(): Store {
    const copy = new Store();
    for (const [key, words] of this.pages) copy.pages.set(key, words);
    for (const [key, bytes] of this.documents) copy.documents.set(key, bytes);
    copy.head = this.head;
    return copy;
  }

  /** A state loaded as recovery does it. */
  load(like: State): State {
    const state = new State(like.limits);
    for (const table of state.tables) {
      const rowCount = this.head!.rowCounts[table.id]!;
      for (let page = 0; page * 256 < rowCount; page++) {
        const words = this.pages.get(`${table.id} ${page}`)!;
        table.loadPage(page, new Uint8Array(words.buffer));
      }
      table.loaded(rowCount);
    }
    for (const [key, bytes] of this.documents) state.documents.load(key, bytes);
    Object.assign(state.registers, this.head!.registers);
    state.rebuild();
    state.invariants();
    return state;
  }
}

interface Recovered {
  store: Store;
  /** Hash of the live state when the checkpoint began. */
  hash: string;
  /** Blocks before it. */
  blockCount: number;
}

/** Makes checkpoints, one after another, their pages written while the workload goes on. */
class Checkpoints {
  readonly made: Recovered[] = [];
  private readonly store = new Store();
  private running: Checkpoint | null = null;
  private begun = { hash: "", blockCount: 0 };
  private boundaries = 0;

  constructor(private readonly kit: EngineKit) {}

  /** On the boundary between two blocks. */
  readonly boundary = (): void => {
    if (this.running === null) {
      if (++this.boundaries % 60 === 0) this.begin();
    } else if (this.store.take(this.running, 2)) {
      this.running.end();
      this.store.end(this.running);
      this.made.push({ ...this.begun, store: this.store.copy() });
      this.running = null;
    }
  };

  private begin(): void {
    this.begun = { hash: this.kit.state.hash(), blockCount: this.kit.blocks.length };
    this.running = new Checkpoint(this.kit.state);
  }
}

function replayAll(state: State, blocks: Uint8Array[], decideAgain: boolean): State {
  for (const bytes of blocks) replayBlock(state, new BlockReader(bytes), { decideAgain });
  state.invariants();
  return state;
}

const workload = new Workload(SEED);
const checkpoints = new Checkpoints(workload.kit);
workload.run(STEPS, checkpoints.boundary);
const { kit } = workload;
const liveHash = kit.state.hash();

t.test("the workload is one", async (t) => {
  const uses = [...workload.reasons.values()].reduce((sum, count) => sum + count, 0);
  t.ok(uses > 5000, `${uses} uses`);
  t.ok(workload.reasons.size >= 28, `${workload.reasons.size} reasons`);
  t.ok(kit.timeMs - START_MS > 4 * 86_400_000, "several days");
  t.ok(kit.blocks.length > 300);
});

t.test("the same journal leads to the same state, twice", async (t) => {
  t.equal(replayAll(new State(kit.limits), kit.blocks, false).hash(), liveHash);
  t.equal(replayAll(new State(kit.limits), kit.blocks, true).hash(), liveHash, "decided again");
});

t.test("the same seed makes the same journal", async (t) => {
  const again = new Workload(SEED);
  again.run(STEPS, () => {});
  t.equal(again.kit.state.hash(), liveHash);
  t.same(again.kit.blocks.length, kit.blocks.length);
});

t.test("a checkpoint holds its position, and the rest leads to the same state", async (t) => {
  t.ok(checkpoints.made.length >= 3, `${checkpoints.made.length} checkpoints`);
  for (const { store, hash, blockCount } of checkpoints.made) {
    const state = store.load(kit.state);
    t.equal(state.hash(), hash, "as it was when it began");
    replayAll(state, kit.blocks.slice(blockCount), true);
    t.equal(state.hash(), liveHash);
    checkDerived(t, state, kit.state);
  }
});

/** What is derived and stands in no hash must be the same, too. */
function checkDerived(t: Test, state: State, live: State): void {
  t.same(state.blacklist.prefixLengths, live.blacklist.prefixLengths);
  t.same(state.blacklist.count, live.blacklist.count);
  t.same([...state.parties.organisations].sort(), [...live.parties.organisations].sort());
  t.equal(state.catalogue.version, live.catalogue.version);
  t.same(state.catalogue.versions(), live.catalogue.versions());
  t.equal(state.duplicates.oldestDate, live.duplicates.oldestDate);
  t.equal(state.duplicates.newestDate, live.duplicates.newestDate);
  const listed = (s: State) => {
    return Array.from({ length: s.holders.count }, (_, i) => s.holders.listed(i + 1));
  };
  t.same(listed(state), listed(live));
}

t.test("a checkpoint writes what has changed since the one before", async (t) => {
  const small = new EngineKit().usual();
  small.seal();
  const pages = () => {
    const store = new Store();
    const checkpoint = new Checkpoint(small.state);
    t.ok(store.take(checkpoint, 100));
    checkpoint.end();
    return [store.pages.size, checkpoint.documents.map(([key]) => key)];
  };
  t.same(pages(), [8, ["catalogue/1", "organisation/1"]], "a page of each table");
  t.same(pages(), [0, []]);
  small.use();
  t.same(pages(), [3, []], "the card, the session, the use");
  small.organisation({ name: "renamed" });
  t.same(pages(), [0, ["organisation/1"]]);
});

t.test("a clock that jumps ahead and back leaves no trace but in blocks", async (t) => {
  const DAY_MS = 86_400_000;
  const small = new EngineKit().usual();
  small.catalogue(2, [itemOf({ itemCode: 77 })], 20_250_310);
  small.seal();
  const use = small.fill();
  const first = small.use(use);
  small.seal();
  const hash = replayAll(new State(small.limits), small.blocks, false).hash();
  small.moveTo(START_MS + 30 * DAY_MS);
  t.equal(small.card(1, CARD_EVENT.LOAD), "UNCHANGED", "a command that changes nothing");
  t.equal(small.state.catalogue.version, 2, "the time of the empty block holds in it");
  const store = new Store();
  const checkpoint = new Checkpoint(small.state);
  store.take(checkpoint, 100);
  checkpoint.end();
  store.end(checkpoint);
  t.equal(small.state.hash(), hash, "nothing of it is in the state");
  t.equal(store.load(small.state).hash(), hash, "nor in a checkpoint");
  small.moveTo(START_MS + 2000);
  t.equal(small.state.catalogue.version, 1);
  t.equal(small.use(use).hex, first.hex, "a repeat is still known");
  t.equal(small.replayed().hash(), small.state.hash());
});

t.test("an engine that recovered answers as the one that went on", async (t) => {
  const other = kit.restarted();
  const { store, blockCount } = checkpoints.made.at(-1)!;
  const state = replayAll(store.load(kit.state), kit.blocks.slice(blockCount), false);
  Object.assign(other.engine, { state });
  other.moveTo(kit.timeMs);
  const random = seeded(4);
  for (const one of [kit, other]) one.session();
  for (let i = 0; i < 300; i++) {
    const use: UseFields = { pan: pan(1 + random.below(900)), stan: 1 + random.below(2000) };
    const [here, there] = [kit.use(use), other.use(use)];
    if (here.hex !== there.hex) t.equal(there.hex, here.hex);
  }
  for (const one of [kit, other]) one.seal();
  t.equal(other.state.hash(), kit.state.hash());
});

t.test("blocks that do not follow are not applied", async (t) => {
  const [first, second, third] = kit.blocks as [Uint8Array, Uint8Array, Uint8Array];
  const at = (...blocks: Uint8Array[]) => replayAll(new State(kit.limits), blocks, false);
  t.throws(() => at(second), /blocks follow each other/);
  t.throws(() => at(first, third), /blocks follow each other/);
  t.throws(() => at(first, first), /blocks follow each other/);
  const forged = Uint8Array.from(second);
  forged[48] = forged[48]! ^ 1;
  t.throws(() => at(first, rehashed(forged)), /carries the hash before it/);
});

t.test("a decision that does not follow from the state is found", async (t) => {
  const small = new EngineKit().usual();
  small.seal();
  small.use({ stan: 1 });
  small.seal();
  const [setup, block] = small.blocks as [Uint8Array, Uint8Array];
  const forged = Uint8Array.from(block);
  const reasonOffset = 128 + 24 + 46;
  t.equal(forged[reasonOffset], 0);
  forged[reasonOffset] = 22;
  const blocks = [setup, rehashed(forged)];
  t.throws(() => replayAll(new State(small.limits), blocks, true), /follows from the state/);
});

t.test("a decline that names another blacklist entry is found", async (t) => {
  const small = new EngineKit().usual();
  small.list({ subjectToken: tokenOf(pan(1)), entryId: 7 });
  small.seal();
  small.use({ stan: 1 });
  small.seal();
  const [setup, block] = small.blocks as [Uint8Array, Uint8Array];
  const forged = Uint8Array.from(block);
  const referenceOffset = 128 + 24 + 48;
  t.equal(forged[referenceOffset], 7);
  forged[referenceOffset] = 8;
  const blocks = [setup, rehashed(forged)];
  t.throws(() => replayAll(new State(small.limits), blocks, true), /names its entry/);
});

/** The block with its hash made to hold, as one who changes the journal would. */
function rehashed(block: Uint8Array): Uint8Array {
  const hash = createHash("sha256");
  hash.update(block.subarray(0, HASH_OFFSET)).update(block.subarray(HASH_END));
  block.set(hash.digest(), HASH_OFFSET);
  return block;
}

t.test("a flipped byte anywhere is found", async (t) => {
  const small = new EngineKit().usual();
  small.seal();
  small.use();
  small.seal();
  const block = small.blocks.at(-1)!;
  t.equal(blockProblem(block), "");
  for (let i = 0; i < block.length; i++) {
    for (const mask of [1, 0x80, 0xff]) checkFlip(t, block, i, mask);
  }
  const large = kit.blocks.reduce((a, b) => (a.length > b.length ? a : b));
  const random = seeded(6);
  t.ok(large.length > 5000);
  for (let n = 0; n < 400; n++)
    checkFlip(t, large, random.below(large.length), 1 + random.below(255));
});

function checkFlip(t: Test, block: Uint8Array, offset: number, mask: number): void {
  const changed = Uint8Array.from(block);
  changed[offset] = changed[offset]! ^ mask;
  if (blockProblem(changed) === "") t.fail(`byte ${offset} with mask ${mask} is not found`);
}

t.test("a block cut short or put together is told, never thrown at", async (t) => {
  const [a, b] = kit.blocks as [Uint8Array, Uint8Array];
  for (let size = 0; size < Math.min(a.length, 2000); size++) {
    const cut = Uint8Array.from(a.subarray(0, size));
    if (blockProblem(cut) === "") t.fail(`cut to ${size} bytes`);
  }
  for (let shift = 1; shift < 8; shift++) {
    const moved = new Uint8Array(a.length + 8).subarray(shift, a.length + shift);
    moved.set(a);
    t.equal(blockProblem(moved), shift === 4 ? "" : "not aligned in memory");
  }
  t.not(blockProblem(Uint8Array.from([...a, ...b])), "");
  t.not(blockProblem(new Uint8Array(4096)), "");
});

t.test("entries stay within their block, whatever its bytes say", async (t) => {
  for (const block of kit.blocks) checkEntries(t, block);
  const random = seeded(8);
  let sound = 0;
  for (let n = 0; n < 3000; n++) {
    const block = Uint8Array.from(random.pick(kit.blocks));
    const offset =
      random.below(3) === 0 ? 16 + random.below(32) : 128 + random.below(block.length - 128);
    block[offset] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    if (blockProblem(rehashed(block)) !== "") continue;
    checkEntries(t, block);
    sound++;
  }
  t.ok(sound > 500, "most changes leave the structure whole");
});

function checkEntries(t: Test, block: Uint8Array): void {
  const reader = new BlockReader(block);
  let end = 128;
  let position = reader.firstPosition;
  for (const entry of reader.entries()) {
    const inside = entry.offset === end + 24 && entry.offset + entry.size <= block.length;
    if (!inside || entry.position !== position) t.fail("an entry is out of its block");
    position += Math.max(entry.count, 1);
    end = entry.offset + Math.ceil(entry.size / 8) * 8;
  }
  if (end !== block.length || position !== reader.lastPosition + 1) t.fail("entries end elsewhere");
}

t.test(
  "a changed block with a hash that holds is refused or changes nothing it must not",
  async (t) => {
    const small = new EngineKit().usual();
    kitWithUses(small);
    const [setup, block] = small.blocks as [Uint8Array, Uint8Array];
    const random = seeded(9);
    let refused = 0;
    for (let n = 0; n < 600; n++) {
      const forged = Uint8Array.from(block);
      const offset = 128 + random.below(block.length - 128);
      forged[offset] = random.below(256);
      if (blockProblem(rehashed(forged)) !== "") continue;
      try {
        replayAll(new State(small.limits), [setup, forged], true);
      } catch (error) {
        t.match(String(error), /invariant broken/);
        refused++;
      }
    }
    t.ok(refused > 100, `${refused} refused`);
  },
);

t.test("an entry's size must be that of its records", async (t) => {
  const small = new EngineKit().usual();
  small.seal();
  small.use();
  small.seal();
  const sizeOffset = 128 + 4;
  const [setup, block] = small.blocks as [Uint8Array, Uint8Array];
  t.equal(block[sizeOffset], 64);
  const forged = Uint8Array.from(block);
  forged[sizeOffset] = 60;
  t.equal(blockProblem(rehashed(forged)), "");
  t.throws(() => replayAll(new State(small.limits), [setup, forged], false), /size of its records/);
});

function kitWithUses(small: EngineKit): void {
  small.expectDone(small.card(2, CARD_EVENT.LOAD));
  small.seal();
  small.frame([{ stan: 1 }, { stan: 2, itemCode: 99 }]);
  small.list({ subjectId: 5, subjectKind: 4 });
  small.card(2, CARD_EVENT.LOSE);
  small.session();
  small.seal();
}
