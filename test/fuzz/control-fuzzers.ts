// Fuzzer of the control plane's bodies and paths, over HTTP to a real server: whatever comes is
// answered, never with a fault of the server, and never with a number that was sent; and whatever
// was done, a restart has the same state.

import fc from "fast-check";
import { loadAdminToken } from "../../src/admin-token.js";
import { openNode } from "../../src/node.js";
import type { RunningServer } from "../../src/server.js";
import { CaseScope } from "../crash/case-scope.js";
import { idNumber, pan } from "../import-samples.js";
import { catalogue, configOf, seededFolder, serve } from "../server-kit.js";
import { type Fuzzer, holds } from "./fuzzer.js";
import { cpuMs, type GrowingWork } from "./growth.js";

const SECRET = pan(77);
const PERSON = idNumber(77);
const JSON_TYPE = "application/json";
const TYPES = [JSON_TYPE, "application/x-ndjson", "application/octet-stream", "text/plain"];

const FLAGS = { "log.level": "silent" };

let running: RunningServer | null = null;
let authorization = "";

/** Serves over a folder of its own; ended, the folder must lead to the state that was left. */
async function openServer(): Promise<() => Promise<void>> {
  const scope = new CaseScope();
  const folder = await seededFolder(scope, FLAGS);
  const server = await serve(scope, { folder, flags: FLAGS });
  running = server;
  authorization = `Bearer ${loadAdminToken(folder, {})}`;
  return async () => {
    try {
      await server.stop();
      const { state } = server.node.engine;
      state.invariants();
      const node = await openNode(configOf(folder, FLAGS));
      const same = node.engine.state.hash() === state.hash();
      await node.close();
      holds(same, "a restart leads to another state");
    } finally {
      await scope.end();
    }
  };
}

/** Bodies that would be taken, by path. */
const SOUND: Readonly<Record<string, object>> = {
  "/v1/cards/status": { cardNumber: SECRET },
  "/v1/cards/events": { cardNumber: SECRET, event: "lose" },
  "/v1/blacklist": { subjectKind: "card", subject: SECRET, cause: "stolen" },
  "/v1/blacklist/search": { subjectKind: "holder", subject: PERSON },
  "/v1/organisations": {
    organisationId: 1,
    name: "x",
    regionCode: 460_000,
    parentId: 0,
    domains: ["transport"],
    status: "open",
  },
  "/v1/catalogue": catalogue(1),
  "/v1/terminals": {
    terminalId: 7,
    organisationId: 1,
    regionCode: 460_100,
    domains: ["transport"],
    masterKey: "new",
  },
  "/v1/import/cards": { cardNumber: SECRET, idNumber: PERSON, medium: "chip", status: "active" },
  "/v1/import/blacklist": { subjectKind: "card", subject: SECRET, cause: "stolen" },
  "/v1/commands/1": {},
};

const anything = fc.oneof(
  fc.constantFrom(SECRET, PERSON, Number(SECRET), [], {}, null, "", 0),
  fc.anything({ maxDepth: 2 }),
);

/** A sound body with some keys changed or new ones, or no body of the kind at all. */
const request = fc.constantFrom(...Object.keys(SOUND)).chain((path) => {
  const sound = SOUND[path]!;
  const key = fc.constantFrom(...Object.keys(sound), SECRET, "__proto__", "constructor");
  const changed = fc.dictionary(key, anything, { maxKeys: 3 }).map((c) => ({ ...sound, ...c }));
  const body = fc.oneof(
    changed.map(textOf),
    anything.map(textOf),
    fc.string(),
    fc.constant(SECRET),
  );
  return fc.record({ path: fc.constant(path), body, type: fc.constantFrom(...typesOf(path)) });
});

function typesOf(path: string): string[] {
  if (path.startsWith("/v1/import")) return ["application/x-ndjson"];
  return path.startsWith("/v1/commands") ? TYPES : [JSON_TYPE, JSON_TYPE, ...TYPES];
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? 0 : each)) ?? "null";
}

async function checkAnswer(path: string, init: RequestInit): Promise<void> {
  const headers = { authorization, ...init.headers };
  const response = await fetch(running!.controlUrl + path, { ...init, headers });
  const text = await response.text();
  holds(response.status < 500 || response.status === 503, "a fault of the server");
  holds(!text.includes(SECRET) && !text.includes(PERSON), "an answer repeats a number");
  const answer = JSON.parse(text) as Record<string, unknown>;
  if (response.status < 400) return;
  const kind = [typeof answer.error, typeof answer.message].join();
  holds(kind === "string,string", "a refusal in another form");
}

const CONTROL: Fuzzer = {
  name: "control",
  about: "requests to the control plane: answered, without a fault and without a number",
  open: openServer,
  properties: () => [
    fc.asyncProperty(request, async ({ path, body, type }) => {
      await checkAnswer(path, { method: "POST", body, headers: { "content-type": type } });
    }),
    fc.asyncProperty(
      fc.constantFrom("/v1/terminals", "/v1/organisations", "/v1/blacklist", "/v1/decisions"),
      fc.oneof(fc.webPath(), fc.constantFrom(`/${SECRET}`, `?count=${SECRET}`, "?after=-1", "/0")),
      async (path, rest) => {
        await checkAnswer(path + rest, {});
      },
    ),
  ],
  growth: [
    // 16 times as many are told one by one: over 10,000 a row costs less.
    bodyOf("bad rows", 600, "/v1/import/cards", (n) => '{"cardNumber":1}\n'.repeat(n)),
    bodyOf("a value and lists within lists", 12_000, "/v1/cards/status", (n) => {
      return `{"cardNumber":"${"\\n".repeat(4 * n)}","x":${"[".repeat(n)}${"]".repeat(n)}}`;
    }),
    bodyOf("keys", 5000, "/v1/terminals", (n) =>
      textOf(Object.fromEntries(Array.from({ length: n }, (_, i) => [`x${i}`, 1]))),
    ),
  ],
};

/** Work on a body that grows. */
function bodyOf(
  what: string,
  size: number,
  path: string,
  text: (size: number) => string,
): GrowingWork {
  const headers = { "content-type": typesOf(path)[0]! };
  return {
    what,
    size,
    prepare: (count) => {
      const body = text(count);
      return () => checkAnswer(path, { method: "POST", body, headers });
    },
    count: cpuMs,
  };
}

export const CONTROL_FUZZERS: readonly Fuzzer[] = [CONTROL];
