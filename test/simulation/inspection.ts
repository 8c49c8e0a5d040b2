// What a node that has come back must be: the state that the journal gives when it is replayed from
// its first block with every decision made again, and the counters of the auditor's model.

import { BlockReader } from "../../engine/block.js";
import type { Engine } from "../../engine/engine.js";
import { replayBlock } from "../../engine/replay.js";
import { State, type StateLimits } from "../../engine/state.js";
import { PAN_KIND_CARD, writePanBlock } from "../../protocol/pan.js";
import type { KeyVault } from "../../src/vault.js";
import type { History } from "./history.js";
import type { ModelCard } from "./model.js";
import { Broken } from "./trace.js";

export class Inspection {
  private replayed: State;
  private blocks: Uint8Array[] = [];

  constructor(
    private readonly limits: StateLimits,
    private readonly history: History,
    private readonly vault: KeyVault,
  ) {
    this.replayed = new State(limits);
  }

  /** Throws when the engine is not what journal and model say. */
  inspect(engine: Engine): void {
    engine.state.invariants();
    this.checkReplay(engine.state);
    this.checkModel(engine.state);
  }

  private checkReplay(state: State): void {
    const { history } = this;
    const same = this.blocks.every((bytes, i) => history.blocks[i] === bytes);
    if (!same) {
      this.replayed = new State(this.limits);
      this.blocks = [];
    }
    for (const bytes of history.blocks.slice(this.blocks.length)) {
      replayBlock(this.replayed, new BlockReader(bytes), { decideAgain: true });
      this.blocks.push(bytes);
    }
    check(this.replayed.registers.position === state.registers.position, "nothing is lost", "node");
    check(this.replayed.hash() === state.hash(), "the state is that of its journal", "node");
  }

  private checkModel(state: State): void {
    const { model } = this.history;
    check(state.registers.position === model.position, "nothing is lost or invented", "node");
    check(state.cards.count === model.cards.size, "as many cards as were issued", "node");
    for (const [pan, card] of model.cards) this.checkCard(state, pan, card);
    const rows = [...model.entries.values()].reduce((sum, each) => sum + each.length, 0);
    check(state.blacklist.count === rows, "as many entries as were made", "node");
    check(state.parties.terminalCount === model.terminals.size, "as many terminals", "node");
    for (const uses of state.duplicates.dates) {
      const known = model.uses.get(uses.businessDate)?.size ?? 0;
      if (uses.businessDate < model.oldestDate) continue;
      check(uses.table.rowCount - 1 === known, "every use is remembered once", "node");
    }
    this.checkSessions(state.sessions.count, state.nowSeconds);
  }

  /** Some of those counted may have expired since. */
  private checkSessions(count: number, nowSeconds: number): void {
    const { model } = this.history;
    const signedOn = [...model.sessions.keys()].filter((id) => model.signedOn(id));
    const alive = signedOn.filter((id) => {
      return model.sessions.get(id)!.current!.expiresAt > nowSeconds;
    });
    const holds = count >= alive.length && count <= signedOn.length;
    check(holds, "as many sessions as were opened", "node");
  }

  private checkCard(state: State, pan: string, card: ModelCard): void {
    const { cards } = state;
    const block = new Uint8Array(16);
    writePanBlock(block, 0, pan, PAN_KIND_CARD);
    const t = new Int32Array(this.vault.tokenize(block).buffer);
    const row = cards.index.find(t[0]!, t[1]!, t[2]!, t[3]!);
    check(row !== 0, "a card is kept", pan);
    check(cards.status(row) === card.status, "a card's status is kept", pan);
    check(cards.useCount(row) === card.useCount, "each use counts once", pan);
    check(cards.amountMinorTotal(row) === card.amountMinorTotal, "each amount counts once", pan);
    check(cards.lastUseTime(row) === card.lastUseTime, "the last use is kept", pan);
    check(cards.lastUseTerminalId(row) === card.lastUseTerminalId, "its place is kept", pan);
  }
}

function check(holds: boolean, promise: string, key: string): void {
  if (!holds) throw new Broken(promise, key);
}
