// Holds a recovered data folder against what clients were told: every answer is in the journal as
// it was given, the journal has nothing that was not asked and nothing twice, and the cards have
// counted what the journal says.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { BlockReader } from "../../engine/block.js";
import { tokenWords } from "../../engine/card-events.js";
import { isRemembered } from "../../engine/engine.js";
import { readUse, USE_WORD, Use } from "../../engine/use.js";
import {
  isUseMti,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  REASON,
} from "../../protocol/index.js";
import type { Config } from "../../src/config.js";
import { type Node, openNode } from "../../src/node.js";
import {
  CARD_COUNT,
  cardTokenOf,
  clientOf,
  configOf,
  type Flags,
  type Scope,
} from "../server-kit.js";
import { CaseScope } from "./case-scope.js";
import { type Asked, byMti, keyOf, type Ledger } from "./load.js";

/** What must not be found, by kind; each a text that names the use by its key. */
export interface Findings {
  lost: string[];
  invented: string[];
  countedTwice: string[];
  /** A repeat that got another answer than the first. */
  changed: string[];
}

export interface Verdict extends Findings {
  /** Answers that were looked for. */
  answers: number;
  blocksReplayed: number;
  /** Time of the last block, milliseconds since 1970 UTC. */
  timeMs: number;
}

/** A use as the journal has it. */
interface Recorded {
  rrn: number;
  mti: number;
  reason: number;
  key: string;
  originalKey: string;
  token: string;
  amountMinor: number;
}

interface Counted {
  uses: number;
  amountMinor: number;
}

function noFindings(): Findings {
  return { lost: [], invented: [], countedTwice: [], changed: [] };
}

/**
 * Opens the folder, which must be free, and judges it; answers that came after `mark` need not be
 * there. Throws the one line with which the folder is refused.
 */
export async function judge(
  config: Config,
  ledger: Ledger,
  mark = Number.MAX_SAFE_INTEGER,
): Promise<Verdict> {
  const node = await openNode(config);
  try {
    const findings = noFindings();
    const recorded = [...node.journal.from(1)].flatMap((b) => recordedIn(new BlockReader(b)));
    const answered = ledger.answered.filter((use) => use.mark <= mark);
    findAnswers(findings, answered, recorded);
    findStrangers(findings, ledger, recorded);
    findCounters(findings, node, recorded);
    const { timeMs } = node.engine.state.registers;
    const { blocksReplayed } = node;
    return { ...findings, answers: answered.length, blocksReplayed, timeMs };
  } finally {
    await node.close();
  }
}

function recordedIn(block: BlockReader): Recorded[] {
  const use = new Use();
  return [...block.entries()].flatMap((entry) => {
    if (!isUseMti(entry.kind)) return [];
    return Array.from({ length: entry.count }, (_, i) => {
      const word = (entry.offset >> 2) + i * USE_WORD.COUNT;
      readUse(use, entry.kind, block.words, word);
      return {
        rrn: entry.position + i,
        mti: entry.kind,
        reason: block.words[word + USE_WORD.KINDS]! >>> 16,
        key: keyOf(use),
        originalKey: `${use.terminalId} ${use.originalDate} ${use.originalStan}`,
        token: block.words.slice(word, word + 4).join(),
        amountMinor: use.amountMinor,
      };
    });
  });
}

function findAnswers(findings: Findings, answered: Asked[], recorded: Recorded[]): void {
  const byRrn = new Map(recorded.map((use) => [use.rrn, use]));
  for (const { mti, record, outcome } of answered) {
    const use = byRrn.get(outcome!.rrn);
    const key = keyOf(record);
    const held = use?.key === key && use.mti === mti && use.reason === outcome!.reason;
    if (!held) findings.lost.push(key);
  }
}

function findStrangers(findings: Findings, ledger: Ledger, recorded: Recorded[]): void {
  const seen = new Set<string>();
  for (const { key, mti, reason, amountMinor } of recorded) {
    const asked = ledger.asked.get(key);
    if (asked?.mti !== mti || asked.record.amountMinor !== amountMinor) findings.invented.push(key);
    if (!isRemembered(reason)) continue;
    if (seen.has(key)) findings.countedTwice.push(key);
    seen.add(key);
  }
}

/** What was approved, and what was advised: that has happened. */
function counts({ mti, reason }: Recorded): boolean {
  if (mti === MTI_USE_ADVICE) return isRemembered(reason);
  return mti === MTI_USE_REQUEST && reason === REASON.APPROVED;
}

/** What each card must have counted, by its token. */
function expectedCounts(recorded: Recorded[]): Map<string, Counted> {
  const byKey = new Map(recorded.map((use) => [use.key, use]));
  const counted = new Map<string, Counted>();
  const add = ({ token, amountMinor }: Recorded, sign: number) => {
    const card = counted.get(token) ?? { uses: 0, amountMinor: 0 };
    card.uses += sign;
    card.amountMinor += sign * amountMinor;
    counted.set(token, card);
  };
  for (const use of recorded) {
    const undone = use.mti === MTI_REVERSAL_REQUEST && use.reason === REASON.APPROVED;
    if (undone) add(byKey.get(use.originalKey)!, -1);
    else if (counts(use)) add(use, 1);
  }
  return counted;
}

function findCounters(findings: Findings, node: Node, recorded: Recorded[]): void {
  const expected = expectedCounts(recorded);
  const { cards } = node.engine.state;
  for (let i = 0; i < CARD_COUNT; i++) {
    const words = tokenWords(cardTokenOf(node.vault, i));
    const row = cards.index.find(words[0]!, words[1]!, words[2]!, words[3]!);
    const card = expected.get(words.join()) ?? { uses: 0, amountMinor: 0 };
    const uses = cards.useCount(row) - card.uses;
    const amountMinor = cards.amountMinorTotal(row) - card.amountMinor;
    if (uses === 0 && amountMinor === 0) continue;
    const text = `card ${i}: ${uses} uses, ${amountMinor} fen beside the journal`;
    (uses > 0 || amountMinor > 0 ? findings.countedTwice : findings.lost).push(text);
  }
}

/** Judges a copy: the folder itself stays as it was left. Its process must be gone. */
export async function judgeCopy(
  scope: Scope,
  folder: string,
  flags: Flags,
  ledger: Ledger,
): Promise<Verdict> {
  const copy = mkdtempSync(join(tmpdir(), "tongka-judged-"));
  scope.teardown(() => rmSync(copy, { recursive: true, force: true }));
  copyFolder(folder, copy);
  try {
    return await judge(configOf(copy, flags), ledger);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Copies a data folder, all but its lock. */
export function copyFolder(from: string, to: string): void {
  cpSync(from, to, {
    recursive: true,
    filter: (path) => !basename(path).startsWith("tongka.lock"),
  });
}

/**
 * Asks up to `count` uses answered before `mark` again: each must get its first answer, field by
 * field. Returns how many were asked; those that got another one are in `changed`.
 */
export async function repeats(
  url: string,
  ledger: Ledger,
  count: number,
  mark = Number.MAX_SAFE_INTEGER,
): Promise<{ asked: number; changed: string[] }> {
  const remembered = ledger.answered.filter(
    (use) => use.mark <= mark && isRemembered(use.outcome!.reason),
  );
  const step = Math.max(1, Math.floor(remembered.length / count));
  const chosen = remembered.filter((_, i) => (remembered.length - 1 - i) % step === 0);
  const scope = new CaseScope();
  const changed: string[] = [];
  try {
    for (const terminalId of new Set(chosen.map(({ record }) => record.terminalId))) {
      const client = clientOf(scope, url, terminalId);
      const own = chosen.filter(({ record }) => record.terminalId === terminalId);
      for (const [mti, records] of byMti(own)) {
        const outcomes = await client.batch(mti, records);
        for (const [i, record] of records.entries()) {
          const first = ledger.asked.get(keyOf(record))!.outcome;
          if (JSON.stringify(outcomes[i]) !== JSON.stringify(first)) changed.push(keyOf(record));
        }
      }
    }
  } finally {
    await scope.end();
  }
  return { asked: chosen.length, changed };
}
