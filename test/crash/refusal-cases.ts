// Folders that cannot be trusted or read: the server refuses them with one line that says why and
// what to do, changes nothing, and serves when they are as they were.

import { createHash } from "node:crypto";
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readBlocks } from "../../src/journal-files.js";
import { ROOT_KEY_FILE } from "../../src/root-key.js";
import { blockPlace, overwriteBlock } from "../journal-damage.js";
import { type Context, type CrashCase, expect } from "./case.js";
import { isEnded, Life } from "./life.js";

/** engine/block.ts */
const VERSION_OFFSET = 4;
const HASH_OFFSET = 80;
const HASH_END = 112;

interface Damage {
  what: string;
  line: RegExp;
  /** Does it; returns what undoes it. */
  make(life: Life): Promise<() => unknown> | (() => unknown);
}

const KEY_DAMAGES: readonly Damage[] = [
  {
    what: "root key missing",
    line: /^tongka: root key \S+: no such file: run tongka init, or restore it from its backup$/,
    make: ({ folder }) => {
      const path = join(folder, ROOT_KEY_FILE);
      renameSync(path, `${path}.away`);
      return () => renameSync(`${path}.away`, path);
    },
  },
  {
    what: "another root key",
    line: /^tongka: the root key is not the one this data folder was made with: use that one$/,
    make: (life) => withKey(life, "5a".repeat(32)),
  },
  {
    what: "half a root key",
    line: /^tongka: root key \S+: must be 64 hex digits: restore it from its backup$/,
    make: (life) => withKey(life, "5a".repeat(16)),
  },
  {
    what: "a root key that others may read",
    line: /^tongka: root key \S+: others may read it \(mode 644\): chmod 600 \S+$/,
    make: ({ folder }) => {
      const path = join(folder, ROOT_KEY_FILE);
      chmodSync(path, 0o644);
      return () => chmodSync(path, 0o600);
    },
  },
];

const NEWER: Damage = {
  what: "a journal from a newer version",
  line: /^tongka: journal block at position \d+: written by a newer version; start [^|]*$/,
  make: async ({ folder }) => {
    const blocks = await readBlocks(folder, { from: 1, count: 1_000_000 });
    const { firstPosition, bytes } = blocks.at(-1)!;
    const newer = Uint8Array.from(bytes);
    newer[VERSION_OFFSET]! += 1;
    const hash = createHash("sha256").update(newer.subarray(0, HASH_OFFSET));
    newer.set(hash.update(newer.subarray(HASH_END)).digest(), HASH_OFFSET);
    const place = blockPlace(folder, firstPosition);
    overwriteBlock(place, newer);
    return () => overwriteBlock(place, bytes);
  },
};

const JOURNAL_DAMAGES: readonly Damage[] = [
  NEWER,
  {
    what: "a journal older than its checkpoint",
    line: /^tongka: the journal does not hold the block of the checkpoint [^|]*: restore it$/,
    make: ({ folder }) => {
      const path = join(folder, "journal");
      renameSync(path, `${path}.away`);
      return () => {
        rmSync(path, { recursive: true, force: true });
        renameSync(`${path}.away`, path);
      };
    },
  },
];

export const ROOT_KEY_CASE: CrashCase = {
  name: "root-key",
  text: "root key missing, wrong, cut short, readable by others",
  run: (context) => refuse(context, "root key", KEY_DAMAGES),
};

export const JOURNAL_CASE: CrashCase = {
  name: "journal",
  text: "a journal from a newer version, and one older than its checkpoint",
  run: (context) => refuse(context, "journal", JOURNAL_DAMAGES),
};

/** One folder, used and killed, then damaged in each way and mended again. */
async function refuse(context: Context, name: string, damages: readonly Damage[]): Promise<void> {
  const life = new Life(context, name, { flags: { "journal.checkpointSeconds": 86_400 } });
  const server = await life.start();
  const gone = life.load(server);
  await life.grow(100);
  await server.end("SIGKILL");
  await gone;
  for (const [i, { what, line, make }] of damages.entries()) {
    const undo = await make(life);
    const ended = await life.tryStart();
    expect(context, { what, line, end: 1 }, isEnded(ended) ? ended : "serves");
    if (!isEnded(ended)) await ended.end("SIGKILL");
    await undo();
    context.progress(i + 1, damages.length);
  }
  await life.judge();
  await life.restart();
  life.count();
}

function withKey({ folder }: Life, text: string): () => void {
  const path = join(folder, ROOT_KEY_FILE);
  const key = readFileSync(path);
  writeFileSync(path, text);
  return () => writeFileSync(path, key);
}
