// `tongka journal`: the journal of a data folder, read from disk, with or without a server running.

import type { BlockReader } from "../../engine/block.js";
import { COMMAND } from "../../engine/commands.js";
import { mtiText } from "../../protocol/mti.js";
import { CliError, usageError } from "./cli-error.js";
import type { CommandSpec, Context, GroupSpec, Options } from "./command.js";
import { wholeNumber } from "./command.js";
import { EXIT } from "./exit-codes.js";
import { type Progress, startProgress } from "./progress.js";
import { FOLDER_OPTIONS, settingsOf } from "./settings.js";

const COUNT_MAX = 10_000;
const COUNT = 20;
/** Kinds of entry from here on are message types, below are commands. */
const MTI_MIN = 0x0100;
const HASH_SHOWN = 16;

const VERIFY: CommandSpec = {
  name: "verify",
  summary: "check the chain of all blocks: hashes, positions and times",
  details:
    "Names the first block that does not hold and ends with exit code 5. To show a rewritten " +
    "chain as well, compare the hash of the last block with one that was kept elsewhere.",
  options: FOLDER_OPTIONS,
  examples: ["tongka journal verify", "tongka journal verify --data /var/lib/tongka --json"],
  run: verify,
};

const SHOW: CommandSpec = {
  name: "show",
  arguments: "[position]",
  summary: "show blocks from the one that holds a position on",
  details: "With --json every block is a line with its entries.",
  options: [
    {
      flags: "--count <number>",
      text: `most blocks, up to ${COUNT_MAX}`,
      parse: wholeNumber(1, COUNT_MAX),
      fallback: COUNT,
    },
    ...FOLDER_OPTIONS,
  ],
  examples: ["tongka journal show", "tongka journal show 18034 --count 1 --json"],
  run: show,
};

export const JOURNAL: GroupSpec = {
  name: "journal",
  summary: "verify the journal and look at its blocks",
  commands: [VERIFY, SHOW],
};

async function verify(context: Context, _args: readonly string[], options: Options) {
  const { output } = context;
  const { data } = await settingsOf(context, options);
  const { verifyJournal } = await import("../journal-files.js");
  let progress: Progress | null = null;
  const result = await verifyJournal(data, ({ positionsDone, positionsTotal }) => {
    progress ??= startProgress("verifying", positionsTotal, output);
    progress.update(positionsDone);
  });
  (progress as Progress | null)?.stop();
  if (context.json) output.json(result);
  else {
    output.fields([
      ["blocks", result.blocks],
      ["last position", result.position],
      ["verdict", result.badPosition === null ? "whole" : "damaged"],
      ["behind it", unfinishedText(result.unfinishedSize)],
    ]);
  }
  if (result.badPosition === null) return undefined;
  throw new CliError(
    `journal of ${data}: the block at position ${result.badPosition}: ${result.problem}; ` +
      "keep the folder as evidence and restore from a backup",
    EXIT.DAMAGED,
  );
}

function unfinishedText(size: number): string {
  if (size === 0) return "nothing";
  return `${size} bytes of a block that was not finished or is damaged; a start drops them`;
}

async function show(context: Context, args: readonly string[], options: Options) {
  const { output } = context;
  const { data } = await settingsOf(context, options);
  const from = args[0] === undefined ? 1 : positionOf(args[0]);
  const { readBlocks } = await import("../journal-files.js");
  const blocks = await readBlocks(data, { from, count: options.count as number });
  if (context.json) {
    for (const block of blocks) output.jsonLine(describe(block));
    return undefined;
  }
  output.table(
    ["position", "events", "time", "entries", "catalogue", "size", "hash"],
    blocks.map((block) => [
      block.firstPosition,
      block.positionCount,
      new Date(block.timeMs).toISOString(),
      summaryOf(block),
      block.catalogueVersion,
      block.bytes.length,
      block.hash.slice(0, HASH_SHOWN),
    ]),
  );
  return undefined;
}

function describe(block: BlockReader) {
  return {
    position: block.firstPosition,
    positionCount: block.positionCount,
    time: new Date(block.timeMs).toISOString(),
    catalogueVersion: block.catalogueVersion,
    blacklistPosition: block.blacklistPosition,
    size: block.bytes.length,
    hash: block.hash,
    previousHash: block.previousHash,
    entries: [...block.entries()].map((entry) => ({
      position: entry.position,
      kind: kindText(entry.kind),
      count: entry.count,
      senderId: entry.senderId,
      keyGeneration: entry.keyGeneration,
      sequence: entry.sequence,
    })),
  };
}

/** "0100 ×12, card-event ×3" */
function summaryOf(block: BlockReader): string {
  const counts = new Map<string, number>();
  for (const { kind, count } of block.entries()) {
    const text = kindText(kind);
    counts.set(text, (counts.get(text) ?? 0) + Math.max(1, count));
  }
  return [...counts].map(([text, count]) => `${text} ×${count}`).join(", ");
}

function kindText(kind: number): string {
  if (kind >= MTI_MIN) return mtiText(kind);
  const name = Object.entries(COMMAND).find(([, number]) => number === kind)?.[0];
  return name?.toLowerCase().replaceAll("_", "-") ?? `kind ${kind}`;
}

function positionOf(argument: string): number {
  if (/^[1-9][0-9]{0,15}$/.test(argument)) return Number(argument);
  throw usageError("[position] must be a whole number from 1");
}
