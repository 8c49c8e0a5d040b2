// How a client of the administration API asks: over real sockets, and what it makes of servers and
// bodies that break off.

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { exchange } from "../src/control/exchange.js";

const DEADLINE_MS = 10_000;

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/x?y=1`;
}

/** Gives back what it was sent: method, path, headers by name, body. */
const mirror: RequestListener = (request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { method, url, headers } = request;
    const body = Buffer.concat(parts).toString("utf8");
    response.writeHead(201).end(JSON.stringify({ method, url, headers, body }));
  });
};

t.test("bodies of all sorts arrive whole", async (t) => {
  const url = await serve(t, mirror);
  const text = "持卡人\n".repeat(100_000);
  async function* inParts() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 65_537) yield bytes.subarray(at, at + 65_537);
  }
  const bodies = { text, bytes: Buffer.from(text), parts: inParts() };
  for (const [what, body] of Object.entries(bodies)) {
    const headers = { "x-what": what };
    const asked = { method: "POST", headers, body, deadlineMs: DEADLINE_MS };
    const { status, text: answer } = await exchange(url, asked);
    t.equal(status, 201);
    const seen = JSON.parse(answer);
    t.match(seen, { method: "POST", url: "/v1/x?y=1", headers, body: text }, what);
    const length = what === "parts" ? undefined : String(Buffer.byteLength(text));
    t.equal(seen.headers["content-length"], length, "what has an end tells its length");
  }
  const { text: answer } = await exchange(url, { method: "GET", deadlineMs: DEADLINE_MS });
  t.match(JSON.parse(answer), { method: "GET", body: "" });
});

t.test("a silent server is given up at the deadline, before and within its answer", async (t) => {
  const silent = await serve(t, () => {});
  const asked = { method: "GET", deadlineMs: 50 };
  await t.rejects(exchange(silent, asked), { name: "TimeoutError" });
  const halting = await serve(t, (_request, response) => response.write("{"));
  await t.rejects(exchange(halting, asked), { name: "TimeoutError" });
});

t.test("half an answer is none", async (t) => {
  const asked = { method: "GET", deadlineMs: DEADLINE_MS };
  const cut = await serve(t, (_request, response) => {
    response.writeHead(200, { "content-length": "10" });
    response.write("{}", () => response.destroy());
  });
  await t.rejects(exchange(cut, asked), { code: "ECONNRESET" });
  const closing = await serve(t, (request) => request.socket.destroy());
  await t.rejects(exchange(closing, asked), { code: "ECONNRESET" });
  await t.rejects(exchange("http://127.0.0.1:1/", asked), { code: "ECONNREFUSED" });
  await t.rejects(exchange("no url", asked), { code: "ERR_INVALID_URL" });
});

t.test("a body that breaks off ends the request with its own cause", async (t) => {
  let ended = false;
  const url = await serve(t, (request) => request.resume().on("end", () => (ended = true)));
  async function* broken() {
    yield Buffer.from("a row\n");
    throw new Error("the file cannot be read");
  }
  const asked = { method: "POST", body: broken(), deadlineMs: DEADLINE_MS };
  await t.rejects(exchange(url, asked), { message: "the file cannot be read" });
  t.equal(ended, false, "the server does not take it for whole");
});

t.test("an answer to what is still being sent is told", async (t) => {
  const url = await serve(t, (request, response) => {
    response.writeHead(413).end("too large");
    request.resume();
  });
  const body = Buffer.alloc(32 * 1024 * 1024);
  const answer = await exchange(url, { method: "POST", body, deadlineMs: DEADLINE_MS });
  t.same(answer, { status: 413, text: "too large" });
});

t.test("a redirection is an answer, and nothing is sent where it points", async (t) => {
  let visits = 0;
  const location = await serve(t, (_request, response) => {
    visits++;
    response.end("{}");
  });
  const url = await serve(t, (_request, response) => {
    response.writeHead(307, { location }).end("{}");
  });
  const asked = { method: "POST", body: "secret", deadlineMs: DEADLINE_MS };
  t.same(await exchange(url, asked), { status: 307, text: "{}" });
  t.equal(visits, 0);
});
