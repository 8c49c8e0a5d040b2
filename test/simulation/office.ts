// The office: gives the core its commands, waits for what became of them, and gives those again of
// which it was told nothing. First all that a node needs to serve, then changes without end.

import type { Life } from "./life.js";
import { dateOf } from "./model.js";
import {
  cardOrder,
  catalogueOrder,
  entryOrder,
  holderOf,
  itemsOf,
  mediumOf,
  type Order,
  organisationOrder,
  panOf,
  removeOrder,
  terminalOrder,
} from "./orders.js";
import { Broken } from "./trace.js";
import type { World } from "./world.js";

const OUTCOMES = (
  "DONE UNCHANGED COMMAND_INVALID CARD_UNKNOWN CARD_EXISTS TRANSITION_NOT_ALLOWED " +
  "HOLDER_UNKNOWN HOLDER_WITHOUT_CARD PREVIOUS_CARD_UNKNOWN HOLDER_DIFFERS TABLE_FULL " +
  "ENTRY_UNKNOWN ENTRY_EXISTS ORGANISATION_UNKNOWN TERMINAL_UNKNOWN MASTER_KEY_MISSING " +
  "CATALOGUE_VERSION_EXISTS CATALOGUE_INVALID KEY_GENERATION_WRONG CONCENTRATOR_UNKNOWN"
).split(" ");
const BATCHES_OPEN_MAX = 3;
const CARDS_PER_BATCH = 150;
const ALL_DOMAINS = 0b11111111110;
const TRANSPORT_AND_HEALTH = 0b1100;
/** Entries with a number of their own begin here, far above any position. */
const ENTRY_ID_FIRST = 1_000_000_000;

/** A terminal as it was registered last. */
export interface Registration {
  terminalId: number;
  concentratorId: number;
  macAlgorithm: number;
  /** By version, hex. */
  keys: Map<number, string>;
  keyVersion: number;
  open: boolean;
}

type CardIntent = Extract<Order["intent"], { kind: "card" }>;

export class Office {
  /** Batches not yet answered, oldest first; of each, whether the node that lives has it. */
  private readonly batches: { orders: Order[]; given: boolean; needed: boolean }[] = [];
  private cardCount: number;
  private catalogueVersion = 1;
  private nextEntryId = ENTRY_ID_FIRST;
  private readonly entryIds: number[] = [];
  /** Commands answered. */
  answered = 0;

  constructor(
    private readonly world: World,
    readonly registrations: Registration[],
  ) {
    this.cardCount = world.plan.cards;
    this.open();
  }

  get idle(): boolean {
    return this.batches.length === 0;
  }

  /** Gives the node what it has not been given. */
  give(life: Life): void {
    const open = this.batches.filter(({ given }) => given).length;
    const next = this.batches.filter(({ given }) => !given).slice(0, BATCHES_OPEN_MAX - open);
    for (const batch of next) {
      batch.given = true;
      this.execute(life, batch);
    }
  }

  /** The node is gone: what it has not answered is given again, or given up. */
  crashed(): void {
    for (const batch of [...this.batches]) {
      const givenUp = batch.given && !batch.needed && this.world.chance.hit(0.4);
      if (givenUp) this.batches.splice(this.batches.indexOf(batch), 1);
      batch.given = false;
    }
  }

  /** Thinks of something new. */
  change(): void {
    const { chance, plan } = this.world;
    const documents = [this.catalogue, this.catalogue, this.organisation];
    const rows = [this.cardEvents, this.cardEvents, this.list, this.delist, this.party];
    const maker = chance.pick(chance.hit(plan.documents) ? documents : rows);
    this.batches.push({ orders: maker.call(this), given: false, needed: false });
  }

  private open(): void {
    const { vault, plan } = this.world;
    const today = Math.floor((plan.startMs + 480 * 60_000) / 86_400_000);
    this.queue([organisationOrder(1, ALL_DOMAINS, true)]);
    this.queue([organisationOrder(2, TRANSPORT_AND_HEALTH, true)]);
    this.queue([catalogueOrder(1, 20_200_101, itemsOf(today, 50_000))]);
    this.queue(this.registrations.map((registration) => this.register(registration)));
    for (let from = 0; from < plan.cards; from += CARDS_PER_BATCH) {
      const count = Math.min(CARDS_PER_BATCH, plan.cards - from);
      const load = (_: unknown, i: number) => cardOrder(vault, this.loaded(from + i, today));
      this.queue(Array.from({ length: count }, load));
    }
  }

  private queue(orders: Order[]): void {
    this.batches.push({ orders, given: false, needed: true });
  }

  private loaded(index: number, today: number): CardIntent {
    return {
      kind: "card",
      event: 0,
      pan: panOf(index),
      holder: holderOf(index >> 1),
      previous: "",
      regionCode: 460_100,
      medium: mediumOf(index),
      status: index % 13 === 12 ? 1 + (index % 8) : 2,
      expiryDay: index % 17 === 16 ? today : 60_000,
    };
  }

  private register(registration: Registration): Order {
    const { terminalId } = registration;
    return terminalOrder(this.world.vault, {
      ...registration,
      kind: "terminal",
      organisationId: 1 + (terminalId % 2),
      regionCode: terminalId % 3 === 0 ? 460_203 : 460_105,
      domains: terminalId % 5 === 0 ? 0b1000 : ALL_DOMAINS,
      keyHex: registration.keys.get(registration.keyVersion)!,
    });
  }

  private execute(life: Life, batch: { orders: Order[] }): void {
    const { history } = this.world.auditor;
    const expected: { outcome: string; position: number }[] = [];
    for (const { bytes, intent } of batch.orders) {
      history.noteIntent(bytes, intent);
      history.enqueue(bytes, (outcome, position) => expected.push({ outcome, position }));
    }
    const bytes = Buffer.concat(batch.orders.map((order) => order.bytes));
    const { kind } = batch.orders[0]!;
    const { trace } = this.world;
    for (const { intent } of batch.orders) {
      this.world.count(intent.kind === "card" ? `card event ${intent.event}` : intent.kind);
    }
    trace.note("command", `${batch.orders.length} of kind ${kind} given`);
    void life
      .execute({ kind, count: batch.orders.length, bytes })
      .then(({ outcomes, positions }) => {
        if (!life.host.alive) throw new Broken("a command is answered by the dead", "command");
        history.settleRefused(batch.orders.length - expected.length);
        expected.forEach(({ outcome, position }, i) => {
          const got = OUTCOMES[outcomes[i]!]!;
          trace.note("command", `${got} at ${positions[i]}`);
          if (got !== outcome || positions[i] !== position) {
            const text = `a command is ${got} at ${positions[i]}, and must be ${outcome}`;
            throw new Broken(`${text} at ${position}`, "command");
          }
          this.world.auditor.seen(position);
        });
        this.answered += expected.length;
        this.batches.splice(this.batches.indexOf(batch as (typeof this.batches)[number]), 1);
        if (!this.world.dead) this.give(life);
      });
  }

  private cardEvents(): Order[] {
    const { chance, vault } = this.world;
    return Array.from({ length: chance.between(1, 4) }, () => {
      const event = chance.pick([1, 2, 3, 4, 4, 5, 5, 6, 7, 3, 5]);
      if (event === 1 || event === 6) return cardOrder(vault, this.newCard(event));
      const index = chance.below(Math.min(this.cardCount, chance.pick([12, 5000])));
      const none = { holder: "", previous: "", regionCode: 0, medium: 0, status: 0, expiryDay: 0 };
      return cardOrder(vault, { kind: "card", event, pan: panOf(index), ...none });
    });
  }

  private newCard(event: number): CardIntent {
    const { chance } = this.world;
    const previous = chance.below(this.cardCount);
    const known = chance.hit(0.1);
    const index = known ? previous : this.cardCount++;
    const holder = event === 6 || known ? previous >> 1 : chance.below(this.cardCount);
    return {
      kind: "card",
      event,
      pan: panOf(index),
      holder: holderOf(holder),
      previous: event === 6 ? panOf(previous) : "",
      regionCode: 460_200,
      medium: event === 6 ? mediumOf(previous) : mediumOf(index),
      status: 0,
      expiryDay: 61_000,
    };
  }

  private list(): Order[] {
    const { chance, vault, clock } = this.world;
    const subjectKind = chance.pick([1, 1, 1, 2, 2, 3, 4, 5]);
    const card = chance.below(Math.min(this.cardCount, 20));
    const terminal = chance.pick(this.registrations).terminalId;
    const digits = panOf(card).slice(0, chance.pick([4, 13, 15]));
    const subjects = ["", panOf(card), holderOf(card >> 1), digits, `${terminal}`, "2"];
    const scopeKind = chance.pick([0, 0, 1, 2]);
    const now = Math.floor(clock.nowMs() / 1000);
    const fromTime = now + chance.pick([-100, -100, 1, 60]);
    const own = subjectKind === 3 || chance.hit(0.5);
    const entry = {
      kind: "list-add" as const,
      entryId: own ? this.nextEntryId++ : 0,
      subjectKind,
      subject: subjects[subjectKind]!,
      scopeKind,
      scopeValue: scopeKind === 0 ? 0 : chance.between(1, 4),
      cause: chance.between(1, 6),
      fromTime,
      untilTime: chance.pick([0, fromTime + 2, fromTime + 4000]),
      organisationId: 1,
    };
    if (own) this.entryIds.push(entry.entryId);
    const second = { ...entry, subject: panOf(chance.below(9)).slice(0, 14) };
    const entries = subjectKind === 3 ? [entry, second] : [entry];
    return entries.map((each) => entryOrder(vault, each));
  }

  private delist(): Order[] {
    const { chance } = this.world;
    const numbered = [...this.world.auditor.history.model.entries.keys()];
    const known = [...this.entryIds, ...numbered.slice(-30)];
    return [removeOrder(known.length === 0 ? 7 : chance.pick(known))];
  }

  /** A terminal or an organisation closes, opens, gets a key or another concentrator. */
  private party(): Order[] {
    const { chance } = this.world;
    if (chance.hit(0.2)) return this.organisation();
    const registration = chance.pick(this.registrations);
    if (chance.hit(0.4)) registration.open = chance.hit(0.7);
    else if (chance.hit(0.3)) {
      const size = [0, 16, 16, 32, 32][registration.macAlgorithm]!;
      const version = registration.keyVersion + 1;
      registration.keys.set(version, Buffer.from(chance.bytes(size)).toString("hex"));
      registration.keyVersion = version;
    }
    return [this.register(registration)];
  }

  private organisation(): Order[] {
    return [organisationOrder(2, TRANSPORT_AND_HEALTH, this.world.chance.hit(0.6))];
  }

  private catalogue(): Order[] {
    const { chance, clock } = this.world;
    const today = Math.floor((clock.nowMs() + 480 * 60_000) / 86_400_000);
    const version = chance.hit(0.1) ? this.catalogueVersion : ++this.catalogueVersion;
    const from = dateOf(today + chance.between(-1, 1));
    // Now and then of an organisation that is not there.
    const organisationId = version % 8 === 7 ? 99 : 1;
    const items = itemsOf(today, chance.pick([500, 50_000]), organisationId);
    return [catalogueOrder(version, from, items)];
  }
}
