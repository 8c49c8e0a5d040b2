// Clients that use cards until their server is gone, and a ledger of all they asked and were
// answered. What they asked and were not answered they ask again of the next server, as terminals
// do.

import {
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  type UseRecord,
} from "../../protocol/index.js";
import {
  StanAllocator,
  type TerminalClient,
  type TerminalOutcome,
} from "../../src/client/index.js";
import { CARD_COUNT, clientOf, GATE_FIRST, ITEM_BUS, panOf, type Scope } from "../server-kit.js";

/** Uses that each client has in flight. */
const LANES = 8;
/** A terminal waits as long for an answer as any server here may be silent. */
const PATIENCE_MS = 300_000;
const BATCH_MAX = 500;

export interface Asked {
  mti: number;
  record: UseRecord;
  /** The answer; null while there is none. */
  outcome: TerminalOutcome | null;
  /** What `Ledger.mark` said when the answer was there. */
  mark: number;
}

/** A use is known by its place, business date and STAN. */
export function keyOf(use: { terminalId: number; businessDate: number; stan: number }): string {
  return `${use.terminalId} ${use.businessDate} ${use.stan}`;
}

export class Ledger {
  readonly asked = new Map<string, Asked>();
  readonly stans: StanAllocator[];
  answers = 0;

  /** `mark` tells how far some other record of the server has come. */
  constructor(
    clients: number,
    private readonly mark: () => number = () => 0,
  ) {
    this.stans = Array.from({ length: clients }, () => new StanAllocator());
  }

  /** Asks, once for each record; the answers are written down. */
  async ask(client: TerminalClient, mti: number, records: UseRecord[]): Promise<void> {
    for (const record of records) {
      const key = keyOf(record);
      const asked = this.asked.get(key) ?? { mti, record, outcome: null, mark: 0 };
      this.asked.set(key, asked);
    }
    const outcomes = await client.batch(mti, records);
    const mark = this.mark();
    for (const [i, record] of records.entries()) {
      const asked = this.asked.get(keyOf(record))!;
      asked.outcome = outcomes[i]!;
      asked.mark = mark;
      this.answers++;
    }
  }

  get answered(): Asked[] {
    return [...this.asked.values()].filter(({ outcome }) => outcome !== null);
  }

  /** What `client` asked and has no answer to, by MTI. */
  pendingOf(terminalId: number): [number, UseRecord[]][] {
    const pending = [...this.asked.values()].filter(
      ({ record, outcome }) => outcome === null && record.terminalId === terminalId,
    );
    return byMti(pending);
  }
}

/** Records by their MTI, no more than go in one frame. */
export function byMti(uses: readonly Asked[]): [number, UseRecord[]][] {
  return [MTI_USE_REQUEST, MTI_USE_ADVICE, MTI_REVERSAL_REQUEST].flatMap((mti) => {
    const records = uses.filter((use) => use.mti === mti).map(({ record }) => record);
    return records.length === 0
      ? []
      : [[mti, records.slice(0, BATCH_MAX)] as [number, UseRecord[]]];
  });
}

export interface LoadOptions {
  url: string;
  /** Resolves when the server is gone: the clients close. */
  ended: Promise<unknown>;
  /** Records of a frame. */
  frameRecords?: number;
}

/** Loads a server until it is gone; resolves when every client has ended. */
export async function load(scope: Scope, ledger: Ledger, options: LoadOptions): Promise<void> {
  const { url, ended, frameRecords = 1 } = options;
  const lanes = ledger.stans.map(async (stans, c) => {
    const client = clientOf(scope, url, GATE_FIRST + c, { stans, deadlineMs: PATIENCE_MS });
    void ended.then(() => client.close());
    try {
      for (const [mti, records] of ledger.pendingOf(GATE_FIRST + c)) {
        await ledger.ask(client, mti, records);
      }
      await Promise.all(
        Array.from({ length: LANES }, (_, i) => lane(client, ledger, c, i, frameRecords)),
      );
    } catch {
      // The server is gone, or was made to fail: what was not answered stays in the ledger.
      client.close();
    }
  });
  await Promise.all(lanes);
}

/** One use after the other: requests, advices and reversals of both, of known and other cards. */
async function lane(
  client: TerminalClient,
  ledger: Ledger,
  c: number,
  first: number,
  frameRecords: number,
): Promise<never> {
  for (let n = first; ; n += LANES) {
    const records = Array.from({ length: frameRecords }, (_, i) => {
      const number = n * frameRecords + i;
      const pan = panOf((c * 11 + number * 7) % (CARD_COUNT + 3));
      return client.prepare({ pan, itemCode: ITEM_BUS, amountMinor: 100 + (number % 1000) });
    });
    await ledger.ask(client, n % 5 === 4 ? MTI_USE_ADVICE : MTI_USE_REQUEST, records);
    if (n % 3 !== 0) continue;
    const undo = records.map((record) => client.prepareReversal(record));
    await ledger.ask(client, MTI_REVERSAL_REQUEST, undo);
  }
}
