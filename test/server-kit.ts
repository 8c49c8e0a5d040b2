// What the tests of the server stand on: a data folder with keys and small tables, a province of a
// few terminals, cards and items, and a server on free ports over it. Everything is the real thing;
// master keys and card numbers follow from their numbers, so that any process can make them again.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import {
  CARD_EVENT_SIZE,
  type CatalogueVersion,
  COMMAND,
  COMMAND_OUTCOMES,
  LIST_ENTRY_SIZE,
  type ListEntryCommand,
  type Organisation,
  TERMINAL_SIZE,
  type TerminalCommand,
  writeCardEvent,
  writeListEntry,
  writeTerminal,
} from "../engine/commands.js";
import { CARD_EVENT, CARD_STATUS, DAY_MAX } from "../engine/domain.js";
import {
  checkValue,
  luhnDigit,
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type MacAlgorithmName,
  MEDIUM_CHIP,
  PAN_KIND_CARD,
  PAN_KIND_ID_NUMBER,
  writePanBlock,
} from "../protocol/index.js";
import { createAdminToken } from "../src/admin-token.js";
import { TerminalClient, type TerminalClientOptions } from "../src/client/index.js";
import type { CommandSink } from "../src/command-sink.js";
import { type Config, loadConfig } from "../src/config.js";
import { CONFIG_KEYS_BY_NAME } from "../src/config-keys.js";
import { idNumberCheck } from "../src/id-number.js";
import { createLogger, type Logger } from "../src/log.js";
import { openNode } from "../src/node.js";
import { createRootKey } from "../src/root-key.js";
import { type RunningServer, startServer } from "../src/server.js";
import type { KeyVault } from "../src/vault.js";

export const ITEM_BUS = 101;
/** The same domain, in another region than the terminals. */
export const ITEM_ELSEWHERE = 102;
export const AMOUNT_MINOR_MAX_BUS = 1000;
/** One terminal for each MAC algorithm: 1001 to 1004. */
export const TERMINALS = [1001, 1002, 1003, 1004];
export const CONCENTRATOR = 2000;
export const BEHIND_CONCENTRATOR = 2001;
/** Many more, all AES-128-CMAC: 3001 and up. */
export const GATE_FIRST = 3001;
export const GATE_COUNT = 64;
export const CARD_COUNT = 64;

const DEADLINE_MS = 10_000;
const DOMAIN_TRANSPORT = 1 << 3;
const SMALL = {
  "tables.cardsMax": 1000,
  "tables.holdersMax": 1000,
  "tables.terminalsMax": 1000,
  "tables.blacklistMax": 1000,
  "tables.usesPerDateMax": 200_000,
  "crypto.workers": 0,
  "terminals.port": 0,
  "control.port": 0,
};

export type Flags = Readonly<Record<string, unknown>>;

/** What cleans up at its end: a test, or a case of a longer run. */
export type Scope = Pick<Test, "teardown">;

/** A data folder as `tongka init` makes it, gone when the test ends. */
export function dataFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "tongka-server-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  createRootKey(folder);
  createAdminToken(folder);
  return folder;
}

export function configOf(folder: string, flags: Flags = {}): Config {
  return loadConfig({ flags: { ...SMALL, data: folder, ...flags } });
}

/** The same configuration as the environment of a process of its own. */
export function environmentOf(folder: string, flags: Flags = {}): NodeJS.ProcessEnv {
  const all = Object.entries({ ...SMALL, data: folder, ...flags });
  return Object.fromEntries(
    all.map(([key, value]) => [CONFIG_KEYS_BY_NAME.get(key)!.variable, String(value)]),
  );
}

/** A seeded data folder that no process holds. */
export async function seededFolder(
  t: Scope,
  flags: Flags = {},
  clock: () => number = Date.now,
): Promise<string> {
  const folder = dataFolder(t);
  const node = await openNode(configOf(folder, flags), { clock });
  await seed(node.core, node.vault);
  await node.close();
  return folder;
}

export interface ServeOptions {
  folder?: string;
  flags?: Flags;
  clock?: () => number;
  log?: Logger;
}

/** A server over a seeded folder, stopped when the test ends. */
export async function serve(t: Scope, options: ServeOptions = {}): Promise<RunningServer> {
  const { flags = {}, clock = Date.now } = options;
  const folder = options.folder ?? (await seededFolder(t, flags, clock));
  const log = options.log ?? createLogger("test", "silent");
  const server = await startServer(configOf(folder, flags), log, { clock });
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= server.stop();
    return stopping;
  };
  t.teardown(stop);
  return { ...server, stop };
}

/** Puts the organisation, terminals, cards and catalogue in. */
export async function seed(sink: CommandSink, vault: KeyVault): Promise<void> {
  await put(sink, COMMAND.ORGANISATION, document(ORGANISATION));
  const ids = [...TERMINALS, CONCENTRATOR, BEHIND_CONCENTRATOR];
  for (let i = 0; i < GATE_COUNT; i++) ids.push(GATE_FIRST + i);
  const terminals = ids.map((id) => terminalBytes(vault, id));
  const cards = Array.from({ length: CARD_COUNT }, (_, i) => cardBytes(vault, i));
  await Promise.all([
    put(sink, COMMAND.TERMINAL, ...terminals),
    put(sink, COMMAND.CATALOGUE, document(catalogue(1))),
    put(sink, COMMAND.CARD_EVENT, ...cards),
  ]);
}

const ORGANISATION: Organisation = {
  organisationId: 1,
  name: "海口公交",
  regionCode: 460_100,
  parentId: 0,
  domains: ["transport"],
  status: "open",
};

/** A version in force since 2020-01-01. */
export function catalogue(version: number): CatalogueVersion {
  const bus = {
    itemCode: ITEM_BUS,
    name: "公交",
    nameEn: "Bus",
    function: "bus",
    kind: "identity" as const,
    domain: "transport" as const,
    organisationId: 1,
    regions: [4601],
    media: ["chip" as const],
    startDate: 20_200_101,
    endDate: 0,
    amountMinorMax: AMOUNT_MINOR_MAX_BUS,
  };
  const elsewhere = { ...bus, itemCode: ITEM_ELSEWHERE, function: "ferry", regions: [4602] };
  return { version, effectiveDate: 20_200_101, items: [bus, elsewhere] };
}

export function algorithmOf(terminalId: number): number {
  return TERMINALS.includes(terminalId) ? terminalId - TERMINALS[0]! + 1 : 1;
}

/** The master key of a terminal; another for each version. */
export function masterKeyOf(terminalId: number, version = 1, algorithm?: number): Uint8Array {
  const hash = createHash("sha256").update(`master key ${version} of ${terminalId}`).digest();
  return new Uint8Array(hash.subarray(0, MAC_KEY_SIZES[algorithm ?? algorithmOf(terminalId)]!));
}

/** Number of card `index`: 19 digits with their check digit. */
export function panOf(index: number): string {
  const digits = `62284601${String(index * 7919).padStart(10, "0")}`;
  return digits + luhnDigit(digits);
}

export function idNumberOf(index: number): string {
  const digits = `46010519900307${String(index % 1000).padStart(3, "0")}`;
  return digits + idNumberCheck(digits);
}

/** Adds a terminal or changes it; `changes` replace what the seed gave it. */
export function putTerminal(
  sink: CommandSink,
  vault: KeyVault,
  terminalId: number,
  changes: Partial<TerminalCommand> = {},
): Promise<number> {
  return put(sink, COMMAND.TERMINAL, terminalBytes(vault, terminalId, changes));
}

function terminalBytes(
  vault: KeyVault,
  terminalId: number,
  changes: Partial<TerminalCommand> = {},
): Uint8Array {
  const macAlgorithm = changes.macAlgorithm ?? algorithmOf(terminalId);
  const masterKeyVersion = changes.masterKeyVersion ?? 1;
  const key = masterKeyOf(terminalId, masterKeyVersion, macAlgorithm);
  const bytes = new Uint8Array(TERMINAL_SIZE);
  writeTerminal(bytes, 0, {
    terminalId,
    organisationId: 1,
    regionCode: 460_105,
    domains: DOMAIN_TRANSPORT,
    concentratorId: terminalId === BEHIND_CONCENTRATOR ? CONCENTRATOR : 0,
    status: 1,
    macAlgorithm,
    masterKeyVersion,
    checkValue: checkValue(macAlgorithm, key),
    wrappedKey: vault.wrapKey(key),
    ...changes,
  });
  return bytes;
}

function cardBytes(vault: KeyVault, index: number): Uint8Array {
  const bytes = new Uint8Array(CARD_EVENT_SIZE);
  writeCardEvent(bytes, 0, {
    token: cardTokenOf(vault, index),
    holderToken: tokenOf(vault, idNumberOf(index), PAN_KIND_ID_NUMBER),
    previousToken: null,
    regionCode: 460_105,
    event: CARD_EVENT.LOAD,
    medium: MEDIUM_CHIP,
    status: CARD_STATUS.ACTIVE,
    expiryDay: DAY_MAX,
    organisationId: 0,
  });
  return bytes;
}

export function putListEntry(sink: CommandSink, entry: ListEntryCommand): Promise<number> {
  const bytes = new Uint8Array(LIST_ENTRY_SIZE);
  writeListEntry(bytes, 0, entry);
  return put(sink, COMMAND.LIST_ENTRY, bytes);
}

export function cardTokenOf(vault: KeyVault, index: number): Uint8Array {
  return tokenOf(vault, panOf(index), PAN_KIND_CARD);
}

function tokenOf(vault: KeyVault, digits: string, kind: number): Uint8Array {
  const block = new Uint8Array(16);
  writePanBlock(block, 0, digits, kind);
  return vault.tokenize(block);
}

/** Executes commands, which must all be done, and returns the position of the last. */
export async function put(
  sink: CommandSink,
  kind: number,
  ...commands: Uint8Array[]
): Promise<number> {
  const bytes = Buffer.concat(commands);
  const { outcomes, positions } = await sink.execute({ kind, count: commands.length, bytes });
  const failed = outcomes.find((outcome) => COMMAND_OUTCOMES[outcome] !== "DONE");
  if (failed !== undefined) throw new Error(`command of kind ${kind}: ${COMMAND_OUTCOMES[failed]}`);
  return positions.at(-1)!;
}

export function document(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A client of the library for one of the seeded terminals, closed when the test ends. */
export function clientOf(
  t: Scope,
  url: string,
  terminalId: number,
  options: Partial<TerminalClientOptions> = {},
): TerminalClient {
  const client = new TerminalClient({
    url,
    terminalId,
    macAlgorithm: MAC_ALGORITHM_NAMES[algorithmOf(terminalId)] as MacAlgorithmName,
    masterKey: masterKeyOf(terminalId),
    masterKeyVersion: 1,
    deadlineMs: DEADLINE_MS,
    backoffMsMin: 5,
    backoffMsMax: 50,
    ...options,
  });
  t.teardown(() => client.close());
  return client;
}

/** URL of the HTTP transport of a server. */
export function httpUrl(server: { terminalsPort: number }): string {
  return `http://127.0.0.1:${server.terminalsPort}/v1/messages`;
}

/** Waits until `holds`; throws at the deadline with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** `promise`, or an error that names what did not come by the deadline. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come in time: ${what}`)), DEADLINE_MS);
    // What nobody waits for any more must not keep the process.
    timer.unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
