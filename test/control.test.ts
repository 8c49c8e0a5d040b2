// The control plane as a whole: who gets in, what is refused and how, health, faults, and that no
// number that is sent is seen again.

import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import t from "tap";
import { REASON } from "../protocol/reason.js";
import { ControlClient } from "../src/control/client.js";
import { startControl } from "../src/control/control.js";
import { READY_ALL, READY_DRAINING, READY_JOURNAL, READY_REPLAYED } from "../src/metrics.js";
import { monotonicMs } from "../src/shared-clock.js";

import {
  ADMIN_TOKEN,
  engine,
  ID_NUMBER,
  logFile,
  metrics,
  options,
  PAN,
  type Running,
  refusalOf,
  resetEngine,
  startShared,
  stopShared,
} from "./control-harness.js";

const AUTHORIZED = { authorization: `Bearer ${ADMIN_TOKEN}` };
const JSON_TYPE = { "content-type": "application/json" };

let client: ControlClient;
let url: string;
let running: Running;

t.before(async () => {
  running = await startShared();
  ({ client, url } = running);
});

t.beforeEach(resetEngine);

t.teardown(() => stopShared(running));

async function post(path: string, body: string, headers: Record<string, string> = JSON_TYPE) {
  const init = { method: "POST", body, headers: { ...AUTHORIZED, ...headers } };
  const response = await fetch(url + path, init);
  return { status: response.status, text: await response.text() };
}

t.test("its thread has a lower priority than the one that taps wait for", async (t) => {
  // Nineteenth field of proc_pid_stat(5), counted from behind the name, which may hold blanks.
  const nice = (path: string) => Number(readFileSync(path, "utf8").split(") ")[1]!.split(" ")[16]);
  const threads = readdirSync("/proc/self/task").map((id) => nice(`/proc/self/task/${id}/stat`));
  const own = nice(`/proc/self/task/${process.pid}/stat`);
  t.equal(threads.filter((each) => each === own + 10).length, 1);
  t.equal(threads.filter((each) => each === own).length, threads.length - 1);
});

t.test("every route of the document but health wants the token", async (t) => {
  const response = await fetch(`${url}/v1/openapi.json`);
  const document = (await response.json()) as { info: { version: string }; paths: object };
  t.equal(document.info.version, "9.8.7");
  const open = ["/metrics", "/livez", "/readyz"];
  const paths = Object.entries(document.paths as Record<string, object>);
  t.ok(paths.length >= 15, `${paths.length} paths`);
  for (const [path, methods] of paths) {
    for (const method of Object.keys(methods)) {
      const target = url + path.replace(/\{[a-zA-Z]+\}/g, "1");
      const response = await fetch(target, { method: method.toUpperCase() });
      if (open.includes(path)) t.not(response.status, 401, path);
      else t.equal(response.status, 401, `${method} ${path}`);
    }
  }
  t.same(engine.asked, [], "nothing reached the engine");
});

t.test("a wrong token is refused in the same words, whatever it is", async (t) => {
  const wrong = ["", "Bearer", "Bearer x", `Basic ${ADMIN_TOKEN}`, `Bearer ${ADMIN_TOKEN}x`];
  for (const authorization of [...wrong, `bearer  ${ADMIN_TOKEN}`, ADMIN_TOKEN]) {
    const response = await fetch(`${url}/v1/status`, { headers: { authorization } });
    t.equal(response.status, 401, authorization.slice(0, 9));
    t.equal(response.headers.get("www-authenticate"), "Bearer");
    t.match(await response.json(), { error: "UNAUTHORIZED", message: /^send the admin token/ });
  }
});

const BAD_REQUESTS: [method: string, path: string, body: unknown, status: number, text: RegExp][] =
  [
    ["GET", "/v1/nothing", null, 404, /NO_ROUTE/],
    ["GET", `/v1/cards/${PAN}`, null, 404, /NO_ROUTE/],
    ["GET", "/%c0%zz", null, 404, /NO_ROUTE/],
    ["PUT", "/v1/terminals", {}, 404, /NO_ROUTE/],
    [
      "GET",
      "/v1/terminals/0",
      null,
      400,
      /path: terminalId must be a whole number from 1 to 99999999/,
    ],
    ["GET", `/v1/terminals/${PAN}`, null, 400, /path: terminalId must be/],
    [
      "GET",
      "/v1/terminals?count=1001",
      null,
      400,
      /query: count must be a whole number from 1 to 1000/,
    ],
    ["GET", `/v1/terminals?${PAN}=1`, null, 400, /query: an unknown key/],
    [
      "GET",
      "/v1/decisions",
      null,
      400,
      /give rrn alone, or terminalId, businessDate and stan together/,
    ],
    ["GET", "/v1/decisions?rrn=1&stan=2", null, 400, /give rrn alone/],
    ["GET", "/v1/decisions?terminalId=1&stan=2", null, 400, /give rrn alone/],
    ["POST", "/v1/cards/status", {}, 400, /body: cardNumber missing/],
    [
      "POST",
      "/v1/cards/status",
      { cardNumber: 6228480012 },
      400,
      /cardNumber must be text of 12 to 19/,
    ],
    ["POST", "/v1/cards/status", { cardNumber: "6".repeat(16) }, 400, /correct check digit/],
    ["POST", "/v1/cards/status", { cardNumber: PAN, [PAN]: PAN }, 400, /body: an unknown key/],
    [
      "POST",
      "/v1/cards/events",
      { cardNumber: PAN, event: "eat" },
      400,
      /event must be one of load, issue/,
    ],
    ["POST", "/v1/cards/events", { cardNumber: PAN, event: "issue" }, 400, /issue needs idNumber/],
    [
      "POST",
      "/v1/cards/events",
      { cardNumber: PAN, event: "lose", idNumber: ID_NUMBER },
      400,
      /the event lose takes no idNumber/,
    ],
    [
      "POST",
      "/v1/blacklist",
      { subjectKind: "holder", subject: ID_NUMBER.replace(/.$/, "?"), cause: "debt" },
      400,
      /subject has a/,
    ],
    [
      "POST",
      "/v1/organisations",
      {
        organisationId: 1,
        name: "",
        regionCode: 460000,
        parentId: 0,
        domains: ["x"],
        status: "open",
      },
      400,
      /name must be text of 1 to 200 characters; domains\[0\] must be one of/,
    ],
    ["POST", "/v1/import/people", "", 415, /MEDIA_TYPE_UNKNOWN/],
  ];

t.test("a request that does not fit is answered with what it must be, and no value", async (t) => {
  for (const [method, path, body, status, text] of BAD_REQUESTS) {
    const response = await fetch(url + path, {
      method,
      headers: { ...AUTHORIZED, ...(body === null ? {} : JSON_TYPE) },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    t.equal(response.status, status, `${method} ${path}`);
    t.match(answer, text, `${method} ${path}`);
    t.same(Object.keys(JSON.parse(answer)), ["error", "message"]);
    t.notOk(answer.includes(PAN) || answer.includes(ID_NUMBER), "no number in the answer");
  }
  t.same(engine.asked, [], "nothing reached the engine");
});

t.test("bodies are bounded and of a known type", async (t) => {
  const long = JSON.stringify({ cardNumber: "1".repeat(2_200_000) });
  t.match(await post("/v1/cards/status", long), { status: 413, text: /BODY_TOO_LARGE/ });
  t.match(await post("/v1/cards/status", `{"cardNumber": ${PAN}`), {
    status: 400,
    text: /INVALID_JSON/,
  });
  t.match(await post("/v1/cards/status", ""), { status: 400, text: /INVALID_JSON/ });
  const text = { "content-type": "text/plain" };
  t.match(await post("/v1/cards/status", PAN, text), { status: 415, text: /MEDIA_TYPE_UNKNOWN/ });
  const ndjson = { "content-type": "application/x-ndjson" };
  t.match(await post("/v1/cards/status", "{}", ndjson), { status: 415 });
  const line = `${JSON.stringify({ cardNumber: "x" })}\n`;
  const rows = line.repeat(Math.ceil(1_100_000 / line.length));
  t.match(await post("/v1/import/cards", rows, ndjson), { status: 413, text: /importSizeMax/ });
  t.match(await post("/v1/import/cards", "x".repeat(70_000), ndjson), {
    status: 413,
    text: /a line/,
  });
});

t.test("readyz tells what is missing, livez whether the main thread is stuck", async (t) => {
  const table: [bits: number, status: number, reasons: string[]][] = [
    [
      0,
      503,
      [
        "the journal is not replayed yet",
        "the journal is not writable",
        "terminals are not served",
      ],
    ],
    [READY_REPLAYED, 503, ["the journal is not writable", "terminals are not served"]],
    [READY_REPLAYED | READY_JOURNAL, 503, ["terminals are not served"]],
    [READY_ALL, 200, []],
    [READY_ALL | READY_DRAINING, 503, ["the server is stopping"]],
    [READY_ALL & ~READY_JOURNAL, 503, ["the journal is not writable"]],
  ];
  for (const [bits, status, reasons] of table) {
    metrics.setReady(15, false);
    metrics.setReady(bits, true);
    const response = await fetch(`${url}/readyz`);
    t.equal(response.status, status);
    t.same(await response.json(), { ready: status === 200, reasons });
  }
  metrics.setReady(15, false);
  metrics.setReady(READY_ALL, true);
  t.equal((await fetch(`${url}/livez`)).status, 200, "starting is not stuck");
  metrics.setHeartbeat(monotonicMs());
  t.equal((await fetch(`${url}/livez`)).status, 200);
  metrics.setHeartbeat(monotonicMs() - 7200);
  const stuck = await fetch(`${url}/livez`);
  t.equal(stuck.status, 503);
  t.same(await stuck.json(), {
    alive: false,
    reasons: ["the main thread has been silent for 7 s"],
  });
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  metrics.setHeartbeat(monotonicMs());
});

t.test("metrics are scraped while the main thread does nothing but block", async (t) => {
  metrics.countDecision(REASON.APPROVED, 12);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const scraper = new Worker(
    `const { workerData: { url, flag } } = require("node:worker_threads");
     fetch(url + "/metrics").then((r) => r.text()).then((text) => {
       const found = text.includes('reason="APPROVED",response_code="00"} 12');
       Atomics.store(flag, 0, found ? 1 : 2); Atomics.notify(flag, 0);
     });`,
    { eval: true, workerData: { url, flag } },
  );
  t.not(Atomics.wait(flag, 0, 0, 10_000), "timed-out");
  t.equal(flag[0], 1);
  await scraper.terminate();
});

t.test(
  "what the engine refuses is told; what it throws is a fault and told to the main thread",
  async (t) => {
    t.match(await refusalOf(client.status()), {
      status: 409,
      message: /does not answer this here/,
    });
    const faults: Error[] = [];
    const broken = await startControl(
      options({
        handle: () => Promise.reject(new Error(`bug with ${PAN}`)),
        onFault: (error) => faults.push(error),
      }),
    );
    const other = new ControlClient({
      url: `http://127.0.0.1:${broken.port}`,
      adminToken: ADMIN_TOKEN,
    });
    const refusal = await refusalOf(other.checkpoint());
    t.match(refusal, { status: 500, message: "a fault of the server: its log says more" });
    t.match(faults, [{ message: `bug with ${PAN}` }]);
    await broken.stop();
    t.match(await refusalOf(other.checkpoint()), {
      code: "UNREACHABLE",
      message: /nothing listens/,
    });
    t.equal(faults.length, 1, "a stop is no fault");
  },
);

t.test("an address in use is told with what to do", async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  const { control: section, log } = options().config;
  const config = { control: { ...section, port }, log };
  await t.rejects(startControl(options({ config })), {
    message:
      `control plane: 127.0.0.1:${port} is in use by another process: ` +
      "stop it or set another control.port",
  });
  taken.close();
});

t.test("no number that is sent stands in an answer or the log, wherever it was put", async (t) => {
  const places = fc.constantFrom(
    (number: string) => ["GET", `/v1/terminals/${number}`],
    (number: string) => ["GET", `/v1/decisions?rrn=${number}x`],
    (number: string) => ["GET", `/${number}?${number}=${number}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":"${number}x"}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":${number}}`],
    (number: string) => ["POST", "/v1/cards/status", `{"cardNumber":"${number}"`],
    (number: string) => ["POST", "/v1/cards/status", `{"${number}":{"${number}":"${number}"}}`],
    (number: string) => [
      "POST",
      "/v1/cards/events",
      `{"cardNumber":"${number}","event":"${number}"}`,
    ],
    (number: string) => [
      "POST",
      "/v1/blacklist",
      `{"subjectKind":"card","subject":"${number}","cause":"${number}"}`,
    ],
    (number: string) => [
      "POST",
      "/v1/organisations",
      `{"name":"${number}","domains":["${number}"]}`,
    ],
    (number: string) => ["POST", `/v1/import/${number}`, number],
    (number: string) => ["POST", "/v1/import/cards", `{"cardNumber":"${number}"}\n${number}`],
    (number: string) => [
      "POST",
      "/v1/import/blacklist",
      `{"subjectKind":"holder","subject":"${number}"}`,
    ],
  );
  const numbers = fc.stringMatching(/^[1-9][0-9]{14,18}$/);
  const sent: string[] = [];
  const send = async (number: string, place: (number: string) => string[]) => {
    const [method, path, body] = place(number);
    const ndjson = { "content-type": "application/x-ndjson" };
    const response = await fetch(url + path, {
      method: method!,
      headers: { ...AUTHORIZED, ...(path!.startsWith("/v1/import") ? ndjson : JSON_TYPE) },
      ...(body === undefined ? {} : { body }),
    });
    sent.push(number);
    const headers = JSON.stringify([...response.headers]);
    return !(headers + (await response.text())).includes(number);
  };
  await fc.assert(fc.asyncProperty(numbers, places, send), { numRuns: 300 });
  const log = readFileSync(logFile, "utf8");
  for (const number of [...sent, PAN, ID_NUMBER, ADMIN_TOKEN]) {
    if (log.includes(number)) t.fail(`a number of ${number.length} characters is in the log`);
  }
  const lines = log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.ok(lines.length > 300, `${lines.length} lines`);
  t.match(lines.at(-1), { method: String, route: String, status: Number, durationMs: Number });
  t.ok(lines.some((line) => line.route === "/v1/cards/status"));
});
