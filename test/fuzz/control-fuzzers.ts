// Fuzzer of the control plane's bodies and paths, over HTTP to the real worker: whatever comes is
// answered, never with a fault of the server, and never with a number that was sent.

import fc from "fast-check";
import {
  ADMIN_TOKEN,
  engine,
  type Running,
  resetEngine,
  startShared,
  stopShared,
} from "../control-harness.js";
import { idNumber, pan } from "../import-samples.js";
import { catalogue } from "../server-kit.js";
import { type Fuzzer, holds } from "./fuzzer.js";
import type { GrowingWork } from "./growth.js";

const SECRET = pan(77);
const PERSON = idNumber(77);
const JSON_TYPE = "application/json";
const TYPES = [JSON_TYPE, "application/x-ndjson", "application/octet-stream", "text/plain"];

let running: Running | null = null;

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
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...init.headers };
  const response = await fetch(running!.url + path, { ...init, headers });
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
  open: async () => {
    running = await startShared();
    resetEngine();
    engine.answers = { card: null, terminal: null, organisation: null, blacklist: [] };
    return () => stopShared(running!);
  },
  properties: () => [
    fc.asyncProperty(request, async ({ path, body, type }) => {
      engine.asked = [];
      await checkAnswer(path, { method: "POST", body, headers: { "content-type": type } });
    }),
    fc.asyncProperty(
      fc.constantFrom("/v1/terminals", "/v1/organisations", "/v1/blacklist", "/v1/decisions"),
      fc.oneof(fc.webPath(), fc.constantFrom(`/${SECRET}`, `?count=${SECRET}`, "?after=-1", "/0")),
      async (path, rest) => {
        engine.asked = [];
        await checkAnswer(path + rest, {});
      },
    ),
  ],
  growth: [
    bodyOf("bad rows", 1000, "/v1/import/cards", (n) => '{"cardNumber":1}\n'.repeat(n)),
    bodyOf("lists within lists", 10_000, "/v1/blacklist", (n) => "[".repeat(n) + "]".repeat(n)),
    bodyOf("keys", 2000, "/v1/terminals", (n) =>
      textOf(Object.fromEntries(Array.from({ length: n }, (_, i) => [`x${i}`, 1]))),
    ),
    bodyOf("a value", 60_000, "/v1/cards/status", (n) => textOf({ cardNumber: "\n".repeat(n) })),
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
  };
}

export const CONTROL_FUZZERS: readonly Fuzzer[] = [CONTROL];
