// Configuration: precedence, defaults, and a table of bad values with the line each must give.

import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createAdminToken, loadAdminToken, tokensEqual } from "../src/admin-token.js";
import { ConfigError, type ConfigSources, describeConfig, loadConfig } from "../src/config.js";
import { CONFIG_KEYS } from "../src/config-keys.js";
import { nearestName } from "../src/nearest-name.js";
import { createRootKey, loadKeyExchangeKey, loadRootKey } from "../src/root-key.js";

const folder = mkdtempSync(join(tmpdir(), "tongka-config-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** A configuration file with this content. */
function file(content: unknown): string {
  const path = join(folder, "given.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function linesOf(sources: ConfigSources): readonly string[] {
  try {
    loadConfig({ flags: { data: folder }, ...sources });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
}

function messageOf(run: () => unknown): string {
  try {
    run();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

const PATH = join(folder, "given.json");

/** Sources by name: f file, e environment, a arguments. */
const BAD: [
  sources: { f?: unknown; e?: Record<string, string>; a?: object },
  head: string,
  why: string,
][] = [
  [
    { f: { terminals: { port: 70000 } } },
    `terminals.port = 70000 (file ${PATH})`,
    "must be a whole number from 0 to 65,535",
  ],
  [
    { e: { TONGKA_TERMINALS_PORT: "http" } },
    'terminals.port = "http" (environment TONGKA_TERMINALS_PORT)',
    "must be a whole number from 0 to 65,535",
  ],
  [
    { a: { "terminals.port": "-1" } },
    "terminals.port = -1 (flag --terminals-port)",
    "must be a whole number from 0 to 65,535",
  ],
  [
    { f: { session: { seconds: 1.5 } } },
    `session.seconds = 1.5 (file ${PATH})`,
    "must be a whole number from 60 to 2,592,000 (seconds)",
  ],
  [
    { f: { tables: { cardsMax: "5000" } } },
    `tables.cardsMax = "5000" (file ${PATH})`,
    "must be a whole number from 1,000 to 134,217,726 (cards)",
  ],
  [
    { e: { TONGKA_CRYPTO_WORKERS: "many" } },
    'crypto.workers = "many" (environment TONGKA_CRYPTO_WORKERS)',
    "must be auto or a whole number from 0 to 64 (threads)",
  ],
  [
    { a: { "log.level": "loud" } },
    'log.level = "loud" (flag --log-level)',
    "must be one of trace, debug, info, warn, error, fatal, silent",
  ],
  [{ a: { "terminals.host": "" } }, 'terminals.host = "" (flag --terminals-host)', "must be text"],
  [{ f: { log: null } }, `log (file ${PATH})`, "must be an object of keys"],
  [{ f: "{" }, `configuration file ${PATH}`, "must be one JSON object"],
  [{ f: "[1]" }, `configuration file ${PATH}`, "must be one JSON object"],
  [
    { f: { limits: { sessionMax: 5 } } },
    `limits.sessionMax (file ${PATH})`,
    "no such key; did you mean limits.sessionsMax?",
  ],
  [{ f: { limit: {} } }, `limit (file ${PATH})`, "no such key; did you mean limits?"],
  [{ f: '{"__proto__": {}}' }, `__proto__ (file ${PATH})`, "no such key"],
  [
    { e: { TONGKA_LIMITS_SESSION_MAX: "5" } },
    "TONGKA_LIMITS_SESSION_MAX (environment)",
    "no such key; did you mean TONGKA_LIMITS_SESSIONS_MAX?",
  ],
  [{ a: { "log.levle": "info" } }, "log.levle (flag)", "no such key; did you mean log.level?"],
  [
    { a: { "limits.recordsInFlightMax": "4095" } },
    "limits.recordsInFlightMax = 4095 (flag --limits-records-in-flight-max)",
    "must be at least limits.recordsPerFrameMax (4096)",
  ],
  [
    { a: { "terminals.frameSizeMax": "262191" } },
    "terminals.frameSizeMax = 262191 (flag --terminals-frame-size-max)",
    "must be at least 262192, or no frame of limits.recordsPerFrameMax fits",
  ],
  [
    { a: { "session.seconds": "60" } },
    "session.keyOverlapSeconds = 60 (default)",
    "must be less than session.seconds (60)",
  ],
  [
    { f: { session: { seconds: 60, keyOverlapSeconds: 1, challengeSeconds: 60 } } },
    `session.challengeSeconds = 60 (file ${PATH})`,
    "must be less than session.seconds (60)",
  ],
  [
    { a: { "terminals.tlsCertFile": "a.pem" } },
    'terminals.tlsKeyFile = "" (default)',
    "the certificate and its key are given both or neither",
  ],
  [
    { a: { "terminals.tlsKeyFile": "a.pem" } },
    'terminals.tlsCertFile = "" (default)',
    "the certificate and its key are given both or neither",
  ],
  [
    { a: { "terminals.port": "7081" } },
    "control.port = 7081 (default)",
    "must differ from terminals.port on the same host",
  ],
];

t.test("each bad value gives the one line that names key, origin and reason", async (t) => {
  for (const [{ f, e, a }, head, why] of BAD) {
    const sources: ConfigSources = {
      ...(f === undefined ? {} : { configFile: file(f) }),
      environment: e ?? {},
      flags: { data: folder, ...a },
    };
    t.same(linesOf(sources), [`${head}: ${why}`], head);
  }
});

t.test("all wrong values are told at once", async (t) => {
  const lines = linesOf({
    configFile: file({ terminals: { port: -1 }, nonsense: 1 }),
    environment: { TONGKA_LOG_LEVEL: "shout" },
    flags: { "control.port": "x" },
  });
  t.equal(lines.length, 4);
});

t.test("a file that is not there is told with its name", async (t) => {
  const path = join(folder, "none.json");
  t.same(linesOf({ configFile: path }), [`configuration file ${path}: cannot be read (ENOENT)`]);
});

t.test("a data folder that is no text is a fault like any other", async (t) => {
  for (const data of [5, null, {}, { toString: undefined }]) {
    t.throws(() => loadConfig({ flags: { data } }), { name: "ConfigError", message: /data = / });
  }
});

t.test("defaults are valid, and later sources win", async (t) => {
  const config = loadConfig({ flags: { data: folder } });
  t.equal(config.terminals.frameSizeMax, 32 + 4096 * 64 + 16);
  t.equal(config.crypto.workers, "auto");
  t.equal(config.data, folder);
  const layered = loadConfig({
    configFile: file({ terminals: { port: 1, idleSeconds: 11 }, control: { port: 2 } }),
    environment: { TONGKA_TERMINALS_PORT: "3", TONGKA_CRYPTO_WORKERS: "4", HOME: "/" },
    flags: { data: folder, "terminals.port": 5, "control.port": undefined },
  });
  t.equal(layered.terminals.port, 5);
  t.equal(layered.terminals.idleSeconds, 11);
  t.equal(layered.control.port, 2);
  t.equal(layered.crypto.workers, 4);
});

t.test("tongka.json in the data folder is read without being named", async (t) => {
  writeFileSync(join(folder, "tongka.json"), JSON.stringify({ log: { level: "warn" } }));
  t.teardown(() => rmSync(join(folder, "tongka.json")));
  t.equal(loadConfig({ flags: { data: folder } }).log.level, "warn");
  t.equal(loadConfig({ environment: { TONGKA_DATA: folder } }).log.level, "warn");
  writeFileSync(join(folder, "tongka.json"), JSON.stringify({ data: "/elsewhere" }));
  t.match(linesOf({})[0], /^data = "\/elsewhere" \(file .*: must not be set in the data folder's/);
});

t.test("secrets and what Kubernetes sets are no unknown keys", async (t) => {
  const environment = {
    TONGKA_ROOT_KEY: "00",
    TONGKA_ADMIN_TOKEN: "x",
    TONGKA_PORT: "tcp://10.0.0.1:7080",
    TONGKA_PORT_7080_TCP_ADDR: "10.0.0.1",
    TONGKA_SERVICE_HOST: "10.0.0.1",
  };
  t.same(linesOf({ environment }), []);
});

t.test("the description has a line for each key", async (t) => {
  const text = describeConfig();
  t.equal(text.split("\n").length, CONFIG_KEYS.length);
  for (const key of CONFIG_KEYS) t.ok(text.includes(key.key), key.key);
  t.equal(new Set(CONFIG_KEYS.map((key) => key.variable)).size, CONFIG_KEYS.length);
  t.equal(new Set(CONFIG_KEYS.map((key) => key.flag)).size, CONFIG_KEYS.length);
});

t.test("nearest name", async (t) => {
  t.equal(nearestName("terminals.prot", ["terminals.port", "control.port"]), "terminals.port");
  t.equal(nearestName("zzzzzz", ["data", "log"]), null);
});

t.test("the root key is made once, private, and refused when others may read it", async (t) => {
  const key = createRootKey(folder);
  const path = join(folder, "root.key");
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.same(loadRootKey(folder, {}), new Uint8Array(key));
  t.throws(() => createRootKey(folder), /exists already and is never overwritten/);
  chmodSync(path, 0o640);
  t.throws(() => loadRootKey(folder, {}), { message: /mode 640\): chmod 600 / });
  chmodSync(path, 0o600);
  writeFileSync(path, "abcd\n");
  t.throws(() => loadRootKey(folder, {}), { message: /must be 64 hex digits/ });
  t.throws(() => loadRootKey(join(folder, "none"), {}), { message: /run tongka init/ });
  t.same(loadRootKey(folder, { TONGKA_ROOT_KEY: "11".repeat(32) }), new Uint8Array(32).fill(0x11));
  const bad = "1".repeat(63);
  const message = messageOf(() => loadRootKey(folder, { TONGKA_ROOT_KEY: bad }));
  t.match(message, /TONGKA_ROOT_KEY/);
  t.notOk(message.includes(bad), "the key is not in the message");
});

t.test("the key-exchange key has 16, 24 or 32 bytes", async (t) => {
  const path = join(folder, "kek");
  writeFileSync(path, "22".repeat(16), { mode: 0o600 });
  t.equal(loadKeyExchangeKey(path).length, 16);
  writeFileSync(path, "22".repeat(20));
  t.throws(() => loadKeyExchangeKey(path), { message: /must be 32 or 48 or 64 hex digits/ });
});

t.test("the admin token is made once and private", async (t) => {
  const token = createAdminToken(folder);
  t.equal(loadAdminToken(folder, {}), token);
  t.equal(readFileSync(join(folder, "admin.token"), "utf8"), `${token}\n`);
  t.equal(statSync(join(folder, "admin.token")).mode & 0o777, 0o600);
  t.throws(() => loadAdminToken(folder, { TONGKA_ADMIN_TOKEN: "short" }), /TONGKA_ADMIN_TOKEN/);
  t.ok(tokensEqual(token, token));
  t.notOk(tokensEqual(token, `${token}x`));
});
