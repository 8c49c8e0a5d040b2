// A province made of a seed: what it is (`Province`), and the import files it is written to
// (`writeProvince`). The same seed, day and counts make the same bytes.

import { readFileSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { CARD_STATUS } from "../../engine/domain.js";
import { checkValue } from "../../protocol/kdf.js";
import { MAC_ALGORITHM_NAMES } from "../../protocol/mac-algorithms.js";
import { MEDIUM_CHIP } from "../../protocol/use-record.js";
import { dayOfText } from "../dates.js";
import { BLACKLIST_COLUMNS, entriesOf, generalEntries } from "./blacklist.js";
import { type Card, cardsOf } from "./cards.js";
import { catalogueOf } from "./catalogue.js";
import { Holders } from "./holders.js";
import { LineWriter } from "./line-writer.js";
import { organisationsOf } from "./organisations.js";
import { TerminalKeys } from "./terminal-keys.js";
import {
  TERMINAL_KINDS,
  TERMINALS_MAX,
  TERMINALS_MIN,
  type Terminal,
  terminalsOf,
} from "./terminals.js";
import { curveOf, USES } from "./uses.js";

/** What a province is made from. */
export interface ProvinceOptions {
  /** 0..4,294,967,295. */
  seed: number;
  /** YYYYMMDD: the day the province stands at. */
  today: number;
  /** 1..100,000,000. */
  holders: number;
  /** 100..60,000; left out, one for 250 holders. */
  terminals?: number;
}

/** province.json: what was made and where it stands. */
export interface ProvinceSummary {
  format: 1;
  seed: number;
  today: number;
  holders: number;
  terminals: number;
  catalogueVersion: number;
  catalogueEffectiveDate: number;
  /** Rows of each sort; a header line is no row. */
  rows: Record<"organisations" | "terminals" | "cards" | "blacklist" | "catalogue", number>;
  /** File names within the folder. */
  files: Record<keyof ProvinceSummary["rows"] | "usesCurve" | "keyExchangeKey", string>;
}

const PROVINCE_FILE = "province.json";
const FILES: ProvinceSummary["files"] = {
  organisations: "organisations.ndjson",
  terminals: "terminals.csv",
  cards: "cards.csv",
  blacklist: "blacklist.csv",
  catalogue: "catalogue.ndjson",
  usesCurve: "uses-curve.json",
  keyExchangeKey: "kek.hex",
};
const HOLDERS_PER_TERMINAL = 250;
const HOLDERS_PER_STEP = 4096;
const TERMINAL_COLUMNS =
  "terminalId,organisationId,regionCode,domains,concentratorId,status,macAlgorithm," +
  "masterKeyVersion,masterKeyWrapped,checkValue";
const CARD_COLUMNS = "cardNumber,idNumber,medium,status,regionCode,expiryDate";

const STATUS_NAMES: readonly string[] = Object.entries(CARD_STATUS).reduce<string[]>(
  (names, [name, number]) => {
    names[number] = name.toLowerCase().replaceAll("_", "-");
    return names;
  },
  [],
);

/** Everything in a generated province, each part made when asked for. */
export class Province {
  readonly seed: number;
  /** Days since 1970-01-01. */
  readonly today: number;
  readonly options: Required<ProvinceOptions>;
  readonly holders: Holders;
  readonly keys: TerminalKeys;
  readonly terminals: Terminal[];

  /** Throws RangeError on options out of range. */
  constructor(options: ProvinceOptions) {
    const { seed } = options;
    if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
      throw new RangeError("a seed is a whole number from 0 to 4,294,967,295");
    }
    const wanted = options.terminals ?? Math.ceil(options.holders / HOLDERS_PER_TERMINAL);
    const terminals = options.terminals ?? Math.min(TERMINALS_MAX, Math.max(TERMINALS_MIN, wanted));
    this.options = { ...options, terminals };
    this.seed = seed;
    this.today = dayOfText(String(options.today));
    this.holders = new Holders(seed, options.holders, options.today);
    this.keys = new TerminalKeys(seed);
    this.terminals = terminalsOf(seed, terminals);
  }

  /** All cards of the holder of an index. */
  cards(index: number): Card[] {
    return cardsOf(this.seed, this.today, this.holders.at(index));
  }
}

/** What province.json in `folder` says, or null when no whole province was written there. */
export function readProvinceSummary(folder: string): ProvinceSummary | null {
  try {
    const summary = JSON.parse(readFileSync(path.join(folder, PROVINCE_FILE), "utf8"));
    return summary.format === 1 ? summary : null;
  } catch {
    return null;
  }
}

/**
 * Writes the import files of a province to `folder`, province.json last. Tells how many holders
 * are done every few thousand. Throws what the disk says; then province.json is not there.
 */
export async function writeProvince(
  folder: string,
  options: ProvinceOptions,
  onProgress?: (holdersDone: number, holdersTotal: number) => void,
): Promise<ProvinceSummary> {
  const province = new Province(options);
  await mkdir(folder, { recursive: true });
  await rm(path.join(folder, PROVINCE_FILE), { force: true });
  const organisations = organisationsOf(province.seed);
  await writeLines(
    folder,
    FILES.organisations,
    organisations.map((each) => JSON.stringify(each)),
  );
  await writeLines(folder, FILES.terminals, terminalLines(province));
  const catalogue = catalogueOf();
  const { version, effectiveDate, items } = catalogue;
  await writeLines(folder, FILES.catalogue, [
    JSON.stringify({ version, effectiveDate }),
    ...items.map((each) => JSON.stringify(each)),
  ]);
  await writeLines(folder, FILES.usesCurve, [usesCurve()]);
  await writeKeyExchangeKey(path.join(folder, FILES.keyExchangeKey), province.keys);
  const [cards, blacklist] = await writeHolders(folder, province, onProgress);
  const summary: ProvinceSummary = {
    format: 1,
    seed: province.seed,
    today: options.today,
    holders: options.holders,
    terminals: province.options.terminals,
    catalogueVersion: version,
    catalogueEffectiveDate: effectiveDate,
    rows: {
      organisations: organisations.length,
      terminals: province.terminals.length,
      cards,
      blacklist,
      catalogue: items.length,
    },
    files: FILES,
  };
  await writeLines(folder, PROVINCE_FILE, [JSON.stringify(summary, null, 2)]);
  return summary;
}

async function writeLines(folder: string, name: string, lines: Iterable<string>): Promise<void> {
  const writer = await LineWriter.create(path.join(folder, name));
  try {
    for (const line of lines) writer.add(line);
    await writer.close();
  } catch (error) {
    await writer.abandon().catch(() => undefined);
    throw error;
  }
}

/** Writes cards.csv and blacklist.csv in one pass over the holders; returns their row counts. */
async function writeHolders(
  folder: string,
  province: Province,
  onProgress?: (holdersDone: number, holdersTotal: number) => void,
): Promise<[cards: number, blacklist: number]> {
  const cardFile = await LineWriter.create(path.join(folder, FILES.cards), 0o600);
  const listFile = await LineWriter.create(path.join(folder, FILES.blacklist), 0o600);
  try {
    cardFile.add(CARD_COLUMNS);
    listFile.add(BLACKLIST_COLUMNS);
    const { seed, today, terminals } = province;
    for (const row of generalEntries(seed, today, terminals)) listFile.add(row);
    for (let from = 0; from < province.holders.count; from += HOLDERS_PER_STEP) {
      const to = Math.min(from + HOLDERS_PER_STEP, province.holders.count);
      for (let index = from; index < to; index++) addHolder(province, index, cardFile, listFile);
      await cardFile.drain();
      await listFile.drain();
      onProgress?.(to, province.holders.count);
    }
    await cardFile.close();
    await listFile.close();
  } catch (error) {
    await Promise.allSettled([cardFile.abandon(), listFile.abandon()]);
    throw error;
  }
  return [cardFile.lineCount - 1, listFile.lineCount - 1];
}

function addHolder(
  province: Province,
  index: number,
  cardFile: LineWriter,
  listFile: LineWriter,
): void {
  const holder = province.holders.at(index);
  const cards = cardsOf(province.seed, province.today, holder);
  for (const card of cards) cardFile.add(cardLine(card));
  for (const row of entriesOf(province.seed, province.today, holder, cards)) listFile.add(row);
}

function cardLine(card: Card): string {
  const medium = card.medium === MEDIUM_CHIP ? "chip" : "electronic";
  const status = STATUS_NAMES[card.status]!;
  const { cardNumber, idNumber, regionCode, expiryDate } = card;
  return `${cardNumber},${idNumber},${medium},${status},${regionCode},${expiryDate}`;
}

function* terminalLines(province: Province): Generator<string> {
  yield TERMINAL_COLUMNS;
  for (const t of province.terminals) {
    const key = province.keys.masterKey(t.terminalId, t.macAlgorithm);
    const wrapped = province.keys.wrappedMasterKey(t.terminalId, t.macAlgorithm).toString("hex");
    const algorithm = MAC_ALGORITHM_NAMES.indexOf(t.macAlgorithm);
    const check = Buffer.from(checkValue(algorithm, key)).toString("hex");
    const status = t.closed ? "closed" : "open";
    const place = `${t.terminalId},${t.organisationId},${t.regionCode},${t.domains.join("|")}`;
    yield `${place},${t.concentratorId},${status},${t.macAlgorithm},1,${wrapped},${check}`;
  }
}

function usesCurve(): string {
  const kinds = TERMINAL_KINDS.map((kind) => ({
    kind,
    usesPerTerminalAndDay: USES[kind].perDay,
    items: USES[kind].items.map(({ itemCode, weight }) => ({ itemCode, weight })),
    quarterHours: curveOf(kind).map((share) => Number(share.toFixed(6))),
  }));
  return JSON.stringify({ kinds }, null, 1);
}

async function writeKeyExchangeKey(file: string, keys: TerminalKeys): Promise<void> {
  await writeFile(file, `${keys.keyExchangeKey.toString("hex")}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}
