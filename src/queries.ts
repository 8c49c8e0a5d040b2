// What the control plane asks of the main thread: commands go to the core, inquiries read the
// state. Long lists are read a part at a time, so that no tap waits for an administrator.

import type { ListRow } from "../engine/blacklist.js";
import { idSubject } from "../engine/blacklist.js";
import { tokenWords } from "../engine/card-events.js";
import type { Organisation } from "../engine/commands.js";
import { LIST_SUBJECT, PARTY_STATUS } from "../engine/domain.js";
import type {
  CardView,
  CatalogueView,
  ControlRequest,
  ControlResponse,
  ControlResult,
  ListEntryView,
  RequestOf,
  StatusView,
  TerminalView,
} from "./control/messages.js";
import { Decisions } from "./decisions.js";
import type { Node } from "./node.js";

const ROWS_PER_TURN = 65_536;

export class Queries {
  private readonly decisions: Decisions;
  private readonly startedMs = Date.now();
  /** Told by the server when it drains. */
  draining = false;

  constructor(private readonly node: Node) {
    const { engine, journal, core } = node;
    this.decisions = new Decisions(engine.state, journal, () => core.committedPosition);
  }

  async handle(request: ControlRequest): Promise<ControlResponse> {
    return { ok: true, result: await this.answer(request) };
  }

  private answer(request: ControlRequest): ControlResult | Promise<ControlResult> {
    switch (request.op) {
      case "execute":
        return this.node.core.execute(request);
      case "card":
        return this.card(request.token);
      case "blacklist":
        return this.blacklist(request);
      case "terminal":
        return this.terminal(request.terminalId);
      case "terminals":
        return this.terminals(request.after, request.count);
      case "organisation":
        return this.organisation(request.organisationId);
      case "organisations":
        return this.organisations(request.after, request.count);
      case "catalogue":
        return this.catalogue(request.version);
      case "decision":
        if ("rrn" in request) return this.decisions.byRrn(request.rrn);
        return this.decisions.byStan(request.terminalId, request.businessDate, request.stan);
      case "status":
        return this.status();
      case "checkpoint":
        return this.checkpoint();
    }
  }

  private card(token: Uint8Array): CardView | null {
    const { cards, holders } = this.node.engine.state;
    const row = cards.index.findAt(tokenWords(token), 0);
    if (row === 0) return null;
    return {
      status: cards.status(row),
      medium: cards.medium(row),
      regionCode: cards.regionCode(row),
      expiryDay: cards.expiryDay(row),
      listed: cards.listed(row) || holders.listed(cards.holderRow(row)),
      useCount: cards.useCount(row),
      amountMinorTotal: cards.amountMinorTotal(row),
      lastUseTime: cards.lastUseTime(row),
      lastUseTerminalId: cards.lastUseTerminalId(row),
    };
  }

  private async blacklist(request: RequestOf<"blacklist">): Promise<ListEntryView[]> {
    const { blacklist } = this.node.engine.state;
    const rows: ListRow[] = [];
    const keep = (row: number) => {
      const entry = blacklist.read(row);
      if (entry.entryId <= request.after) return;
      if (request.entryId !== undefined && entry.entryId !== request.entryId) return;
      if (request.subjectKind !== undefined && entry.subjectKind !== request.subjectKind) return;
      if (request.subjectId !== undefined && entry.subjectId !== request.subjectId) return;
      rows.push(entry);
      if (rows.length > request.count * 4 + ROWS_PER_TURN) cut(rows, request.count);
    };
    if (request.subjectToken !== undefined) {
      this.chain(blacklist.find(tokenWords(request.subjectToken)), keep);
    } else if (request.subjectKind !== undefined && request.subjectId !== undefined) {
      this.chain(blacklist.find(idSubject(request.subjectKind, request.subjectId | 0)), keep);
    } else {
      await inTurns(blacklist.table.rowCount, (row) => {
        if (blacklist.inUse(row)) keep(row);
      });
    }
    cut(rows, request.count);
    return rows.map((entry) => this.listView(entry));
  }

  private chain(first: number, keep: (row: number) => void): void {
    const { blacklist } = this.node.engine.state;
    for (let row = first; row !== 0; row = blacklist.nextOfSubject(row)) keep(row);
  }

  private listView(entry: ListRow): ListEntryView {
    const { row, ...view } = entry;
    const byId = entry.subjectKind >= LIST_SUBJECT.TERMINAL;
    const subject = this.node.engine.state.blacklist.subjectOf(row);
    return { ...view, subjectToken: byId ? null : new Uint8Array(subject.slice().buffer) };
  }

  private terminal(terminalId: number): TerminalView | null {
    const row = this.node.engine.state.parties.find(terminalId);
    return row === 0 ? null : this.terminalView(row);
  }

  private async terminals(after: number, count: number): Promise<TerminalView[]> {
    const { parties } = this.node.engine.state;
    const found: { id: number; row: number }[] = [];
    await inTurns(parties.table.rowCount, (row) => {
      const id = parties.terminalId(row);
      if (id > after) found.push({ id, row });
    });
    found.sort((a, b) => a.id - b.id);
    return found.slice(0, count).map(({ row }) => this.terminalView(row));
  }

  private terminalView(row: number): TerminalView {
    const { parties, sessions, nowSeconds } = this.node.engine.state;
    const masterKeyVersion = parties.masterKeyVersion(row);
    const key = parties.masterKey(row, masterKeyVersion);
    const signedOn = sessions.signedOn(row) && sessions.expiresAt(row) > nowSeconds;
    return {
      terminalId: parties.terminalId(row),
      organisationId: parties.organisation(row).organisationId,
      regionCode: parties.regionCode(row),
      domains: parties.domains(row),
      concentratorId: parties.concentratorId(row),
      status: parties.open(row) ? PARTY_STATUS.OPEN : PARTY_STATUS.CLOSED,
      macAlgorithm: parties.macAlgorithm(row),
      masterKeyVersion,
      checkValue: key === null ? "" : Buffer.from(key.checkValue).toString("hex"),
      signedOn,
      keyGeneration: sessions.lastGeneration(row),
      expiresAt: signedOn ? sessions.expiresAt(row) : 0,
    };
  }

  private organisation(organisationId: number): Organisation | null {
    const bytes = this.node.engine.state.documents.get(`organisation/${organisationId}`);
    if (bytes === undefined) return null;
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as Organisation;
  }

  private organisations(after: number, count: number): Organisation[] {
    const ids = [...this.node.engine.state.parties.organisations.keys()];
    const page = ids.filter((id) => id > after).sort((a, b) => a - b);
    return page.slice(0, count).map((id) => this.organisation(id)!);
  }

  private catalogue(version: number | undefined): CatalogueView {
    const { catalogue } = this.node.engine.state;
    return {
      inForce: catalogue.version,
      document: catalogue.document(version ?? catalogue.version),
      versions: catalogue.versions().map((number) => {
        const { effectiveDate, items } = catalogue.document(number)!;
        return { version: number, effectiveDate, itemCount: items.length };
      }),
    };
  }

  private status(): StatusView {
    const { engine, core, checkpointer } = this.node;
    const { state } = engine;
    return {
      position: state.registers.position,
      committedPosition: core.committedPosition,
      checkpointPosition: checkpointer.position,
      cards: state.cards.count,
      holders: state.holders.count,
      terminals: state.parties.terminalCount,
      organisations: state.parties.organisations.size,
      sessions: state.sessions.count,
      blacklist: state.blacklist.count,
      businessDate: state.businessDate,
      catalogueVersion: state.catalogue.version,
      uptimeSeconds: Math.floor((Date.now() - this.startedMs) / 1000),
      ready: !this.draining,
      draining: this.draining,
    };
  }

  private async checkpoint() {
    await this.node.checkpointer.run();
    return { checkpointPosition: this.node.checkpointer.position };
  }
}

/** Calls `visit` for rows 1 to rowCount-1, giving the event loop a turn now and then. */
async function inTurns(rowCount: number, visit: (row: number) => void): Promise<void> {
  for (let row = 1; row < rowCount; row++) {
    visit(row);
    if (row % ROWS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Keeps the `count` rows with the lowest entryId, in order. */
function cut(rows: ListRow[], count: number): void {
  rows.sort((a, b) => a.entryId - b.entryId);
  rows.length = Math.min(rows.length, count);
}
