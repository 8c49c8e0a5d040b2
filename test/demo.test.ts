// The demo's parts: the day of taps is true to the curve and reproducible, the fleet taps over real
// sockets, a card reported lost is shown at its next tap, and the end is clean. The peer here
// decides nothing by itself; with the real server it is the command line's test that runs the demo.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import t, { type Test } from "tap";
import { MAC_ALGORITHM_NAMES } from "../protocol/mac-algorithms.js";
import { panValid } from "../protocol/pan.js";
import { REASON } from "../protocol/reason.js";
import { DEMO_DEFAULTS, type DemoOptions, type DemoServer, runDemo } from "../src/demo/demo.js";
import { type Loss, lineText, Screen, screenText } from "../src/demo/screen.js";
import { seatsOf, TapDay } from "../src/demo/tap-day.js";
import { catalogueOf } from "../src/province/catalogue.js";
import { Province } from "../src/province/province.js";
import { ScriptedServer } from "./scripted-server.js";

const PROVINCE = { seed: 3, today: 20_250_601, holders: 5000, terminals: 400 };
const PACE = { usesPerSecond: 600, dayMinutes: 4, startMinutes: 0 };
const MS_PER_DAY = PACE.dayMinutes * 60_000;

function dayOf(): TapDay {
  const province = new Province(PROVINCE);
  return new TapDay(province, seatsOf(province, 200), PACE);
}

t.test("a day of taps follows the curve and comes the same again", async (t) => {
  const day = dayOf();
  let total = 0;
  for (let ms = 0; ms < MS_PER_DAY; ms += 500) total += day.rate(ms) / 2;
  const expected = (PACE.usesPerSecond * MS_PER_DAY) / 1000;
  t.ok(Math.abs(total - expected) < expected / 100, `${Math.round(total)} uses in a day`);
  const hour = MS_PER_DAY / 24;
  t.ok(day.rate(8 * hour) > 1.5 * PACE.usesPerSecond, "the morning peak");
  t.ok(day.rate(3 * hour) < PACE.usesPerSecond / 10, "the night");
  const [one, two] = [dayOf(), dayOf()];
  const taps = Array.from({ length: 20_000 }, () => one.next(8 * hour));
  t.same(
    taps.slice(0, 500),
    Array.from({ length: 500 }, () => two.next(8 * hour)),
  );
  const items = new Map(catalogueOf().items.map((item) => [item.itemCode, item]));
  t.ok(taps.every(({ pan, itemCode }) => panValid(pan) && items.has(itemCode)));
  const over = taps.filter((tap) => tap.amountMinor > items.get(tap.itemCode)!.amountMinorMax);
  t.ok(over.length > 0 && over.length < taps.length / 100, `${over.length} over the limit`);
  t.ok(new Set(taps.map((tap) => tap.kind)).size >= 10, "all kinds of terminals");
  const again = one.again(taps[0]!);
  t.match(again, { pan: taps[0]!.pan, kind: taps[0]!.kind, itemCode: taps[0]!.itemCode });
});

t.test("seats are spread over all kinds and speak for their gates", async (t) => {
  const seats = seatsOf(new Province(PROVINCE), 200);
  t.equal(seats.length, 200);
  t.equal(new Set(seats.map(({ speaker }) => speaker.terminalId)).size, 200);
  const behind = seats.filter(({ speaker }) => speaker.kind === "concentrator");
  t.ok(behind.length > 5 && behind.every(({ gates }) => gates.length >= 1));
  t.notOk(
    seats.some(({ speaker }) => speaker.closed),
    "none of them is closed",
  );
});

/** A peer with the keys of the province, that declines the cards reported lost. */
async function serve(
  test: Test,
): Promise<{ server: DemoServer; peer: ScriptedServer; lost: Set<string> }> {
  const province = new Province(PROVINCE);
  const algorithms = new Map(
    province.terminals.map((each) => [each.terminalId, each.macAlgorithm]),
  );
  const lost = new Set<string>();
  const peer = new ScriptedServer(1, new Uint8Array(16));
  peer.profileOf = (terminalId) => {
    const name = algorithms.get(terminalId)!;
    const algorithm = MAC_ALGORITHM_NAMES.indexOf(name);
    return { algorithm, masterKey: province.keys.masterKey(terminalId, name) };
  };
  peer.reasonOf = ({ pan }) => (lost.has(pan) ? REASON.CARD_LOST_TEMPORARY : REASON.APPROVED);
  const port = await peer.listen();
  test.teardown(() => peer.close());
  const server: DemoServer = {
    terminalUrl: `ws://127.0.0.1:${port}/v1/terminal`,
    reportLost: async (pan) => void lost.add(pan),
    status: async () => ({ journalPosition: 7, blacklistSize: 11 }),
    stop: async () => undefined,
  };
  return { server, peer, lost };
}

class Output extends Writable {
  text = "";
  isTTY = false;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function optionsOf(test: Test, output: Output, changes: Partial<DemoOptions>): DemoOptions {
  const provinceFolder = mkdtempSync(path.join(tmpdir(), "tongka-demo-"));
  test.teardown(() => rmSync(provinceFolder, { recursive: true, force: true }));
  return {
    ...DEMO_DEFAULTS,
    provinceFolder,
    province: PROVINCE,
    usesPerSecond: 200,
    seconds: 0,
    signal: new AbortController().signal,
    stream: output as unknown as NodeJS.WriteStream,
    ...changes,
  };
}

t.test("the demo generates, imports, taps, loses a card and ends by itself", async (t) => {
  const { server, peer, lost } = await serve(t);
  const output = new Output();
  const imported: number[] = [];
  const signedOn: number[] = [];
  let stopped = 0;
  const summary = await runDemo(optionsOf(t, output, { seconds: 4 }), {
    importAll: async ({ rows }) => void imported.push(rows.terminals),
    startServer: async () => ({ ...server, stop: async () => void stopped++ }),
    onSignOn: (count) => signedOn.push(count),
  });
  t.equal(imported.length, 1);
  t.equal(signedOn.at(-1), 200);
  t.equal(peer.connections, 200, "each terminal has a connection");
  t.ok(summary.answered > 500, `${summary.answered} uses answered`);
  t.same(summary.errors, {});
  t.match(summary, { lost: 1, lostDeclined: 1 });
  t.equal(summary.declined["CARD_LOST_TEMPORARY"], 1);
  t.ok(summary.latencyMs.p50 > 0 && summary.latencyMs.p50 <= summary.latencyMs.p999);
  t.ok(Math.max(...peer.asked.values()) === 1, "no use was asked twice");
  t.equal(stopped, 1);
  const lines = output.text.trim().split("\n");
  t.ok(lines.length >= 3, "a plain line each second");
  t.match(output.text, /declined 41 CARD_LOST_TEMPORARY in [\d.]+ ms/);
  t.match(output.text, /blacklist 11/);
  t.notMatch(output.text, new RegExp([...lost].join("|")), "no card number is shown");
});

t.test("a signal ends it, also while terminals sign on; a failure stops the server", async (t) => {
  const { server } = await serve(t);
  const stop = new AbortController();
  const early = optionsOf(t, new Output(), { signal: stop.signal });
  const importAll = async () => undefined;
  const startServer = async () => server;
  const onSignOn = (count: number) => {
    if (count === 20) stop.abort();
  };
  const summary = await runDemo(early, { importAll, startServer, onSignOn });
  t.match(summary, { answered: 0, errors: {} });
  let stopped = 0;
  const nowhere = { ...server, terminalUrl: "ftp://nowhere", stop: async () => void stopped++ };
  const failing = runDemo(optionsOf(t, new Output(), {}), {
    importAll,
    startServer: async () => nowhere,
  });
  await t.rejects(failing, { message: /url must be a URL/ });
  t.equal(stopped, 1);
});

t.test("the screen shows all figures, and of a card four digits", async (t) => {
  const byReason = [90, 0, 0];
  byReason[REASON.CARD_EXPIRED] = 10;
  const loss: Loss = { lastDigits: "1234", place: "bus gate", minutes: 485, next: "" };
  const view = {
    title: "Tongka",
    figures: {
      answered: 100,
      byReason: Array.from(byReason, (n) => n ?? 0),
      errors: { DEADLINE: 2 },
      latency: { p50: 0.5, p99: 1.25, p999: 3, max: 4 },
      journalPosition: 5,
      minutes: 500,
      inFlight: 1,
    },
    usesPerSecond: 1234,
    journalPosition: 99,
    blacklistSize: 154,
    losses: [loss],
  };
  const screen = screenText(view);
  for (const part of [
    /08:20/,
    /1,234/,
    /90.0 %/,
    /p50 0.50 ms/,
    /p99.9 3.00 ms/,
    /position 99/,
    /154 entries/,
    /54 {2}CARD_EXPIRED +10/,
    /DEADLINE 2/,
    /08:05 card \*{4} 1234 \(bus gate\)/,
  ]) {
    t.match(screen, part);
  }
  t.match(lineText(view), /^08:20 {2}1,234\/s {2}answered 100 .* errors 2 /);
  const output = new Output();
  output.isTTY = true;
  const inPlace = new Screen(output as unknown as NodeJS.WriteStream);
  inPlace.update(view);
  inPlace.update({ ...view, usesPerSecond: 1300 });
  inPlace.done();
  t.ok(output.text.includes("\u001b["), "updates in place");
});
