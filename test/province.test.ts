// The generated province: reproducible, valid in every number, and true to its own rates.

import { createHash } from "node:crypto";
import {
  createReadStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { checkValue } from "../protocol/kdf.js";
import { MAC_ALGORITHM_NAMES } from "../protocol/mac-algorithms.js";
import { panValid } from "../protocol/pan.js";
import { idNumberFault } from "../src/id-number.js";
import { catalogueOf } from "../src/province/catalogue.js";
import { organisationsOf } from "../src/province/organisations.js";
import { Province, readProvinceSummary, writeProvince } from "../src/province/province.js";
import { MAC_SHARES, RATES } from "../src/province/rates.js";
import { COUNTIES } from "../src/province/regions.js";
import { TERMINAL_KINDS } from "../src/province/terminals.js";
import { curveOf, USES } from "../src/province/uses.js";
import { loadKeyExchangeKey } from "../src/root-key.js";

const HOLDERS = 60_000;
const OPTIONS = { seed: 7, today: 20_250_601, holders: HOLDERS };

function folderOf(test: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), "tongka-province-"));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function hashes(folder: string): Record<string, string> {
  const entries = readdirSync(folder).map((name) => {
    const bytes = readFileSync(path.join(folder, name));
    return [name, createHash("sha256").update(bytes).digest("hex")];
  });
  return Object.fromEntries(entries);
}

async function* rowsOf(file: string): AsyncGenerator<string[]> {
  let header = true;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (!header) yield line.split(",");
    header = false;
  }
}

/** Whether a count out of many is within five standard deviations of its rate. */
function near(count: number, total: number, rate: number): boolean {
  const deviation = Math.sqrt(total * rate * (1 - rate));
  return Math.abs(count - total * rate) <= 5 * deviation + 1;
}

t.test("one seed makes the same bytes, another seed others", async (t) => {
  const [first, again, other] = [folderOf(t), folderOf(t), folderOf(t)];
  const steps: number[] = [];
  await writeProvince(first, { ...OPTIONS, holders: 6000 }, (done) => steps.push(done));
  await writeProvince(again, { ...OPTIONS, holders: 6000 });
  await writeProvince(other, { ...OPTIONS, holders: 6000, seed: 8 });
  t.same(steps, [4096, 6000], "progress is told");
  t.same(hashes(first), hashes(again));
  const [a, b] = [hashes(first), hashes(other)];
  for (const name of ["cards.csv", "blacklist.csv", "terminals.csv", "kek.hex"]) {
    t.not(a[name], b[name], `${name} hangs on the seed`);
  }
  for (const name of ["kek.hex", "cards.csv", "blacklist.csv"]) {
    t.equal(statSync(path.join(first, name)).mode & 0o777, 0o600, `${name} is private`);
  }
  const kek = loadKeyExchangeKey(path.join(first, "kek.hex"));
  t.same(kek, new Uint8Array(new Province(OPTIONS).keys.keyExchangeKey), "import can read it");
  t.equal(readProvinceSummary(first)?.holders, 6000);
  t.equal(readProvinceSummary(path.join(first, "none")), null);
});

t.test("numbers are valid and unique, rates and regions as stated", async (t) => {
  const folder = folderOf(t);
  const summary = await writeProvince(folder, OPTIONS);
  const pans = new Set<string>();
  const people = new Map<string, string>();
  const counts: Record<string, number> = {};
  const faults: string[] = [];
  for await (const row of rowsOf(path.join(folder, "cards.csv"))) {
    const [pan, idNumber, medium, status, regionCode, expiry] = row as [string, ...string[]];
    if (!panValid(pan) || pan.length !== 19) faults.push("card number");
    if (idNumberFault(idNumber!) !== "") faults.push("ID number");
    if (people.has(idNumber!) && people.get(idNumber!) !== regionCode)
      faults.push("ID number twice");
    pans.add(pan);
    people.set(idNumber!, regionCode!);
    const expired = Number(expiry) < OPTIONS.today ? "expired" : "good";
    for (const key of [medium!, `${medium} ${status}`, expired])
      counts[key] = (counts[key] ?? 0) + 1;
  }
  t.same(faults, []);
  t.equal(pans.size, summary.rows.cards, "no card number twice");
  t.equal(people.size, HOLDERS, "no ID number twice");
  checkRates(t, counts, summary.rows.cards);
  checkRegions(t, [...people.values()], [...people.keys()]);
  let listed = 0;
  for await (const _row of rowsOf(path.join(folder, "blacklist.csv"))) listed++;
  t.equal(listed, summary.rows.blacklist);
  t.ok(
    near(listed, HOLDERS, RATES.holderListed + RATES.cardListed + 5 / HOLDERS),
    `listed ${listed}`,
  );
});

function checkRates(test: Test, counts: Record<string, number>, cards: number): void {
  const chips = HOLDERS;
  const active = counts["chip active"]!;
  const table: [name: string, count: number, total: number, rate: number][] = [
    ["replaced", counts["chip replaced"]!, HOLDERS, RATES.replaced],
    ["issued", counts["chip issued"]!, chips, RATES.notYetActive],
    ["lost-temporary", counts["chip lost-temporary"]!, chips, RATES.lostTemporary],
    ["lost", counts["chip lost"]!, chips, RATES.lost],
    ["sealed", counts["chip sealed"]!, chips, RATES.sealed],
    ["locked", counts["chip locked"]!, chips, RATES.locked],
    ["cancelled", counts["chip cancelled"]!, chips, RATES.cancelled],
    ["electronic", counts["electronic"]!, active, RATES.electronic],
    ["expired", counts["expired"]!, cards, RATES.expired],
  ];
  for (const [name, count, total, rate] of table) {
    test.ok(
      near(count, total, rate),
      `${name}: ${((100 * count) / total).toFixed(2)} %, ` + `stated ${(100 * rate).toFixed(2)} %`,
    );
  }
}

function checkRegions(test: Test, regions: string[], idNumbers: string[]): void {
  const total = COUNTIES.reduce((sum, county) => sum + county.population, 0);
  test.equal(total, 10_081_232, "the counties sum to the census");
  for (const county of COUNTIES) {
    const count = regions.filter((region) => region === String(county.code)).length;
    test.ok(near(count, HOLDERS, county.population / total), `${county.name}: ${count}`);
  }
  const mainland = idNumbers.filter((idNumber) => !idNumber.startsWith("46")).length;
  test.ok(near(mainland, HOLDERS, RATES.mainlandHolders), `first registered elsewhere ${mainland}`);
  const born = idNumbers.map((idNumber) => Number(idNumber.slice(6, 10)));
  const children = born.filter((year) => year > 2010).length;
  test.ok(near(children, HOLDERS, 0.195), `children under 15: ${children}`);
}

t.test("organisations, terminals and catalogue hang together", async (t) => {
  const province = new Province({ ...OPTIONS, terminals: 5000 });
  const organisations = new Map(organisationsOf(OPTIONS.seed).map((o) => [o.organisationId, o]));
  for (const { organisationId, parentId, regionCode } of organisations.values()) {
    if (parentId === 0) t.equal(regionCode, 460_000);
    else if (!organisations.has(parentId)) t.fail(`${organisationId} hangs on nothing`);
  }
  const seen = new Set<number>();
  const algorithms: Record<string, number> = {};
  for (const terminal of province.terminals) {
    const { terminalId, concentratorId, organisationId } = terminal;
    if (seen.has(terminalId)) t.fail("a terminalId twice");
    if (concentratorId !== 0 && !seen.has(concentratorId)) t.fail("concentrator comes later");
    if (!organisations.has(organisationId)) t.fail("a terminal of no organisation");
    seen.add(terminalId);
    algorithms[terminal.macAlgorithm] = (algorithms[terminal.macAlgorithm] ?? 0) + 1;
  }
  for (const { name, share } of MAC_SHARES) {
    t.ok(near(algorithms[name]!, province.terminals.length, share), `${name} ${algorithms[name]}`);
  }
  const items = new Map(catalogueOf().items.map((item) => [item.itemCode, item]));
  t.ok(items.size >= 40 && items.size === catalogueOf().items.length, `${items.size} items`);
  for (const kind of TERMINAL_KINDS) {
    t.ok(
      province.terminals.some((terminal) => terminal.kind === kind),
      `there is a ${kind}`,
    );
    for (const { itemCode } of USES[kind].items) t.ok(items.has(itemCode), `${itemCode} is there`);
    const curve = curveOf(kind);
    t.equal(curve.length, 96);
    t.ok(Math.abs(curve.reduce((a, b) => a + b, 0) - 1) < 1e-9, "a day's curve sums to 1");
  }
  const bus = curveOf("bus-gate");
  t.ok(bus[8 * 4]! > 2 * bus[12 * 4]! && bus[18 * 4]! > 1.5 * bus[14 * 4]!, "two peaks a day");
});

t.test("terminal keys are of their algorithm's size and can be made one by one", async (t) => {
  const { keys } = new Province(OPTIONS);
  const again = new Province(OPTIONS).keys;
  for (const name of MAC_ALGORITHM_NAMES) {
    if (name === "") continue;
    const key = keys.masterKey(1_050_001, name);
    t.same(key, again.masterKey(1_050_001, name));
    t.equal(keys.wrappedMasterKey(1_050_001, name).length, key.length + 8);
    t.equal(checkValue(MAC_ALGORITHM_NAMES.indexOf(name), key).length, 3);
  }
  t.notSame(keys.masterKey(1, "hmac-sm3"), keys.masterKey(2, "hmac-sm3"));
});

t.test("what cannot be made is refused in words", async (t) => {
  t.throws(() => new Province({ ...OPTIONS, seed: -1 }), { message: /a seed is a whole number/ });
  t.throws(() => new Province({ ...OPTIONS, holders: 0 }), { message: /1 to 100,000,000 holders/ });
  t.throws(() => new Province({ ...OPTIONS, today: 20_251_301 }), { message: /is no date/ });
  t.throws(() => new Province({ ...OPTIONS, terminals: 5 }), { message: /100 to 60,000/ });
});
