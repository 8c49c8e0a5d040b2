// The control plane against the OWASP API Security Top 10 (2023): entries 6 to 10; the first five
// are in abuse-control.test.ts.

import { statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ADMIN_TOKEN_FILE } from "../src/admin-token.js";
import { buildInfo } from "../src/build-info.js";
import { loadConfig } from "../src/config.js";
import { ControlClient, ControlError } from "../src/control/client.js";
import { ROOT_KEY_FILE } from "../src/root-key.js";
import { refusalOf } from "./control-harness.js";
import { CARD_ROW, Control, JSON_TYPE, OPEN_PATHS, PAN } from "./control-requests.js";
import { rawTcp } from "./raw-terminal.js";
import { catalogue, dataFolder } from "./server-kit.js";

const TERMINAL_ROW = { terminalId: 7, organisationId: 1, regionCode: 460100, domains: "transport" };

const control = new Control(t);

t.test("API6 business flows: nothing lists people, and a flow run twice runs once", async (t) => {
  const paths = (await control.operations()).map(({ method, path }) => `${method} ${path}`);
  t.same(
    paths.filter((path) => /^GET .*(card|holder|person|people)/i.test(path)),
    [],
    "cards and holders are looked up by number alone, which comes in a body",
  );
  const { admin, state } = control;
  const row = JSON.stringify({ ...CARD_ROW, cardNumber: PAN });
  t.match(await admin.import("cards", row), { imported: 1 });
  await admin.cardEvent({ cardNumber: PAN, event: "lose" });
  const { position } = state.registers;
  t.match(await admin.import("cards", row), { unchanged: 1, imported: 0 });
  t.match(await admin.card(PAN), { status: "lost" }, "a lost card stays lost");
  t.equal(state.registers.position, position);
  const made = await admin.setTerminal({ ...TERMINAL_CHANGE, masterKey: "new" });
  t.match(made.masterKey, /^[0-9a-f]{32}$/, "a new key is shown");
  t.notMatch(JSON.stringify(await admin.terminal(7)), made.masterKey!, "once");
});

const TERMINAL_CHANGE = {
  terminalId: 7,
  organisationId: 1,
  regionCode: 460100,
  domains: ["transport" as const],
};

t.test("API7 request forgery: no value is taken for an address", async (t) => {
  let visits = 0;
  const trap = createServer((_request, response) => {
    visits++;
    response.end("{}");
  });
  await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
  t.teardown(() => trap.close());
  const { port } = trap.address() as { port: number };
  for (const target of [
    `http://127.0.0.1:${port}/`,
    `//127.0.0.1:${port}/`,
    "file:///etc/passwd",
  ]) {
    for (const { method, path, schema } of await control.protectedOperations()) {
      const body = JSON.stringify({
        url: target,
        subject: target,
        name: target,
        cardNumber: target,
      });
      const headers = {
        ...control.authorized,
        ...JSON_TYPE,
        referer: target,
        "x-forwarded-host": target,
      };
      const init =
        schema.requestBody === undefined ? { method, headers } : { method, headers, body };
      const query = `?url=${encodeURIComponent(target)}`;
      const { status, text } = await control.ask(path + query, init);
      t.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`);
      t.notMatch(text, "passwd");
    }
  }
  const raw = rawTcp(control.port);
  raw.socket.write(
    `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
  );
  t.match(await raw.ended, /^HTTP\/1.1 404 /, "it is no proxy");
  t.equal(visits, 0, "nobody was called");
});

t.test("API8 configuration: closed by default, and faults tell nothing", async (t) => {
  const config = loadConfig({ flags: { data: "/nowhere" } });
  t.equal(config.control.host, "127.0.0.1", "the control plane listens on this machine alone");
  const folder = dataFolder(t);
  for (const name of [ROOT_KEY_FILE, ADMIN_TOKEN_FILE]) {
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  }
  const origin = { origin: "https://evil.example", "access-control-request-method": "POST" };
  for (const method of ["OPTIONS", "TRACE", "GET"]) {
    const { status, headers } = await control.withMethod(method, "/v1/status", origin);
    t.ok(status === 401 || status === 404, `${method}: ${status}`);
    const names = Object.keys(headers).filter((name) =>
      /^access-control|^server$|powered/.test(name),
    );
    t.same(names, [], "no other site is let in, and no product is named");
  }
  for (const path of [
    "/",
    "/v1",
    "/.env",
    "/.git/config",
    "/admin",
    "/%2e%2e/root.key",
    "/v1/../x",
  ]) {
    const { status, text } = await control.ask(path);
    t.match({ status, ...JSON.parse(text) }, { status: 404, error: "NO_ROUTE" }, path);
  }
  const fault = await control.askInVain("/v1/status");
  t.equal(fault.status, 500);
  t.notMatch(fault.text, /at |node_modules|\.js|as its test wants/, "no stack, nor its cause");
});

t.test("API9 inventory: the document tells every route, and there is one version", async (t) => {
  const paths = new Set((await control.operations()).map(({ path }) => path));
  t.ok([...paths].every((path) => path.startsWith("/v1/") || OPEN_PATHS.includes(path)));
  const guesses = ["/v0", "/v2", "/beta", "/internal", "/api", "/debug", "/swagger", "/docs"];
  for (const guess of guesses) {
    for (const path of ["", "/status", "/terminals", "/json"]) {
      t.equal(
        (await control.ask(guess + path, { headers: control.authorized })).status,
        404,
        guess + path,
      );
    }
  }
  const document = JSON.parse((await control.ask("/v1/openapi.json")).text);
  t.equal(document.info.version, buildInfo().version, "the running version");
});

/** A server that is not Tongka, and what the client makes of its answer. */
async function rogue(t: Test, answer: Parameters<typeof createServer>[1]): Promise<ControlError> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const options = { url: `http://127.0.0.1:${port}`, adminToken: "A".repeat(43) };
  return refusalOf(new ControlClient(options).card(PAN));
}

t.test("API10 what others send: answers of a rogue server are believed nothing", async (t) => {
  let visits = 0;
  const elsewhere = createServer((_request, response) => {
    visits++;
    response.end("{}");
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  t.teardown(() => elsewhere.close());
  const { port } = elsewhere.address() as { port: number };
  for (const status of [301, 302, 303, 307, 308]) {
    const location = `http://127.0.0.1:${port}/`;
    const error = await rogue(t, (_q, r) => r.writeHead(status, { location }).end());
    t.match(error, { status: 0, code: "UNREACHABLE" }, `${status}`);
  }
  t.equal(visits, 0, "token and card number went nowhere else");
  for (const text of ["", "<html>", "nul", `{"error":`, `${PAN}`, "[]", "null", '"x"', "{}"]) {
    const error = await rogue(t, (_q, r) => r.writeHead(500).end(text));
    t.ok(error instanceof ControlError && !error.message.includes(PAN), JSON.stringify(text));
  }
  const chunk = Buffer.alloc(1 << 20, 0x20);
  const endless = await rogue(t, (_q, r) => {
    const more = () => {
      while (!r.destroyed && r.write(chunk));
    };
    r.on("drain", more);
    more();
  });
  t.equal(endless.code, "UNREACHABLE", "an answer without end is cut off");
});

t.test("API10 what others send: keys and catalogues are checked", async (t) => {
  const { admin, state } = control;
  const { position } = state.registers;
  const version = catalogue(2);
  version.items[1]!.organisationId = 77;
  const refused = await refusalOf(admin.publishCatalogue(version));
  const message = /^no organisation with an id that is given as organisationId/;
  t.match(refused, { status: 404, code: "ORGANISATION_UNKNOWN", message });
  const head = { version: 2, effectiveDate: version.effectiveDate };
  const rows = [head, ...version.items].map((row) => JSON.stringify(row)).join("\n");
  const report = await admin.import("catalogue", rows);
  t.match(report, { imported: 0, rejected: 2, rejections: [{ cause: "ORGANISATION_UNKNOWN" }] });
  t.equal(state.registers.position, position, "nothing was published");
  const row = { ...TERMINAL_ROW, masterKeyWrapped: "00".repeat(24) };
  const terminals = await admin.import("terminals", JSON.stringify(row));
  t.match(terminals, { rejected: 1, rejections: [{ column: "masterKeyWrapped" }] });
});
