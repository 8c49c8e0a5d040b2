// The closed-loop wire load: uses over real sockets, durable, every request under its own MAC and
// every answer too. The server is another process; its CPU for each use is told beside the
// throughput, since that figure does not depend on what the load generator costs.

import type { Run } from "./case.js";
import { type FramePlan, makeFrames } from "./frames.js";
import { randomFrom, SEED } from "./random.js";
import { businessDateNow, type Server, type UnderLoad } from "./server.js";
import { type LoadTerminal, openTerminals, type Sender } from "./terminal.js";
import { type Flow, type Messages, runWindows, Window } from "./window.js";
import { terminalIdOf } from "./world.js";

/** A shape of load. */
export interface Shape {
  connections: number;
  recordsPerFrame: number;
  /** Frames in flight on each connection. */
  inFlight: number;
  /** Each frame is a message of its own, in place of one for all that leave at once. */
  apart?: boolean;
  /** Terminals that speak over each connection, a frame of each in turn; 1 without it. */
  senders?: number;
}

/** Part of the frames that warm the server up before it is measured. */
const WARM_UP_PART = 0.2;

export interface WireFigures {
  usesPerSecond: number;
  /** Of the server, all threads together. */
  cpuMicrosecondsPerUse: number;
  uses: number;
}

/** Uses of `shape` at most, warm-up included, that a server must remember. */
export function usesOf(shape: Shape, frameCount: number): number {
  return shape.connections * shape.recordsPerFrame * frameCount;
}

/** Terminals of a shape. */
export function terminalsOf({ connections, senders = 1 }: Shape): number {
  return connections * senders;
}

/** How much of a shape a server is loaded with. */
export interface Amount {
  /** Most frames of each connection, warm-up included. */
  frameCount: number;
  seconds: number;
  /** First terminal of the world that is used; each sends only once, for its STANs begin at 1. */
  firstTerminal?: number;
  /** Called between warm-up and measurement, and after it. */
  before?: () => Promise<unknown>;
  after?: () => Promise<unknown>;
}

/** Signs terminals on, makes their frames, loads `server` and lets the terminals go. */
export async function loadServer(
  run: Run,
  server: Server,
  shape: Shape,
  amount: Amount,
): Promise<WireFigures> {
  const { terminalsUrl } = server.host.ready;
  const { frameCount, seconds, firstTerminal = 0 } = amount;
  const idOf = (i: number) => terminalIdOf(firstTerminal + i);
  const terminals = await openTerminals(terminalsUrl, shape.connections, idOf, !shape.apart);
  try {
    const others = (shape.senders ?? 1) - 1;
    await Promise.all(
      terminals.map(async (terminal, i) => {
        const first = shape.connections + i * others;
        for (let j = 0; j < others; j++) await terminal.signOn(idOf(first + j));
      }),
    );
    run.say(`making ${usesOf(shape, frameCount)} uses`);
    const windows = windowsOf(terminals, shape, frameCount, server.cardCount);
    const warmUp = Math.ceil(frameCount * WARM_UP_PART);
    await runWindows(windows, warmUp, seconds * WARM_UP_PART);
    await amount.before?.();
    const loaded = await server.underLoad(() => runWindows(windows, frameCount, seconds));
    await amount.after?.();
    return figuresOf(loaded, shape);
  } finally {
    for (const terminal of terminals) terminal.close();
  }
}

/** A plan for each of `count` terminals: the same in every run. */
export function framePlans(
  count: number,
  recordsPerFrame: number,
  frameCount: number,
  cardCount: number,
): FramePlan[] {
  const random = randomFrom(SEED);
  const businessDate = businessDateNow();
  const nextCard = () => Math.floor(random() * cardCount);
  return Array.from({ length: count }, (_, i) => {
    const terminalId = terminalIdOf(i);
    const firstSequence = 1;
    return { terminalId, businessDate, frameCount, recordsPerFrame, firstSequence, nextCard };
  });
}

/** Frames of signed-on terminals; all of a plan but its terminal can be set otherwise. */
export function messagesOf(
  terminals: readonly Sender[],
  recordsPerFrame: number,
  frameCount: number,
  cardCount: number,
  others: Partial<FramePlan> = {},
): Messages[] {
  const plans = framePlans(terminals.length, recordsPerFrame, frameCount, cardCount);
  return terminals.map(({ terminalId, keys }, i) => {
    return makeFrames({ ...plans[i]!, ...others, terminalId }, keys);
  });
}

function windowsOf(
  terminals: readonly LoadTerminal[],
  shape: Shape,
  frameCount: number,
  cardCount: number,
): Window[] {
  const { recordsPerFrame, inFlight, senders = 1 } = shape;
  const all = terminals.flatMap((terminal) => terminal.senders);
  const perSender = Math.floor(frameCount / senders);
  const messages = messagesOf(all, recordsPerFrame, perSender, cardCount);
  return terminals.map((terminal, i) => {
    const ours = inTurn(messages.slice(i * senders, (i + 1) * senders));
    const window = new Window(ours, inFlight, (bytes) => terminal.send(bytes));
    terminal.onAnswer = () => {
      window.answered++;
    };
    terminal.onRead = () => window.pump();
    terminal.onFault = (error) => window.failed(error);
    return window;
  });
}

/** One message of each in turn; all have as many. */
function inTurn(parts: readonly Messages[]): Messages {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first!;
  const { size } = first;
  const count = first.count * parts.length;
  const bytes = Buffer.allocUnsafeSlow(count * size);
  for (let i = 0, to = 0; i < first.count; i++) {
    for (const part of parts) to += part.bytes.copy(bytes, to, i * size, (i + 1) * size);
  }
  return { bytes, size, count };
}

function figuresOf({ result, approved, cpuMicroseconds }: UnderLoad<Flow>, shape: Shape) {
  const uses = result.messages * shape.recordsPerFrame;
  if (approved !== uses) throw new Error(`${approved} of ${uses} uses were approved`);
  return {
    uses,
    usesPerSecond: uses / result.seconds,
    cpuMicrosecondsPerUse: cpuMicroseconds / uses,
  };
}
