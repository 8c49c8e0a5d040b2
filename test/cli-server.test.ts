// The `tongka` command against a real server in a process of its own, and against its data folder
// when no server runs. Every number on the command line that must stay secret goes through "-".

import { createCipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { luhnDigit } from "../protocol/pan.js";
import { EXIT } from "../src/cli/exit-codes.js";
import { TerminalClient } from "../src/client/index.js";
import { idNumberCheck } from "../src/id-number.js";
import { readBlocks } from "../src/journal-files.js";
import { blockPlace, overwriteBlock } from "./journal-damage.js";
import { type Ended, type ServerProcess, serve, tongka, tongkaHere } from "./tongka-process.js";

const folder = mkdtempSync(join(tmpdir(), "tongka-cli-server-"));
const data = join(folder, "data");
const PAN = withCheckDigit("621700468000000001");
const REPLACEMENT = withCheckDigit("621700468000000002");
const ID_NUMBER = `46010519900307123${idNumberCheck("46010519900307123")}`;
const TERMINAL_ID = 10_000_001;
const ITEM_CODE = 3_010_001;
const KEY_EXCHANGE_KEY = randomBytes(32);
const KEK_FILE = join(folder, "kek.hex");

let server: ServerProcess | null = null;
let masterKey: Buffer;

t.before(async () => {
  t.equal((await tongka(["init", "--data", data])).code, EXIT.OK);
  const sizes = { cardsMax: 10_000, holdersMax: 10_000, usesPerDateMax: 10_000 };
  writeFileSync(KEK_FILE, `${KEY_EXCHANGE_KEY.toString("hex")}\n`, { mode: 0o600 });
  const config = { tables: sizes, control: { keyExchangeKeyFile: KEK_FILE } };
  writeFileSync(join(data, "tongka.json"), JSON.stringify(config));
  server = await serve(["--data", data]);
});

t.teardown(async () => {
  if (server?.child.exitCode === null) await server.end("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function withCheckDigit(digits: string): string {
  return digits + luhnDigit(digits);
}

/** Runs a command on the data folder. */
function run(args: string[], input = ""): Promise<Ended> {
  return tongkaHere([...args, "--data", data], input);
}

/** Runs a command with --json that must succeed; its data. */
async function runJson(t: Test, args: string[], input = "") {
  const { code, stdout, stderr } = await run([...args, "--json"], input);
  t.equal(code, EXIT.OK, `${args.join(" ")}: ${stderr}`);
  for (const secret of [PAN, REPLACEMENT, ID_NUMBER]) {
    t.notOk(stdout.includes(secret) || stderr.includes(secret), "no number is repeated");
  }
  return JSON.parse(stdout);
}

t.test("status says that the server is ready", async (t) => {
  const status = await runJson(t, ["status"]);
  t.equal(status.ready, true);
  const people = await run(["status"]);
  t.match(people.stdout, /^ready +yes\n/);
});

t.test("a wrong admin token is told in one line", async (t) => {
  const environment = { TONGKA_ADMIN_TOKEN: "a".repeat(43) };
  const { code, stderr } = await tongka(["status", "--data", data], environment);
  t.equal(code, EXIT.FAILED);
  t.match(stderr, /^tongka: the server does not take this admin token: .*\n$/);
});

t.test("a second server does not open the same folder", async (t) => {
  const { code, stderr } = await tongka(["serve", "--data", data]);
  t.equal(code, EXIT.FAILED);
  t.match(stderr, /^tongka: data folder .* is in use by process [0-9]+: stop it first\n$/);
});

t.test("organisations", async (t) => {
  const add = ["organisation", "add", "1001", "--name", "海口公交", "--region", "460100"];
  const added = await runJson(t, [...add, "--domains", "transport"]);
  t.equal(added.outcome, "DONE");
  const shown = await runJson(t, ["organisation", "show", "1001"]);
  t.match(shown, { name: "海口公交", domains: ["transport"], status: "open" });
  const { stdout } = await run(["organisation", "list"]);
  t.match(stdout, /^organisation {2}name .*\n {8}1001 {2}海口公交 {2}460100 {2}/);
  t.equal((await run(["organisation", "show", "7"])).code, EXIT.REFUSED);
  const unknown = await run([...add, "--domains", "transprt"]);
  t.equal(unknown.code, EXIT.USAGE);
  t.equal(unknown.stderr.trimEnd().split("\n").length, 1);
});

t.test("a new terminal's key is shown once", async (t) => {
  const place = ["--organisation", "1001", "--region", "460105", "--domains", "transport"];
  const added = await runJson(t, ["terminal", "add", String(TERMINAL_ID), ...place]);
  t.match(added, { outcome: "DONE", masterKeyVersion: 1, masterKey: /^[0-9a-f]{32}$/ });
  masterKey = Buffer.from(added.masterKey, "hex");
  const shown = await run(["terminal", "show", String(TERMINAL_ID)]);
  t.notOk(shown.stdout.includes(added.masterKey));
  t.match(shown.stdout, new RegExp(`check value +${added.checkValue}\n`));

  const closed = await runJson(t, ["terminal", "close", String(TERMINAL_ID)]);
  t.equal(closed.masterKeyVersion, 1, "closing keeps the key");
  t.equal((await runJson(t, ["terminal", "show", String(TERMINAL_ID)])).status, "closed");
  await runJson(t, ["terminal", "open", String(TERMINAL_ID)]);
  t.equal((await runJson(t, ["terminal", "show", String(TERMINAL_ID)])).status, "open");
});

t.test("a wrapped key is opened by the key it was wrapped under, and no other", async (t) => {
  const cipher = createCipheriv("id-aes256-wrap", KEY_EXCHANGE_KEY, Buffer.alloc(8, 0xa6));
  const wrapped = Buffer.concat([cipher.update(randomBytes(16)), cipher.final()]).toString("hex");
  const place = ["--organisation", "1001", "--region", "460105", "--domains", "transport"];
  const add = ["terminal", "add", "10000002", ...place, "--wrapped-key", wrapped];
  const added = await runJson(t, [...add, "--kek-file", KEK_FILE]);
  t.match(added.checkValue, /^[0-9a-f]{6}$/);
  t.equal(added.masterKey, undefined, "a key that came wrapped is not shown");

  const otherFile = join(folder, "other.hex");
  writeFileSync(otherFile, randomBytes(32).toString("hex"), { mode: 0o600 });
  const other = await run([...add, "--kek-file", otherFile]);
  t.equal(other.code, EXIT.FAILED);
  t.match(other.stderr, /was not wrapped under the key in/);
  t.equal((await run([...add, "--check-value", "000000"])).code, EXIT.USAGE);
});

t.test("a published catalogue version never changes", async (t) => {
  const item = {
    itemCode: ITEM_CODE,
    name: "乘坐公交",
    nameEn: "bus",
    function: "bus-ride",
    kind: "identity",
    domain: "transport",
    organisationId: 1001,
    regions: [46],
    media: ["chip", "electronic"],
    startDate: 20200101,
    endDate: 0,
    amountMinorMax: 10_000,
  };
  const document = { version: 1, effectiveDate: 20200101, items: [item] };
  const file = join(folder, "catalogue.json");
  writeFileSync(file, JSON.stringify(document));
  t.equal((await runJson(t, ["catalogue", "publish", file])).outcome, "DONE");
  t.same(await runJson(t, ["catalogue", "show", "1"]), document);
  t.equal((await runJson(t, ["catalogue", "list"])).inForce, 1);
  writeFileSync(file, JSON.stringify({ ...document, items: [{ ...item, name: "other" }] }));
  t.equal((await run(["catalogue", "publish", file])).code, EXIT.REFUSED);
});

t.test("a card number typed or piped reaches the real process", async (t) => {
  const { code, stderr } = await tongka(["card", "show", "-", "--data", data], {}, `${PAN}\n`);
  t.equal(code, EXIT.REFUSED);
  t.match(stderr, /^tongka: no such card\n$/);
});

t.test("the life of a card", async (t) => {
  const newCard = ["--medium", "chip", "--region", "460105", "--expiry", "2045-12-31"];
  const issue = ["card", "issue", "-", "--holder", "-", ...newCard];
  await runJson(t, issue, `${PAN}\n${ID_NUMBER}\n`);
  await runJson(t, ["card", "activate", "-"], `${PAN}\n`);
  const shown = await runJson(t, ["card", "show", "-"], `${PAN}\n`);
  t.match(shown, { status: "active", medium: "chip", expiryDate: 20451231, listed: false });

  const [unknown, none] = await Promise.all([
    run(["card", "show", "-"], REPLACEMENT),
    run(["card", "show", "-"], ""),
  ]);
  t.equal(unknown.code, EXIT.REFUSED, "no such card");
  t.equal(none.code, EXIT.USAGE, "no number at all");
  const wrong = await run(["card", "show", "-"], `${PAN.slice(0, -1)}x`);
  t.equal(wrong.code, EXIT.USAGE);
  t.notOk(wrong.stderr.includes(PAN.slice(0, -1)), "a wrong number is not repeated");
});

t.test("a lost card is declined at the next tap, and the decision says why", async (t) => {
  const client = new TerminalClient({
    url: server!.terminalsUrl,
    terminalId: TERMINAL_ID,
    macAlgorithm: "aes-128-cmac",
    masterKey,
  });
  t.teardown(() => client.close());
  const use = { pan: PAN, itemCode: ITEM_CODE, amountMinor: 200 };
  const first = await client.authorize(use);
  t.equal(first.reasonName, "APPROVED");
  await runJson(t, ["card", "lose", "-"], PAN);
  const second = await client.authorize(use);
  t.match(second, { approved: false, responseCode: "41", reasonName: "CARD_LOST" });

  const byRrn = await runJson(t, ["decision", String(second.rrn)]);
  t.match(byRrn, { answered: { responseCode: "41", reason: "CARD_LOST" } });
  const { stan, businessDate } = first;
  const key = ["--terminal", String(TERMINAL_ID), "--date", String(businessDate)];
  const byUse = await runJson(t, ["decision", ...key, "--stan", String(stan)]);
  t.match(byUse, { rrn: first.rrn, asked: { amountMinor: 200 }, answered: { responseCode: "00" } });
  t.match((await run(["decision", String(second.rrn)])).stdout, /\nreason +CARD_LOST\n/);
  t.equal((await run(["decision", "999999"])).code, EXIT.REFUSED);
  t.equal((await run(["decision", "1", "--stan", "1"])).code, EXIT.USAGE);

  const newCard = ["--medium", "chip", "--region", "460105", "--expiry", "20451231"];
  const numbers = `${REPLACEMENT}\n${PAN}\n${ID_NUMBER}\n`;
  await runJson(t, ["card", "replace", "-", "-", "--holder", "-", ...newCard], numbers);
  t.equal((await runJson(t, ["card", "show", "-"], PAN)).status, "replaced");
  const refused = await run(["card", "activate", "-"], PAN);
  t.equal(refused.code, EXIT.REFUSED);
  t.match(refused.stderr, /^tongka: the card's status does not allow this event\n$/);
});

t.test("blacklist entries are added, found and removed", async (t) => {
  const add = ["blacklist", "add", "card", "-", "--cause", "fraud", "--entry", "7001"];
  t.match(await runJson(t, add, REPLACEMENT), { outcome: "DONE", entryId: 7001 });
  t.equal((await runJson(t, ["blacklist", "find", "card", "-"], REPLACEMENT)).length, 1);
  t.match(await runJson(t, ["blacklist", "show", "7001"]), [{ cause: "fraud", scope: "all" }]);
  const page = await run(["blacklist", "list", "--count", "1"]);
  t.match(page.stdout, /\n +7001 {2}card /);
  t.match(page.stderr, /there may be more: --after 7001/);
  await runJson(t, ["blacklist", "remove", "7001"]);
  t.same(await runJson(t, ["blacklist", "find", "card", "-"], REPLACEMENT), []);
  t.equal((await run(["blacklist", "remove", "7001"])).code, EXIT.REFUSED);
});

const ROWS = join(folder, "organisations.csv");

t.test("import feeds the running server, and reports bad rows", async (t) => {
  const rows = [
    "organisationId,name,regionCode,domains",
    "2001,图书馆,460100,culture-tourism",
    "2002,,460100,health",
    "2003,医院,460100,health",
  ];
  writeFileSync(ROWS, `${rows.join("\n")}\n`);
  const { code, stdout, stderr } = await run(["import", "organisations", ROWS, "--json"]);
  t.equal(code, EXIT.REFUSED, stderr);
  const summary = JSON.parse(stdout);
  t.match(summary, { rows: 3, imported: 2, rejected: 1, interrupted: false });
  const report = readFileSync(summary.reportPath, "utf8").trim().split("\n");
  t.match(JSON.parse(report[0]!), { line: 3, column: "name" });
  t.match(stderr, /importing organisations: 100%/);
  t.equal((await runJson(t, ["organisation", "show", "2003"])).name, "医院");
  t.equal((await run(["import", "organisations", join(folder, "none")])).code, EXIT.FAILED);
  t.equal((await run(["import", "people", ROWS])).code, EXIT.USAGE);
});

t.test("the journal is verified and shown while the server runs", async (t) => {
  const verified = await runJson(t, ["journal", "verify"]);
  t.match(verified, { badPosition: null, problem: "" });
  const { stdout } = await run(["journal", "show", "--count", "2", "--json"]);
  const [first, second] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.equal(first.position, 1);
  t.equal(second.previousHash, first.hash);
  t.match(
    (await run(["journal", "show"])).stdout,
    /^position +events +time .*\n +1 +1 .*organisation/,
  );
});

t.test("Ctrl-C stops the server in order; then nothing answers", async (t) => {
  t.equal(await server!.end("SIGINT"), EXIT.OK);
  const { code, stdout, stderr } = await tongka(["status", "--data", data]);
  t.equal(code, EXIT.UNREACHABLE);
  t.equal(stdout, "");
  t.match(stderr, /^tongka: nothing listens at .*\n$/);
});

t.test("import with no server opens the folder itself", async (t) => {
  const args = ["import", "organisations", ROWS, "--json", "--data", data];
  const { code, stdout } = await tongka(args);
  t.equal(code, EXIT.REFUSED);
  t.match(JSON.parse(stdout), { rows: 3, imported: 0, unchanged: 2, rejected: 1 });
});

t.test("a changed byte is found, and its block named", async (t) => {
  const [block] = await readBlocks(data, { from: 3, count: 1 });
  const { bytes } = block!;
  bytes[bytes.length - 1]! ^= 1;
  overwriteBlock(blockPlace(data, 3), bytes);
  const verify = ["journal", "verify", "--json", "--data", data];
  const { code, stdout, stderr } = await tongka(verify);
  t.equal(code, EXIT.DAMAGED);
  t.equal(JSON.parse(stdout).badPosition, 3);
  t.match(stderr, /the block at position 3: its hash does not hold/);
});
