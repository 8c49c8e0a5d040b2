// A workload for the engine: some thousand uses and commands over several days, the same for the
// same seed. Nothing in it is valid on purpose or wrong on purpose: it asks for what comes.

import { addDays } from "../engine/calendar.js";
import { SESSION_KEY_CHANGE, SESSION_SIGN_OFF } from "../engine/commands.js";
import { CARD_EVENT, LIST_SUBJECT } from "../engine/domain.js";
import {
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
} from "../protocol/mti.js";
import {
  type Answer,
  EngineKit,
  holderToken,
  ITEM,
  itemOf,
  LIMITS,
  pan,
  prefixToken,
  SENDER,
  tokenOf,
  type UseFields,
} from "./engine-kit.js";
import { type Random, seeded } from "./random.js";

const TERMINALS = 24;
const CARDS = 700;
const ITEMS = [ITEM, ITEM + 1, 2_010_001, 99];
const STEP_MS = 65_000;

export class Workload {
  readonly kit = new EngineKit({ ...LIMITS, sessionsMax: 20, usesPerDateMax: 900 });
  /** How often each reason was given. */
  readonly reasons = new Map<string, number>();
  private readonly random: Random;
  private readonly sent: UseFields[] = [];
  private version = 1;

  constructor(seed: number) {
    this.random = seeded(seed);
    const { kit } = this;
    for (const organisationId of [1, 2, 3]) {
      kit.expectDone(kit.organisation({ organisationId, parentId: organisationId - 1 }));
    }
    kit.catalogue(1, this.items());
    for (let i = 0; i < TERMINALS; i++) {
      const fields = { terminalId: SENDER + i, organisationId: 1 + (i % 3) };
      kit.terminal({ ...fields, concentratorId: i > 15 ? SENDER : 0 });
    }
    for (let i = 1; i < CARDS / 2; i++) kit.card(i, CARD_EVENT.LOAD);
    kit.seal();
  }

  /** Does `steps` steps, time going on; `sealed` is called on each boundary between blocks. */
  run(steps: number, sealed: () => void): void {
    for (let step = 0; step < steps; step++) {
      this.step();
      if (this.random.below(8) !== 0) continue;
      this.kit.moveTo(this.kit.timeMs + this.random.below(8 * STEP_MS * 4));
      sealed();
    }
    this.kit.seal();
  }

  private step(): void {
    const kind = this.random.below(100);
    if (kind < 60) this.frame();
    else if (kind < 72) this.cardEvent();
    else if (kind < 84) this.listEntry();
    else if (kind < 93) this.session();
    else if (kind < 98) this.terminal();
    else if (kind < 99) this.organisation();
    else this.kit.catalogue(++this.version, this.items(), this.randomDate());
  }

  private frame(): void {
    const senderId = SENDER + this.random.below(4);
    if (!this.signedOn(senderId) && this.kit.session({ terminalId: senderId }) !== "DONE") return;
    const mtis = [MTI_USE_REQUEST, MTI_USE_REQUEST, MTI_USE_ADVICE];
    const mti = this.random.pick([...mtis, MTI_REVERSAL_REQUEST, MTI_REVERSAL_ADVICE]);
    const count = 1 + this.random.below(6);
    const uses = Array.from({ length: count }, () => ({ ...this.use(mti), mti, senderId }));
    for (const answer of this.kit.frame(uses)) this.count(answer);
  }

  private signedOn(terminalId: number): boolean {
    const { parties, sessions, nowSeconds } = this.kit.state;
    const row = parties.find(terminalId);
    return sessions.find(row, sessions.lastGeneration(row), nowSeconds) !== 0;
  }

  private count(answer: Answer): void {
    this.reasons.set(answer.name, (this.reasons.get(answer.name) ?? 0) + 1);
  }

  /** A use, a repeat of one, or one that differs from it. */
  private use(mti: number): UseFields {
    const { random, sent } = this;
    if (sent.length > 0 && random.below(8) === 0) {
      const again = { ...random.pick(sent.slice(-60)) };
      return random.below(3) === 0 ? { ...again, amountMinor: random.below(900) } : again;
    }
    const { businessDate } = this.kit.state;
    const use = this.kit.fill({
      pan: pan(1 + random.below(CARDS)),
      terminalId: random.below(3) === 0 ? SENDER + random.below(TERMINALS + 2) : SENDER,
      itemCode: random.pick(ITEMS),
      amountMinor: random.pick([0, 200, 500, 90_000, -1, 10 ** 12]),
      medium: 1 + +(random.below(9) === 0),
      businessDate: random.below(6) === 0 ? this.randomDate() : businessDate,
    });
    if (mti === MTI_REVERSAL_REQUEST || mti === MTI_REVERSAL_ADVICE) this.aim(use);
    else sent.push(use);
    return use;
  }

  /** Makes a reversal of `use`: of something sent, or of what may still come. */
  private aim(use: UseFields): void {
    const { random, sent } = this;
    const original = sent.length > 0 ? random.pick(sent.slice(-80)) : use;
    const { terminalId, pan: number, itemCode, amountMinor } = original;
    Object.assign(use, { terminalId, pan: number, itemCode, amountMinor });
    const ahead = random.below(5) === 0;
    use.originalStan = ahead ? use.stan! + 1 + random.below(9) : original.stan!;
    use.originalBusinessDate = original.businessDate!;
  }

  private randomDate(): number {
    return addDays(this.kit.state.businessDate, this.random.below(6) - 3);
  }

  private cardEvent(): void {
    const { random, kit } = this;
    const index = 1 + random.below(CARDS);
    const event = random.below(8);
    if (event !== CARD_EVENT.REPLACE) {
      kit.card(index, event, event === CARD_EVENT.LOAD ? { status: 1 + random.below(8) } : {});
      return;
    }
    const previousToken = tokenOf(pan(index));
    kit.card(CARDS + index, event, { previousToken, holderToken: holderToken(index) });
  }

  private listEntry(): void {
    const { random, kit } = this;
    const entryId = random.below(2) === 0 ? 0 : 1 + random.below(50);
    if (random.below(3) === 0) {
      kit.unlist(entryId);
      return;
    }
    const index = 1 + random.below(CARDS);
    const digits = pan(index).slice(0, 16 + random.below(4));
    const subject = random.pick([
      { subjectKind: LIST_SUBJECT.CARD, subjectToken: tokenOf(pan(index)) },
      { subjectKind: LIST_SUBJECT.HOLDER, subjectToken: holderToken(index) },
      {
        subjectKind: LIST_SUBJECT.NUMBER_RANGE,
        subjectToken: prefixToken(digits),
        prefixDigits: digits.length,
      },
      { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: SENDER + 1 + random.below(9) },
      { subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: 2 + random.below(3) },
    ]);
    kit.list({ ...subject, entryId, cause: 1 + random.below(6), fromTime: 0 });
  }

  private session(): void {
    const { random, kit } = this;
    const terminalId = SENDER + random.below(TERMINALS);
    const action = random.below(6) === 0 ? SESSION_SIGN_OFF : SESSION_KEY_CHANGE;
    const expiresAt = kit.state.nowSeconds + 1 + random.below(50_000);
    const { masterKeyVersion } = this;
    kit.session({ terminalId, action, expiresAt, masterKeyVersion });
  }

  private get masterKeyVersion(): number {
    return this.random.below(4) === 0 ? 2 : 1;
  }

  private terminal(): void {
    const { random, kit } = this;
    const terminalId = SENDER + 1 + random.below(TERMINALS - 1);
    const status = random.below(4) === 0 ? 2 : 1;
    const fields = { terminalId, status, organisationId: 1 + random.below(3) };
    if (random.below(3) > 0) kit.changeTerminal(fields);
    else kit.terminal({ ...fields, masterKeyVersion: this.masterKeyVersion });
  }

  private organisation(): void {
    const organisationId = 2 + this.random.below(2);
    const status = this.random.below(3) === 0 ? "closed" : "open";
    this.kit.organisation({ organisationId, parentId: 1, status });
  }

  private items() {
    return ITEMS.slice(0, 3).map((itemCode, i) =>
      itemOf({
        itemCode,
        domain: i === 2 ? "health" : "transport",
        amountMinorMax: this.random.pick([300, 50_000]),
        endDate: this.random.below(4) === 0 ? 20_250_303 : 0,
      }),
    );
  }
}
