// The keys of sessions are found again whatever was put out for others: a pair keeps its place for
// as long as there is room and is derived anew when it comes back; what is put out leaves the
// shared table.

import t from "tap";
import { EngineWorld } from "../bench/engine-world.js";
import { KEY_SLOT_SIZE, type KeyPair, SessionKeys } from "../src/session-keys.js";

const PAIRS_MAX = 8;
const MESSAGE = Uint8Array.from({ length: 80 }, (_, i) => i);
/** Blocks after which what was put out is closed. */
const BLOCKS = 4;

interface Session {
  row: number;
  base: number;
}

async function openedSessions(count: number): Promise<{ world: EngineWorld; sessions: Session[] }> {
  const world = await EngineWorld.make(1000, 1000);
  const sessions: Session[] = [];
  for (let i = 0; i < count; i++) {
    if (i > 0) world.nextTerminal();
    sessions.push({ row: world.senderRow, base: world.sessionBase });
  }
  return { world, sessions };
}

function tags({ request, response }: KeyPair): string {
  return [request, response]
    .map((mac) => {
      const tag = new Uint8Array(16);
      mac.sign(MESSAGE, 0, MESSAGE.length, tag, 0);
      return Buffer.from(tag).toString("hex");
    })
    .join();
}

t.test("as many as have room stay, in slots of their own", async (t) => {
  const { world, sessions } = await openedSessions(PAIRS_MAX);
  const keys = new SessionKeys(world.engine.state, world.vault, PAIRS_MAX);
  const first = sessions.map(({ row, base }) => keys.get(row, base, 1)!);
  t.equal(new Set(first.map(({ slot }) => slot)).size, PAIRS_MAX, "no slot is of two");
  t.equal(new Set(first.map(tags)).size, PAIRS_MAX, "no two have the same keys");
  for (let round = 0; round < 3; round++) {
    const again = sessions.map(({ row, base }) => keys.get(row, base, 1)!);
    t.ok(
      again.every((pair, i) => pair === first[i]),
      "the same pair each time",
    );
  }
  keys.close();
  t.ok(new Uint8Array(keys.table).every((byte) => byte === 0));
});

t.test("more than have room: who comes back has the keys it had", async (t) => {
  const { world, sessions } = await openedSessions(3 * PAIRS_MAX);
  const keys = new SessionKeys(world.engine.state, world.vault, PAIRS_MAX);
  const table = new Uint8Array(keys.table);
  const expected = sessions.map(({ row, base }) => tags(keys.get(row, base, 1)!));
  for (let step = 0; step < 2000; step++) {
    const i = (step * 7919) % sessions.length;
    const { row, base } = sessions[i]!;
    const pair = keys.get(row, base, 1)!;
    if (tags(pair) !== expected[i]) t.fail(`step ${step}: session ${i} has other keys`);
    if (pair.slot >= PAIRS_MAX) t.fail(`step ${step}: slot ${pair.slot} is not there`);
    keys.delivered();
  }
  const taken = Array.from({ length: PAIRS_MAX }, (_, slot) => {
    return table.subarray(slot * KEY_SLOT_SIZE, (slot + 1) * KEY_SLOT_SIZE).some(Boolean);
  });
  t.same(taken, new Array(PAIRS_MAX).fill(true), "all the room is used");
  keys.close();
  t.ok(table.every((byte) => byte === 0));
});

t.test("who was used since the hand last passed stays", async (t) => {
  const { world, sessions } = await openedSessions(3 * PAIRS_MAX);
  const keys = new SessionKeys(world.engine.state, world.vault, PAIRS_MAX);
  const get = ({ row, base }: Session) => keys.get(row, base, 1)!;
  for (const session of sessions.slice(0, PAIRS_MAX + 1)) get(session);
  // One lap of the hand: those before it have not been used since.
  const [busy, ...others] = sessions.slice(PAIRS_MAX, 2 * PAIRS_MAX);
  const pair = get(busy!);
  for (const other of others) {
    get(other);
    t.equal(get(busy!), pair);
  }
  keys.close();
});

t.test("what was put out serves frames on their way, and is closed behind them", async (t) => {
  const { world, sessions } = await openedSessions(2);
  const keys = new SessionKeys(world.engine.state, world.vault, 1);
  const [first, second] = sessions as [Session, Session];
  const pair = keys.get(first.row, first.base, 1)!;
  const before = tags(pair);
  keys.get(second.row, second.base, 1);
  for (let block = 1; block < BLOCKS; block++) {
    keys.delivered();
    t.equal(tags(pair), before, `${block} blocks later`);
  }
  keys.delivered();
  t.throws(() => tags(pair), /a closed MAC/);
  keys.close();
});
