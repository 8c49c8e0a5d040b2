// The control plane as its tests run it: a real worker, a real port, real HTTP. Only the main
// thread's handler is played, so that a test sees exactly what would reach the engine.

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OUTCOME } from "../engine/commands.js";
import { luhnDigit, writePanBlock } from "../protocol/pan.js";
import { ControlClient, ControlError } from "../src/control/client.js";
import { type Control, type ControlOptions, startControl } from "../src/control/control.js";
import type { ControlHandler, ControlRequest, ControlResult } from "../src/control/messages.js";
import { idNumberCheck } from "../src/id-number.js";
import { Metrics } from "../src/metrics.js";
import { deriveVaultKeys, KeyVault } from "../src/vault.js";

/** Made when the control plane starts: a file that only imports this leaves nothing behind. */
const folder = join(tmpdir(), `tongka-control-${randomBytes(6).toString("hex")}`);
export const logFile = join(folder, "control.log");
export const ADMIN_TOKEN = randomBytes(32).toString("base64url");
export const PAN = withCheckDigit("622848001234567890");
export const ID_NUMBER = `46010519900307123${idNumberCheck("46010519900307123")}`;
export const KEY_EXCHANGE_KEY = randomBytes(32);
const vaultKeys = deriveVaultKeys(randomBytes(32));
export const vault = new KeyVault(vaultKeys);
export const metrics = new Metrics();

/** The main thread as the test plays it: what reached it, and what it is to answer. */
export const engine = {
  asked: [] as ControlRequest[],
  answers: {} as Partial<Record<ControlRequest["op"], ControlResult>>,
  outcomes: [] as number[],
};

const handle: ControlHandler = async (request) => {
  engine.asked.push(request);
  if (request.op === "execute") {
    const outcome = (index: number) => engine.outcomes[index] ?? OUTCOME.DONE;
    return {
      ok: true,
      result: {
        outcomes: Uint8Array.from({ length: request.count }, (_, index) => outcome(index)),
        positions: Float64Array.from({ length: request.count }, (_, i) =>
          outcome(i) ? 0 : 70 + i,
        ),
      },
    };
  }
  const result = engine.answers[request.op];
  return result === undefined
    ? { ok: false, cause: "the engine does not answer this here" }
    : { ok: true, result };
};

/** A running control plane with its client. */
export interface Running {
  control: Control;
  client: ControlClient;
  url: string;
}

/** Starts the control plane that the tests of one file share; again after `stopShared`, too. */
export async function startShared(): Promise<Running> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, "kek"), KEY_EXCHANGE_KEY.toString("hex"), { mode: 0o600 });
  const control = await startControl(options());
  const url = `http://127.0.0.1:${control.port}`;
  return { control, client: new ControlClient({ url: `${url}/`, adminToken: ADMIN_TOKEN }), url };
}

/** Forgets what earlier tests asked and what they wanted answered. */
export function resetEngine(): void {
  engine.asked = [];
  engine.answers = {};
  engine.outcomes = [];
}

/** Stops it and takes its files away. */
export async function stopShared({ control }: Running): Promise<void> {
  await control.stop();
  rmSync(folder, { recursive: true, force: true });
}

export function options(change: Partial<ControlOptions> = {}): ControlOptions {
  return {
    config: {
      control: {
        host: "127.0.0.1",
        port: 0,
        importSizeMax: 1_048_576,
        keyExchangeKeyFile: join(folder, "kek"),
      },
      log: { level: "debug" },
    },
    metrics,
    vaultKeys,
    adminToken: ADMIN_TOKEN,
    build: { version: "9.8.7", commit: "c0ffee" },
    handle,
    logTarget: logFile,
    ...change,
  };
}

export function withCheckDigit(digits: string): string {
  return digits + luhnDigit(digits);
}

export function tokenOf(number: string, kind: number): Uint8Array {
  const block = new Uint8Array(16);
  writePanBlock(block, 0, number, kind);
  return vault.tokenize(block);
}

/** The one execute request that reached the main thread. */
export function executed(): { kind: number; count: number; bytes: Uint8Array } {
  const requests = engine.asked.filter((request) => request.op === "execute");
  if (requests.length !== 1) throw new Error(`${requests.length} batches were executed`);
  return requests[0] as { kind: number; count: number; bytes: Uint8Array };
}

export async function refusalOf(promise: Promise<unknown>): Promise<ControlError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ControlError) return error;
    throw error;
  }
  throw new Error("was not refused");
}
