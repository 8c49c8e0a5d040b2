// The control plane against the OWASP API Security Top 10 (2023), a test for each: entries 1 to 5;
// the others are in abuse-control-flows.test.ts. Where an entry asks for what Tongka does not have
// yet (owners of objects, roles), the test shows what holds in its place, and SECURITY.md says it.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { ADMIN_TOKEN_FILE, createAdminToken, loadAdminToken } from "../src/admin-token.js";
import { CARD_ROW, Control, PAN } from "./control-requests.js";
import { rawTcp } from "./raw-terminal.js";
import {
  catalogue,
  clientOf,
  GATE_FIRST,
  ITEM_BUS,
  masterKeyOf,
  panOf,
  until,
} from "./server-kit.js";

const REFUSED_DEADLINE_MS = 10_000;
const TAPS_MIN = 5;
const NDJSON_TYPE = { "content-type": "application/x-ndjson" };

const control = new Control(t);

t.test("API1 object level authorization: without the token no object is there", async (t) => {
  const objects = ["/v1/terminals/", "/v1/organisations/", "/v1/blacklist/", "/v1/decisions?rrn="];
  const answers = new Set<string>();
  for (const object of objects) {
    // Terminal 1001 and organisation 1 are there.
    for (const id of ["1", "1001", "99999999", "0", "-1", "%00", PAN]) {
      for (const headers of [{}, { authorization: "Bearer x" }]) {
        const { status, text } = await control.ask(object + id, { headers });
        answers.add(`${status} ${text}`);
      }
    }
  }
  t.equal(answers.size, 1, "known and unknown ids cannot be told apart");
  t.match([...answers][0], /^401 /);
  control.nothingReached(t);
  const headers = control.authorized;
  const known = await control.ask("/v1/terminals/1001", { headers });
  t.equal(known.status, 200, "the one owner of the token sees every object");
  t.equal((await control.ask("/v1/terminals/99999999", { headers })).status, 404);
});

t.test("API2 authentication: one token, in one place, long, and compared as a whole", async (t) => {
  const right = control.token;
  const shorter = right.slice(0, -1);
  const wrong: Record<string, string>[] = [
    {},
    { authorization: "" },
    { authorization: "Bearer" },
    { authorization: "Bearer " },
    { authorization: `Bearer ${shorter}` },
    { authorization: `Bearer ${shorter}${right.endsWith("A") ? "B" : "A"}` },
    { authorization: `Bearer ${right}A` },
    { authorization: `Bearer ${right.toLowerCase()}` },
    { authorization: `Bearer ${right} x` },
    { authorization: `bearer ${right}` },
    { authorization: `Basic ${Buffer.from(`admin:${right}`).toString("base64")}` },
    { authorization: right },
    { authorization: `Bearer ${"A".repeat(8000)}` },
    { "x-api-key": right },
    { cookie: `token=${right}` },
    { "proxy-authorization": `Bearer ${right}` },
  ];
  for (const headers of wrong) t.equal((await control.ask("/v1/status", { headers })).status, 401);
  t.equal((await control.ask(`/v1/status?token=${right}`)).status, 401, "not in a URL");
  const twice = `GET /v1/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n`;
  const raw = rawTcp(control.port);
  raw.socket.write(`${twice}authorization: Bearer x\r\nauthorization: Bearer ${right}\r\n\r\n`);
  t.match(await raw.ended, /^HTTP\/1.1 401 /, "the first of two counts");
  control.nothingReached(t);
  const folder = mkdtempSync(join(tmpdir(), "tongka-token-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const token = createAdminToken(folder);
  t.ok(token.length >= 43, "256 random bits");
  t.throws(() => loadAdminToken(folder, { TONGKA_ADMIN_TOKEN: "short" }), /32 to 256/);
  t.throws(() => loadAdminToken(folder, { TONGKA_ADMIN_TOKEN: "" }), /32 to 256/);
  chmodSync(join(folder, ADMIN_TOKEN_FILE), 0o640);
  t.throws(() => loadAdminToken(folder, {}), /others may read it/);
});

t.test("API3 properties: none but those of the schema go in, no key comes out", async (t) => {
  const bodies: [string, object][] = [
    ["/v1/cards/status", { cardNumber: PAN }],
    ["/v1/cards/events", { cardNumber: PAN, event: "lose" }],
    ["/v1/blacklist", { subjectKind: "card", subject: PAN, cause: "stolen" }],
    ["/v1/blacklist/search", { subjectKind: "card", subject: PAN }],
    ["/v1/terminals", { terminalId: 1, organisationId: 1, regionCode: 460100, domains: [] }],
    ["/v1/organisations", ORGANISATION],
    ["/v1/catalogue", catalogue(1)],
  ];
  const extras = ["position", "wrappedKey", "listed", "admin", "__proto__x", "constructor", PAN];
  for (const [path, body] of bodies) {
    for (const extra of extras) {
      const { status, text } = await control.post(path, { ...body, [extra]: 1 });
      t.equal(status, 400, `${path} with ${extra.slice(0, 8)}`);
      t.match(text, /an unknown key/);
      t.notMatch(text, PAN);
    }
    const polluted = JSON.stringify(body).replace("{", '{"__proto__":{"admin":true},');
    t.equal((await control.post(path, polluted)).status, 400, `${path} with __proto__`);
  }
  t.equal(({} as Record<string, unknown>).admin, undefined, "no prototype was touched");
  control.nothingReached(t);
  await clientOf(t, control.server.terminalsUrl, 1001).signOn();
  const { text } = await control.ask("/v1/terminals/1001", { headers: control.authorized });
  t.match(JSON.parse(text), { terminalId: 1001, session: { keyGeneration: 1 } });
  t.notMatch(text, /masterKey"|wrapped|nonce/i, "a terminal is told without its keys");
  t.notMatch(text, Buffer.from(masterKeyOf(1001)).toString("hex"));
  const row = JSON.stringify({ ...TERMINAL_ROW, masterKey: "00112233445566778899aabbccddeeff" });
  const report = JSON.parse((await control.post("/v1/import/terminals", row, NDJSON_TYPE)).text);
  t.match(report.rejections, [{ column: "masterKey", cause: /in clear/ }]);
});

const ORGANISATION = {
  organisationId: 1,
  name: "x",
  regionCode: 460000,
  parentId: 0,
  domains: ["transport"],
  status: "open",
};
const TERMINAL_ROW = { terminalId: 7, organisationId: 1, regionCode: 460100, domains: "transport" };
t.test("API4 resources: bodies, lines, pages, nesting and headers are bounded", async (t) => {
  const long = JSON.stringify({ cardNumber: "1".repeat(2_200_000) });
  t.match(await control.post("/v1/cards/status", long), { status: 413, text: /BODY_TOO_LARGE/ });
  const line = `${JSON.stringify({ cardNumber: "x" })}\n`;
  const rows = line.repeat(Math.ceil(1_100_000 / line.length));
  t.match(await control.post("/v1/import/cards", rows, NDJSON_TYPE), { status: 413 });
  t.match(await control.post("/v1/import/cards", "x".repeat(70_000), NDJSON_TYPE), { status: 413 });
  const bytes = { "content-type": "application/octet-stream" };
  t.equal((await control.post("/v1/commands/1", "x".repeat(2_200_000), bytes)).status, 413);
  t.equal(
    (await control.post("/v1/commands/1", "x".repeat(65), bytes)).status,
    400,
    "no whole command",
  );
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  t.equal((await control.post("/v1/cards/status", deep)).status, 400, "200,000 deep");
  for (const count of ["0", "1001", "1e9", "-1", "99999999999999999999"]) {
    const { status } = await control.ask(`/v1/terminals?count=${count}`, {
      headers: control.authorized,
    });
    t.equal(status, 400, `a page of ${count}`);
  }
  const header = await control.ask("/v1/status", {
    headers: { ...control.authorized, x: "a".repeat(60_000) },
  });
  t.equal(header.status, 431, "headers of 60 KB");
  control.nothingReached(t);
});

t.test("API4 resources: after a refused body its connection serves on", async (t) => {
  const rows = `${JSON.stringify({ cardNumber: "x" })}\n`;
  const [imports, ndjson] = ["/v1/import/cards", "application/x-ndjson"];
  const bodies = [
    ["an import over its size", imports, ndjson, rows.repeat(150_000)],
    ["one with a line over its size", imports, ndjson, `${"x".repeat(1_000_000)}\n${rows}`],
    ["JSON over its size", "/v1/cards/status", "application/json", "[".repeat(2_200_000)],
    ["bytes over their size", "/v1/commands/1", "application/octet-stream", "x".repeat(9_000_000)],
  ] as const;
  for (const [name, path, type, body] of bodies) {
    const { socket, ended, received } = rawTcp(control.port);
    const head = [
      `POST ${path} HTTP/1.1`,
      "host: x",
      `authorization: Bearer ${control.token}`,
      `content-type: ${type}`,
      `content-length: ${body.length}`,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const closed = await Promise.race([ended, delay(REFUSED_DEADLINE_MS, null)]);
    t.match(received(), /^HTTP\/1.1 413 /, name);
    t.match(closed, /HTTP\/1.1 200 OK/, "what comes after it is answered");
    socket.destroy();
    const cut = rawTcp(control.port);
    cut.socket.write(`${head.join("\r\n")}0\r\n\r\n${body}`);
    await until("the refusal", () => cut.received() !== "");
    cut.socket.destroy();
    t.equal((await control.ask("/livez")).status, 200, "nor does one that is cut off end the rest");
  }
});

t.test("API4 resources: a busy control plane stalls no tap", async (t) => {
  const { admin, server } = control;
  const gate = clientOf(t, server.terminalsUrl, GATE_FIRST);
  await gate.signOn();
  const rows = `${JSON.stringify({ ...CARD_ROW, cardNumber: "no number" })}\n`.repeat(5000);
  let busy = true;
  let tapping = true;
  const tookMs: number[] = [];
  // However quick the machine, it is busy for as long as some taps take.
  const imports = Promise.all(
    Array.from({ length: 8 }, async () => {
      do t.match(await admin.import("cards", rows), REJECTED);
      while (tapping && tookMs.length < TAPS_MIN);
    }),
  ).then(() => {
    busy = false;
  });
  const scrapes = Promise.all(Array.from({ length: 200 }, () => control.ask("/metrics")));
  try {
    while (busy) {
      const start = performance.now();
      const use = { pan: panOf(1), itemCode: ITEM_BUS, amountMinor: 100, stan: 1 + tookMs.length };
      t.equal((await gate.authorize(use)).responseCode, "00");
      tookMs.push(performance.now() - start);
    }
  } finally {
    tapping = false;
  }
  await Promise.all([imports, scrapes]);
  tookMs.sort((a, b) => a - b);
  t.ok(tookMs.length >= TAPS_MIN, `${tookMs.length} taps meanwhile`);
  const median = tookMs[tookMs.length >> 1]!;
  t.ok(median < 500, `the median tap took ${median.toFixed(1)} ms`);
});

const REJECTED = { rows: 5000, imported: 0, rejected: 5000 };

t.test(
  "API5 functions: every one wants the token, and is on the one port that has it",
  async (t) => {
    const all = await control.protectedOperations();
    t.ok(all.length >= 18, `${all.length} operations`);
    for (const { method, path } of all) {
      t.equal((await control.ask(path, { method })).status, 401, `${method} ${path}`);
    }
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    const known = new Set(
      (await control.operations()).map(({ method, path }) => `${method} ${path}`),
    );
    for (const path of new Set(all.map((each) => each.path))) {
      for (const method of methods.filter((each) => !known.has(`${each} ${path}`))) {
        const { status } = await control.ask(path, { method, headers: control.authorized });
        // "search" stands where another function has an id.
        t.ok(status === 404 || status === 400, `${method} ${path} is no function: ${status}`);
      }
    }
    for (const name of ["x-http-method-override", "x-original-url", "x-rewrite-url"]) {
      const { status } = await control.ask("/livez", {
        method: "POST",
        headers: { [name]: "/v1/status" },
      });
      t.equal(status, 404, name);
    }
    control.nothingReached(t);
    const terminals = `http://127.0.0.1:${control.server.terminalsPort}`;
    for (const { method, path } of all) {
      const { status } = await control.ask(
        path,
        { method, headers: control.authorized },
        terminals,
      );
      t.equal(status, 404, `${method} ${path} is not on the terminals' port`);
    }
    t.equal(
      (await control.ask("/v1/messages", { method: "POST" })).status,
      404,
      "nor messages on this one",
    );
  },
);
