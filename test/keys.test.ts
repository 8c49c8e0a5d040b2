// Keys do not outlive their use where JavaScript lets one see to it: what the platform's ciphers
// and hashes hand out on the way is zeroed, buffers that are shared keep no copy, tables are zero
// after the end. And MACs are compared by looking at all of both.
//
// The twist: nothing is replaced. The tests watch what the real functions return, and look at it
// again when the code under test has finished.

import crypto from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { CipherBuffer, encryptsInPlace, openPortable } from "../protocol/block-cipher.js";
import { deriveSessionKeys, deriveSignOnKey, MAC_ALGORITHM } from "../protocol/index.js";
import { tagEquals, tagWordsEqual } from "../protocol/mac.js";
import { checkValueOfWrapped } from "../src/cli/wrapped-key.js";
import { TerminalClient } from "../src/client/index.js";
import { newMasterKey } from "../src/control/master-key.js";
import { toTerminalCommand } from "../src/import/terminal-row.js";
import { unwrapHex, unwrapKey, wrapKey } from "../src/key-wrap.js";
import { createRootKey, loadKeyExchangeKey, loadRootKey } from "../src/root-key.js";
import { GOOD_TERMINAL, KEK, VAULT, wrapped } from "./import-samples.js";
import { RawSocket, RawTerminal } from "./raw-terminal.js";
import { CARD_COUNT, masterKeyOf, panOf, serve, TERMINALS } from "./server-kit.js";
import { readSource } from "./source-text.js";

/** Prototypes are not in the package's types. */
const native = crypto as unknown as Record<string, { prototype: Record<string, unknown> }>;

/** What every call of a method returns, while `action` runs. */
async function returnedBy<T>(
  methods: readonly [string, string][],
  action: () => T | Promise<T>,
): Promise<{ result: T; buffers: Buffer[] }> {
  const buffers: Buffer[] = [];
  const restore = methods.map(([name, method]) => {
    const { prototype } = native[name]!;
    const real = prototype[method] as (...args: unknown[]) => unknown;
    prototype[method] = function watched(this: unknown, ...args: unknown[]) {
      const returned = real.apply(this, args);
      if (Buffer.isBuffer(returned)) buffers.push(returned);
      return returned;
    };
    return () => {
      prototype[method] = real;
    };
  });
  try {
    return { result: await action(), buffers };
  } finally {
    for (const each of restore) each();
  }
}

const DECIPHER: readonly [string, string][] = [
  ["Decipheriv", "update"],
  ["Decipheriv", "final"],
];
const DERIVATION: readonly [string, string][] = [
  ["Cipheriv", "update"],
  ["Hmac", "digest"],
];

function zero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Not a copy: that would come from the pool in which keys are looked for. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function holding(buffers: readonly Buffer[], key: Uint8Array): number {
  return buffers.filter((buffer) => buffer.includes(viewOf(key))).length;
}

t.test("the watch sees a key that is left", async (t) => {
  const kek = new Uint8Array(32).fill(1);
  const key = crypto.randomBytes(16);
  const closed = wrapKey(key, kek);
  const { result, buffers } = await returnedBy(DECIPHER, () => unwrapKey(closed, kek));
  t.same(result, key);
  t.equal(holding(buffers, key), 1, "the key itself is one of what was handed out");
  result.fill(0);
  t.equal(holding(buffers, key), 0, "and the only one");
});

t.test("derived keys: no copy but the one that is returned", async (t) => {
  const nonce = crypto.randomBytes(16);
  for (const algorithm of [1, 2, 3, 4]) {
    const master = masterKeyOf(1, 1, algorithm);
    const { result: signOn, buffers } = await returnedBy(DERIVATION, () =>
      deriveSignOnKey(algorithm, master, 7, 1),
    );
    t.equal(holding(buffers, signOn), 0, `sign-on key, algorithm ${algorithm}`);
    const session = await returnedBy(DERIVATION, () =>
      deriveSessionKeys(algorithm, master, 7, 1, nonce, nonce),
    );
    const { requestKey, responseKey } = session.result;
    t.equal(holding(session.buffers, requestKey), 0, `request key, algorithm ${algorithm}`);
    t.equal(holding(session.buffers, responseKey), 0, `response key, algorithm ${algorithm}`);
    const handsOut = !encryptsInPlace() || algorithm >= MAC_ALGORITHM.HMAC_SHA_256;
    t.equal(session.buffers.length > 0, handsOut, "something was watched, if there was something");
  }
});

t.test("what node:crypto hands out in place of encrypting in place is zeroed", async (t) => {
  const cipher = openPortable("aes-128-cbc", crypto.randomBytes(16));
  const { buffers } = await returnedBy(DERIVATION, () => cipher.encrypt(new CipherBuffer(64), 64));
  t.equal(buffers.length, 1);
  t.ok(buffers.every(zero));
});

t.test("master keys that are opened are zeroed, whatever becomes of them", async (t) => {
  const long = wrapped(Buffer.alloc(32, 7));
  const rows: [string, object][] = [
    ["taken", GOOD_TERMINAL],
    ["of another size", { ...GOOD_TERMINAL, masterKeyWrapped: long }],
    ["with another check value", { ...GOOD_TERMINAL, checkValue: "000000" }],
  ];
  for (const [name, row] of rows) {
    const { buffers } = await returnedBy(DECIPHER, () =>
      toTerminalCommand({ ...row }, { vault: VAULT, kek: KEK }),
    );
    t.ok(buffers.length > 0 && buffers.every(zero), `a row ${name}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "tongka-keys-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const kekFile = join(folder, "kek");
  writeFileSync(kekFile, KEK.toString("hex"), { mode: 0o600 });
  for (const [hex, algorithm] of [
    [GOOD_TERMINAL.masterKeyWrapped, "aes-128-cmac"],
    [long, "aes-128-cmac"],
  ] as const) {
    const { buffers } = await returnedBy(DECIPHER, () => {
      try {
        checkValueOfWrapped(hex, kekFile, algorithm);
      } catch {
        // A key of another size is refused, and zeroed all the same.
      }
    });
    t.ok(buffers.length > 0 && buffers.every(zero), "on the command line");
  }
  t.equal(unwrapHex("00".repeat(24), KEK), null);
});

t.test("a new master key is zeroed once it is wrapped and shown", async (t) => {
  const real = crypto.randomBytes;
  const made: Buffer[] = [];
  crypto.randomBytes = ((size: number) => {
    const bytes = real(size);
    made.push(bytes);
    return bytes;
  }) as typeof real;
  syncBuiltinESMExports();
  try {
    for (const algorithm of [1, 2, 3, 4]) {
      const { shownKey } = newMasterKey(VAULT, algorithm);
      t.match(shownKey, /^[0-9a-f]{32,64}$/);
    }
  } finally {
    crypto.randomBytes = real;
    syncBuiltinESMExports();
  }
  t.ok(made.length === 4 && made.every(zero));
});

t.test("keys read from files leave no copy in the pool that buffers share", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tongka-keys-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const root = createRootKey(folder);
  writeFileSync(join(folder, "kek"), KEK.toString("hex"), { mode: 0o600 });
  // A buffer fresh from the pool tells where the pool is.
  const pool = Buffer.from(Buffer.allocUnsafe(8).buffer);
  t.same(loadRootKey(folder, {}), Uint8Array.from(root));
  t.same(loadRootKey("", { TONGKA_ROOT_KEY: viewOf(root).toString("hex") }), Uint8Array.from(root));
  t.same(loadKeyExchangeKey(join(folder, "kek")), Uint8Array.from(KEK));
  t.equal(Buffer.allocUnsafe(8).buffer, pool.buffer, "the pool is still the same");
  t.equal(holding([pool], root), 0, "root key");
  t.equal(holding([pool], KEK), 0, "key-exchange key");
});

t.test("sign-on, uses, key change and the end of a server leave no key", async (t) => {
  const server = await serve(t);
  const { core, vaultKeys } = server.node;
  const secrets: Uint8Array[] = [];
  const { buffers } = await returnedBy([...DECIPHER, ...DERIVATION], async () => {
    const socket = await RawSocket.open(server.terminalsUrl);
    for (const terminalId of TERMINALS) {
      const terminal = new RawTerminal(terminalId);
      await terminal.signOn(socket.exchange);
      const use = terminal.use(panOf(terminalId % CARD_COUNT));
      await socket.exchange(terminal.uses(0x0100, [use]));
      secrets.push(masterKeyOf(terminalId), ...terminal.sessionKeys);
      secrets.push(deriveSignOnKey(terminal.algorithm, masterKeyOf(terminalId), terminalId, 1));
    }
    await socket.close();
  });
  t.ok(buffers.length > 50 && secrets.length === 16, `${buffers.length} buffers watched`);
  for (const secret of secrets) t.equal(holding(buffers, secret), 0, "no key in any of them");
  const table = new Uint8Array(core.keys.table);
  t.notOk(zero(table), "session keys stand in the table while they are used");
  await server.stop();
  t.ok(zero(table), "and are gone at the end");
  t.ok(zero(vaultKeys.tokenizationKey) && zero(vaultKeys.wrappingKey), "so are the vault's keys");
});

t.test("a client zeroes its own copy of the master key, not the caller's", async (t) => {
  const given = Buffer.from(masterKeyOf(1001));
  const client = new TerminalClient({
    url: "ws://127.0.0.1:1/v1/terminal",
    terminalId: 1001,
    macAlgorithm: "aes-128-cmac",
    masterKey: given,
  });
  const { masterKey } = (client as unknown as { identity: { masterKey: Uint8Array } }).identity;
  t.same(Buffer.from(masterKey), given);
  client.close();
  t.ok(zero(masterKey), "its own is zero");
  t.same(given, Buffer.from(masterKeyOf(1001)), "the caller's is as it was");
});

/** Bytes or words that count which of them were looked at. */
function counted<A extends Uint8Array | Int32Array>(values: A, seen: Set<string>): A {
  return new Proxy(values, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) seen.add(key);
      return Reflect.get(target, key, target) as unknown;
    },
  });
}

function looksAtAll(t: Test, tag: Uint8Array, mac: Uint8Array, expected: boolean): void {
  const seen = [new Set<string>(), new Set<string>()] as const;
  t.equal(tagEquals(counted(tag, seen[0]), 3, counted(mac, seen[1]), 5), expected);
  t.same([seen[0].size, seen[1].size], [16, 16], "all of both were looked at");
}

function looksAtAllWords(t: Test, tag: Int32Array, mac: Int32Array, expected: boolean): void {
  const seen = [new Set<string>(), new Set<string>()] as const;
  t.equal(tagWordsEqual(counted(tag, seen[0]), 4, counted(mac, seen[1]), 1), expected);
  t.same([seen[0].size, seen[1].size], [4, 4], "all words of both were looked at");
}

t.test("MACs are compared in constant time: all bytes are looked at, equal or not", async (t) => {
  const tag = crypto.randomBytes(32);
  const mac = new Uint8Array(40);
  mac.set(tag.subarray(3, 19), 5);
  looksAtAll(t, tag, mac, true);
  for (let at = 0; at < 16; at++) {
    const other = mac.slice();
    other[5 + at]! ^= 1;
    looksAtAll(t, tag, other, false);
  }
  looksAtAll(t, tag, new Uint8Array(40), false);

  const tagWords = new Int32Array(crypto.randomBytes(64).buffer.slice(0, 32));
  const macWords = new Int32Array(8);
  macWords.set(tagWords.subarray(4, 8), 1);
  looksAtAllWords(t, tagWords, macWords, true);
  for (let bit = 0; bit < 128; bit++) {
    const other = macWords.slice();
    other[1 + (bit >> 5)]! ^= 1 << (bit & 31);
    looksAtAllWords(t, tagWords, other, false);
  }
});

t.test("nothing but those comparisons, and the platform's, compares what is secret", async (t) => {
  const macFiles = [
    "protocol/mac.ts",
    "protocol/encode.ts",
    "src/mac-groups.ts",
    "src/mac-stage.ts",
  ];
  for (const path of [...macFiles, "src/mac-worker.ts"]) {
    t.notMatch(readSource(path).code, /\.equals\(|Buffer\.compare|\.compare\(/, path);
  }
  t.match(readSource("src/admin-token.ts").code, /timingSafeEqual\(digest\(a\), digest\(b\)\)/);
});
