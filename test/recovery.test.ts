// Processes killed at any moment, and folders that were tampered with: what was answered is in the
// journal, once; what cannot be trusted is named in one line and not opened.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { FUNCTION_ECHO } from "../protocol/index.js";
import type { Config } from "../src/config.js";
import { lockHolder } from "../src/data-lock.js";
import { readBlocks, verifyJournal } from "../src/journal-files.js";
import { JournalStore } from "../src/journal-store.js";
import { loadBeside } from "../src/load-beside.js";
import { openNode } from "../src/node.js";
import { newEngine, recover } from "../src/recover.js";
import { TableStore } from "../src/table-store.js";
import { type Child, spawnNode, startChild } from "./child-process.js";
import { Ledger, load } from "./crash/load.js";
import { judge, judgeCopy, repeats, type Verdict } from "./crash/verdict.js";
import { blockPlace, overwriteBlock } from "./journal-damage.js";
import type { RaceOptions } from "./lock-child.js";
import { RawSocket, RawTerminal } from "./raw-terminal.js";
import {
  CARD_COUNT,
  configOf,
  dataFolder,
  GATE_FIRST,
  seededFolder,
  until,
  within,
} from "./server-kit.js";

const ROUNDS = 4;
const CLIENTS = 6;
const NO_CHECKPOINT = { "journal.checkpointSeconds": 86_400 };
const CHECKPOINTS = { "journal.checkpointSeconds": 1 };

/** Loads a server until it is gone. */
function loaded(t: Test, child: Child, ledger: Ledger): Promise<void> {
  return load(t, ledger, { url: child.terminalsUrl, ended: child.ended });
}

async function moreAnswers(ledger: Ledger, count: number): Promise<void> {
  const before = ledger.answers;
  await until("answers", () => ledger.answers >= before + count);
}

function nothingFound(t: Test, { lost, invented, countedTwice, answers }: Verdict): void {
  t.same({ lost, invented, countedTwice }, { lost: [], invented: [], countedTwice: [] });
  t.ok(answers > 0, `${answers} answers are in the journal, once, and counted once`);
}

t.test("a thread beside loads what one alone does", async (t) => {
  const folder = await seededFolder(t);
  const config = configOf(folder);
  const journal = new JournalStore(folder);
  const tables = new TableStore(folder);
  const alone = recover(config, journal, tables);
  const engine = newEngine(config);
  t.same(await loadBeside(folder, tables, engine.state), [], "not worth it for so few rows");
  const loaded = await loadBeside(folder, tables, engine.state, 1);
  const { cards, holders } = engine.state;
  t.same(loaded, [cards.table, holders.table]);
  const beside = recover(config, journal, tables, engine, loaded);
  t.ok(beside.checkpointPosition > 0);
  t.equal(beside.engine.state.hash(), alone.engine.state.hash());
  t.equal(cards.count, CARD_COUNT);
  for (const { table, index } of [cards, holders]) {
    for (let row = 1; row < table.rowCount; row++) {
      const key = table.words.subarray(row * table.rowWords);
      t.equal(index.find(key[0]!, key[1]!, key[2]!, key[3]!), row);
    }
  }
  await Promise.all([journal.close(), tables.close()]);
  const node = await openNode(config);
  await node.checkpointer.run();
  await node.close();
});

t.test("kill -9 under load, again and again, loses no answer and doubles none", async (t) => {
  const folder = await seededFolder(t);
  const ledger = new Ledger(CLIENTS);
  const keeper = new RawTerminal(GATE_FIRST + CLIENTS);
  let taken: Uint8Array | null = null;
  let replayed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const child = await startChild(t, { folder, flags: CHECKPOINTS });
    replayed += child.blocksReplayed;
    taken = await keepSession(t, child, keeper, taken);
    const gone = loaded(t, child, ledger);
    await moreAnswers(ledger, 200);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 800));
    t.equal(await child.end("SIGKILL"), null);
    await gone;
    t.match(await verifyJournal(folder, () => {}), { problem: "", badPosition: null });
    nothingFound(t, await judgeCopy(t, folder, CHECKPOINTS, ledger));
  }
  t.ok(replayed > 0, `${replayed} blocks were replayed`);
  const child = await startChild(t, { folder, flags: CHECKPOINTS });
  const { asked, changed } = await repeats(child.terminalsUrl, ledger, 300);
  t.ok(asked >= 300, "some of the uses again");
  t.same(changed, [], "each gets its first answer");
  t.equal(await child.end("SIGTERM"), 0, "a stop ends with 0");
  t.equal(lockHolder(folder), null);
});

/** One session through all kills: the last frame is refused, the next is answered. */
async function keepSession(
  t: Test,
  child: Child,
  terminal: RawTerminal,
  taken: Uint8Array | null,
): Promise<Uint8Array> {
  const socket = await RawSocket.open(child.terminalsUrl);
  if (taken === null) {
    await terminal.signOn(socket.exchange);
  } else {
    const again = await terminal.ask(socket.exchange, taken);
    t.match(
      [again.header.status, again.verified],
      ["63", true],
      "a sequence taken before the kill",
    );
  }
  const frame = terminal.manage(FUNCTION_ECHO);
  const answer = await terminal.ask(socket.exchange, frame);
  t.match([answer.header.status, answer.verified], ["00", true], "no sign-on was needed");
  await socket.close();
  return frame;
}

t.test("a kill in the middle of a checkpoint leaves the one before it whole", async (t) => {
  const folder = await seededFolder(t);
  const ledger = new Ledger(1);
  for (let round = 0; round < 3; round++) {
    const dieInCheckpoint = round < 2;
    const child = await startChild(t, { folder, flags: CHECKPOINTS, dieInCheckpoint });
    const gone = loaded(t, child, ledger);
    if (dieInCheckpoint) t.equal(await within("its death", child.ended), null);
    else await moreAnswers(ledger, 500);
    if (!dieInCheckpoint) await child.end("SIGKILL");
    await gone;
    nothingFound(t, await judge(configOf(folder, CHECKPOINTS), ledger));
  }
});

/** The one line with which a folder is refused; "" when it opens. */
async function refusal(config: Config): Promise<string> {
  try {
    const node = await openNode(config);
    await node.close();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/** A folder whose process was killed before any checkpoint but that of the seed. */
async function killedFolder(t: Test): Promise<string> {
  const folder = await seededFolder(t);
  const child = await startChild(t, { folder, flags: NO_CHECKPOINT });
  const ledger = new Ledger(1);
  void loaded(t, child, ledger);
  await moreAnswers(ledger, 300);
  await child.end("SIGKILL");
  return folder;
}

t.test("a changed byte is found, its block named, and the folder not opened", async (t) => {
  const folder = await killedFolder(t);
  const blocks = await readBlocks(folder, { from: 1, count: 1_000_000 });
  const block = blocks[blocks.length - 5]!;
  const { firstPosition } = block;
  const place = blockPlace(folder, firstPosition);
  const remedy = "(tongka journal verify|start the version that wrote it)";
  const where = new RegExp(`^journal block at position ${firstPosition}: [^\\n]*${remedy}[^\\n]*$`);
  const size = block.bytes.length;
  const offsets = [0, 4, 8, 16, 20, 24, 33, 41, 48, 80, 111, 112, 128, 131, 150, size - 1];
  for (const offset of offsets) {
    const changed = block.bytes.slice();
    changed[offset]! ^= 0x10;
    overwriteBlock(place, changed);
    const result = await verifyJournal(folder, () => {});
    t.equal(result.badPosition, firstPosition, `byte ${offset}: ${result.problem}`);
    t.match(await refusal(configOf(folder)), where);
  }
  for (const bytes of [block.bytes.slice(0, 100), new Uint8Array(0), block.bytes.slice(0, -8)]) {
    overwriteBlock(place, bytes);
    t.equal((await verifyJournal(folder, () => {})).badPosition, firstPosition, "cut");
    t.match(await refusal(configOf(folder)), where);
  }
  for (const other of [blocks.at(-6)!, blocks.at(-4)!]) {
    overwriteBlock(place, other.bytes);
    t.equal((await verifyJournal(folder, () => {})).badPosition, firstPosition, "another block");
    t.match(await refusal(configOf(folder)), where);
  }
  overwriteBlock(place, block.bytes);
  t.match(await verifyJournal(folder, () => {}), { problem: "", badPosition: null });
  t.equal(await refusal(configOf(folder)), "", "as it was, it opens");
  const first = blocks[1]!;
  const changed = first.bytes.slice();
  changed[140]! ^= 1;
  overwriteBlock(blockPlace(folder, first.firstPosition), changed);
  const result = await verifyJournal(folder, () => {});
  t.equal(result.badPosition, first.firstPosition, "one before the checkpoint, too");
});

t.test("a folder is opened only as it was made", async (t) => {
  const folder = await killedFolder(t);
  const oneLine = (text: RegExp) => new RegExp(`^[^\\n]*${text.source}[^\\n]*$`);
  const changes: [Record<string, unknown>, RegExp][] = [
    [{ "duplicates.businessDatesKept": 3 }, /duplicates\.businessDatesKept is not 2/],
    [{ "businessDay.cutoverMinutes": 180 }, /businessDay\.cutoverMinutes is not 0/],
    [{ "businessDay.utcOffsetMinutes": 540 }, /businessDay\.utcOffsetMinutes is not 480/],
    [{ "session.keyOverlapSeconds": 61 }, /session\.keyOverlapSeconds is not 60/],
  ];
  for (const [flags, text] of changes)
    t.match(await refusal(configOf(folder, flags)), oneLine(text));
  const keyFile = join(folder, "root.key");
  const key = readFileSync(keyFile, "utf8");
  writeFileSync(
    keyFile,
    key.replace(/^./, (digit) => (digit === "0" ? "1" : "0")),
  );
  t.match(await refusal(configOf(folder)), oneLine(/the root key is not the one/));
  writeFileSync(keyFile, key);
  for (const name of ["cardsMax", "holdersMax", "terminalsMax"] as const) {
    const config = configOf(folder);
    config.tables[name] = 50;
    t.match(await refusal(config), oneLine(new RegExp(`set tables\\.${name} to at least`)));
  }
  const fewUses = configOf(folder);
  fewUses.tables.usesPerDateMax = 50;
  t.match(await refusal(fewUses), oneLine(/tables\.usesPerDateMax/));
  const fewSessions = configOf(folder);
  fewSessions.limits.sessionsMax = 1;
  t.equal(await refusal(fewSessions), "", "the most sessions are no matter of what is recorded");
  const config = configOf(folder);
  Object.assign(config.tables, { cardsMax: CARD_COUNT, holdersMax: CARD_COUNT, terminalsMax: 70 });
  t.equal(await refusal(config), "", "as large as what it holds is enough");
  t.equal(await refusal(configOf(folder)), "");
});

t.test("a journal that ends before the checkpoint is refused", async (t) => {
  const folder = await seededFolder(t);
  renameSync(join(folder, "journal"), join(folder, "moved"));
  t.match(await refusal(configOf(folder)), /^[^\n]*journal[^\n]*checkpoint[^\n]*$/);
  renameSync(join(folder, "journal"), join(folder, "empty"));
  renameSync(join(folder, "moved"), join(folder, "journal"));
  t.equal(await refusal(configOf(folder)), "");
});

t.test("one process at a time; a lock that was left is taken over", async (t) => {
  const folder = await seededFolder(t);
  const child = await startChild(t, { folder, flags: {} });
  const inUse = new RegExp(`^[^\\n]*in use by process ${child.pid}[^\\n]*$`);
  t.match(await refusal(configOf(folder)), inUse);
  t.match(lockHolder(folder), { pid: child.pid, controlUrl: child.controlUrl });
  await child.end("SIGKILL");
  t.equal(await refusal(configOf(folder)), "", "the process was killed");
  const left = [
    "",
    "{",
    "null",
    "7",
    JSON.stringify({ pid: 2 ** 22 + 1, started: "1", controlUrl: null }),
    JSON.stringify({ pid: process.pid, started: "1", controlUrl: null }),
    JSON.stringify({ pid: "x" }),
    JSON.stringify({ pid: -1, started: "", controlUrl: null }),
    JSON.stringify({ pid: 0, started: "", controlUrl: null }),
  ];
  for (const [i, content] of left.entries()) {
    writeFileSync(join(folder, `tongka.lock.${100 + 2 * i}`), content);
    t.equal(lockHolder(folder), null);
    t.equal(await refusal(configOf(folder)), "", `left behind: ${content}`);
  }
  const node = await openNode(configOf(folder));
  t.equal(readdirSync(folder).filter((name) => name.startsWith("tongka.lock")).length, 1);
  t.match(await refusal(configOf(folder)), /in use by process/, "in the same process");
  await node.close();
});

t.test("of processes that start at once, one has the folder", async (t) => {
  const root = dataFolder(t);
  const folders = Array.from({ length: 60 }, () => mkdtempSync(join(root, "race-")));
  const stale = JSON.stringify({ pid: 2 ** 22 + 1, started: "1", controlUrl: null });
  for (const [i, folder] of folders.entries()) {
    mkdirSync(folder, { recursive: true });
    if (i % 2 === 0) writeFileSync(join(folder, "tongka.lock.7"), stale);
  }
  const options: RaceOptions = { startMs: Date.now() + 700, folders };
  const all = await Promise.all(
    Array.from({ length: 4 }, () => {
      const racer = spawnNode(new URL("./lock-child.js", import.meta.url), [
        JSON.stringify(options),
      ]);
      t.teardown(() => racer.kill("SIGKILL"));
      const took: string[] = [];
      const lines = createInterface({ input: racer.stdout! });
      const done = new Promise<string[]>((resolve) => {
        lines.on("line", (line) => (line === "done" ? resolve(took) : took.push(line)));
      });
      return within("a racer", done);
    }),
  );
  t.same(all.flat().sort(), [...folders].sort(), "each folder was taken once");
});

t.test("what cannot be a data folder", async (t) => {
  t.match(await refusal(configOf(join(tmpdir(), "tongka-nowhere"))), /tongka init/);
});
