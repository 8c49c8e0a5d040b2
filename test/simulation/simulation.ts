// One run: a node, its terminals and its office from one seed, until the time of the plan is over;
// then faults end, what is open must be answered, and the node stops and starts a last time.

import { FRAME_MAC_SIZE } from "../../protocol/frame.js";
import type { Reply } from "../../src/frame-slot.js";
import { Gate } from "./gate.js";
import type { Life } from "./life.js";
import { SimulatedNode } from "./node.js";
import { Office, type Registration } from "./office.js";
import { Taps } from "./taps.js";
import { Broken } from "./trace.js";
import { framesIn } from "./wire.js";
import { World } from "./world.js";

const DAY_MS = 86_400_000;
/** A terminal that is not registered. */
const STRANGER_ID = 99;
/** False time after which a run without faults must have come to an end, milliseconds. */
const HEALED_MS_MAX = 60_000;
/** No byte of a message. */
const NOWHERE = -1;

export interface RunResult {
  seed: number;
  /** "" when every promise held. */
  broken: string;
  step: number;
  trace: string[];
  /** Hash of all that happened, hex. */
  digest: string;
  uses: number;
  answers: number;
  repeats: number;
  refusals: number;
  commands: number;
  crashes: number;
  checkpoints: number;
  blocks: number;
  /** How often what was sent, asked or struck, by its name. */
  counted: Record<string, number>;
}

/** Runs a seed to its end. Never throws for what the node does: that is in the result. */
export async function simulate(
  seed: number,
  print: ((line: string) => void) | null = null,
): Promise<RunResult> {
  const simulation = new Simulation(seed, print);
  let stray: unknown = null;
  const caught = (error: unknown) => {
    stray ??= error;
  };
  process.on("unhandledRejection", caught);
  let failure: unknown = null;
  try {
    await simulation.run(() => stray);
  } catch (error) {
    failure = error;
  } finally {
    process.off("unhandledRejection", caught);
  }
  return simulation.result(seed, failure);
}

class Simulation {
  private readonly world: World;
  private readonly node: SimulatedNode;
  private readonly office: Office;
  private readonly gates: Gate[] = [];
  private readonly replies = new Map<Gate, Reply>();

  constructor(seed: number, print: ((line: string) => void) | null) {
    this.world = new World(seed, print);
    this.office = new Office(this.world, this.makeGates());
    this.node = new SimulatedNode(
      this.world,
      (life) => this.restarted(life),
      () => this.replies.clear(),
    );
  }

  async run(stray: () => unknown): Promise<void> {
    const { world } = this;
    const step = async (): Promise<boolean> => {
      const more = await world.timeline.step();
      if (stray() !== null) throw stray();
      return more;
    };
    this.node.start();
    this.plan();
    while (world.timeline.nowUs < world.plan.lengthMs * 1000) await step();
    world.healed = true;
    for (const file of [world.journal, world.tablesFile]) file.fullUntilUs = 0;
    world.trace.note("run", "faults end");
    this.node.crash(false);
    await this.settle(step);
    await this.stop(step);
  }

  result(seed: number, failure: unknown): RunResult {
    const { auditor, trace, timeline } = this.world;
    const key = failure instanceof Broken ? failure.key : "node";
    return {
      seed,
      broken: failure === null ? "" : described(failure),
      step: timeline.steps,
      trace: failure === null ? [] : trace.minimal(key),
      digest: trace.digest(),
      uses: auditor.history.model.position,
      answers: auditor.answers,
      repeats: auditor.repeats,
      refusals: auditor.refusals,
      commands: this.office.answered,
      crashes: this.node.crashes,
      checkpoints: this.node.checkpoints,
      blocks: auditor.history.blocks.length,
      counted: this.world.counted,
    };
  }

  private makeGates(): Registration[] {
    const { chance, plan } = this.world;
    const taps = new Taps(this.world);
    const count = plan.gates + plan.concentrators;
    const registrations = Array.from({ length: count }, (_, i): Registration => {
      const macAlgorithm = chance.hit(0.7) ? 1 : chance.between(1, 4);
      const size = macAlgorithm <= 2 ? 16 : 32;
      const key = Buffer.from(chance.bytes(size)).toString("hex");
      const behind = i >= plan.concentrators && chance.hit(0.6);
      return {
        terminalId: i + 1,
        concentratorId: behind ? 1 + (i % plan.concentrators) : 0,
        macAlgorithm,
        keys: new Map([[1, key]]),
        keyVersion: 1,
        open: true,
      };
    });
    // One that was never registered.
    const stranger = { ...registrations[0]!, terminalId: STRANGER_ID, concentratorId: 0 };
    for (const registration of [...registrations, stranger]) {
      const { terminalId } = registration;
      const behind = registrations.filter((each) => each.concentratorId === terminalId);
      const ids = [terminalId, ...behind.map((each) => each.terminalId)];
      const send = (gate: Gate, bytes: Uint8Array) => this.toNode(gate, bytes);
      this.gates.push(new Gate(this.world, registration, ids, taps, send));
    }
    return registrations;
  }

  private restarted(life: Life): void {
    this.office.crashed();
    this.office.give(life);
  }

  /** What happens again and again. */
  private plan(): void {
    const { world } = this;
    const { plan, chance, clock } = world;
    for (const gate of this.gates) this.again(plan.tapMs * 4, () => gate.tap());
    this.again(plan.crashMs, () => {
      if (!world.healed) this.node.crash(chance.hit(0.6));
    });
    this.again(plan.checkpointMs, () => this.node.checkpoint());
    this.again(plan.commandMs, () => {
      if (!world.healed) this.office.change();
      if (this.node.life?.serves) this.office.give(this.node.life);
      // A checkpoint of what is just being committed.
      if (!chance.hit(plan.checkpointAtCommand)) return;
      world.timeline.after(chance.below(800), () => this.node.checkpoint());
    });
    this.again(plan.fullMs, () => this.fillDisk());
    this.again(300, () => {
      if (!world.healed) chance.pick(this.gates).restart();
    });
    this.again(plan.clockMs, () => {
      if (world.healed) return;
      const byMs = chance.pick([1, 60, 3_600, 3_600, 14_400, 86_400, -1, -3_600, -86_400]) * 1000;
      world.trace.note("clock", `jumps by ${byMs} ms`);
      world.count("clock jumps");
      clock.jump(Math.abs(byMs) === DAY_MS ? byMs + chance.below(1000) : byMs);
    });
  }

  private fillDisk(): void {
    const { world } = this;
    if (world.healed) return;
    world.count("disk full");
    world.trace.note("disk", "is full");
    const untilUs = world.timeline.nowUs + world.chance.between(1_000, 200_000);
    world.tablesFile.fullUntilUs = untilUs;
    // Journal and tables may be on two disks.
    if (world.chance.hit(0.5)) world.journal.fullUntilUs = untilUs;
  }

  private again(meanMs: number, run: () => void): void {
    this.world.later(meanMs, () => {
      run();
      this.again(meanMs, run);
    });
  }

  /** The way to the node: late, lost, twice, cut or changed. */
  private toNode(gate: Gate, bytes: Uint8Array): void {
    const { chance, plan, healed } = this.world;
    const { network } = plan;
    if (healed) {
      this.arrive(gate, bytes, NOWHERE, 100);
      return;
    }
    if (this.strikes("lost", network.lost)) return;
    const copies = this.strikes("repeated", network.repeated) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const changed = Uint8Array.from(bytes);
      const changedAt = this.strikes("changed", network.changed)
        ? chance.below(bytes.length)
        : NOWHERE;
      if (changedAt !== NOWHERE) changed[changedAt]! ^= 1 << chance.below(8);
      const cut = this.strikes("cut", network.cut) ? chance.below(bytes.length) : bytes.length;
      this.arrive(gate, changed.slice(0, cut), changedAt, this.delayUs());
    }
  }

  /** Whether a fault of the network strikes. */
  private strikes(fault: string, rate: number): boolean {
    const hit = this.world.chance.hit(rate);
    if (hit) this.world.count(`frame ${fault}`);
    return hit;
  }

  private delayUs(): number {
    const { chance, plan } = this.world;
    return chance.between(20, this.strikes("delayed", plan.network.delayed) ? 90_000 : 300);
  }

  private arrive(gate: Gate, bytes: Uint8Array, changedAt: number, delayUs: number): void {
    this.world.timeline.after(delayUs, () => {
      const { life } = this.node;
      if (life === null || !life.serves) return;
      let reply = this.replies.get(gate);
      if (reply === undefined) {
        reply = life.reply((message) => {
          const answers = framesIn(message);
          if (answers.length > 1) this.world.count("several frames refused at once");
          for (const answer of answers) this.leave(gate, answer);
        });
        this.replies.set(gate, reply);
      }
      const good = this.node.receive(reply, bytes, changedAt);
      if (!good) this.replies.delete(gate);
    });
  }

  /** An answer leaves: it is judged here, and may still be lost on its way. */
  private leave(gate: Gate, bytes: Uint8Array): void {
    const { auditor, chance, plan, trace, timeline, healed } = this.world;
    const status = Buffer.from(bytes.subarray(30, 32)).toString("latin1");
    const named = Buffer.from(bytes.subarray(4, 20)).toString("hex");
    trace.note(`frame ${named}`, `${status} ${bytesOfMac(bytes)}`);
    auditor.left(bytes);
    if (!healed && chance.hit(plan.network.lost)) return;
    const copies = !healed && chance.hit(plan.network.repeated) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      timeline.after(healed ? 100 : this.delayUs(), () => gate.received(bytes));
    }
  }

  /** Without faults, everyone is answered. */
  private async settle(step: () => Promise<boolean>): Promise<void> {
    const { world } = this;
    const endUs = world.timeline.nowUs + HEALED_MS_MAX * 1000;
    const places = world.plan.rules.sessionsMax;
    const registered = this.gates.filter((gate) => gate.registration.terminalId !== STRANGER_ID);
    const served = registered.length <= places ? registered : [];
    const open = () => {
      const { model } = world.auditor.history;
      return served.some((gate) => {
        return !gate.idle && model.terminals.get(gate.registration.terminalId)?.open === true;
      });
    };
    const down = () => !this.node.life?.serves || !this.office.idle;
    while (down() || open() || world.auditor.unanswered > 0) {
      await step();
      if (world.timeline.nowUs < endUs) continue;
      throw new Broken("without faults, everyone is answered in the end", "node");
    }
  }

  private async stop(step: () => Promise<boolean>): Promise<void> {
    const { life } = this.node;
    if (life === null) throw new Broken("without faults, the node lives", "node");
    this.world.auditor.stopping = true;
    let stopped = false;
    void life.stop().then(() => {
      stopped = true;
    });
    const endUs = this.world.timeline.nowUs + HEALED_MS_MAX * 1000;
    while (!stopped) {
      await step();
      if (this.world.timeline.nowUs > endUs) throw new Broken("a node can be stopped", "node");
    }
    this.node.start();
    const { position } = this.world.auditor.history.model;
    if (this.node.life?.checkpointPosition === position) return;
    throw new Broken("a stopped node has a checkpoint of all it did", "node");
  }
}

function bytesOfMac(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(bytes.length - FRAME_MAC_SIZE)).toString("hex");
}

/** An error's message and where it comes from, in one line. */
function described(failure: unknown): string {
  if (failure instanceof Broken) return `${failure.message} (${failure.key})`;
  if (!(failure instanceof Error)) return String(failure);
  const frames = (failure.stack ?? "").split("\n").slice(1, 5);
  const where = frames.map((line) => /(\w+\.js:\d+)/.exec(line.replaceAll("-", "_"))?.[1] ?? "?");
  return `${failure.message}, thrown at ${where.join(" < ")}`;
}
