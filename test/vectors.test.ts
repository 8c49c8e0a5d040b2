// Holds protocol/vectors/*.json to the code, byte for byte, and reads each vector back as a
// terminal of another make would: every frame sound, its MAC right, its fields as written down.
// outside.json comes from published standards: there our code is what is checked.

import { createCipheriv, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import t from "tap";
import {
  checkValue,
  closeCode,
  createMac,
  deriveSessionKeys,
  deriveSignOnKey,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_PROBLEM,
  type FrameProblemName,
  frameProblem,
  frameVerified,
  MAC_ALGORITHM,
  MANAGEMENT_RECORD_SIZE,
  mtiText,
  OUTCOME_RECORD_SIZE,
  readFrameHeader,
  readManagement,
  readOutcome,
  readParameters,
  readUseRecord,
  USE_RECORD_SIZE,
} from "../protocol/index.js";
import { makeVectors, VECTORS_FOLDER } from "./make-vectors.js";

// biome-ignore lint/suspicious/noExplicitAny: a file of vectors is read as it is
function load(name: string): any {
  return JSON.parse(readFileSync(VECTORS_FOLDER + name, "utf8"));
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function macOf(algorithm: number, key: Uint8Array, message: Uint8Array): string {
  const out = new Uint8Array(16);
  const mac = createMac(algorithm, key);
  mac.sign(message, 0, message.length, out, 0);
  return toHex(out);
}

t.test("the files of vectors are what the code makes", async (t) => {
  for (const [name, text] of Object.entries(makeVectors())) {
    t.equal(readFileSync(VECTORS_FOLDER + name, "utf8"), text, `${name}: run make-vectors again`);
  }
});

t.test("mac.json: each MAC made and verified", async (t) => {
  for (const { algorithm, key, message, mac } of load("mac.json").vectors) {
    t.equal(macOf(algorithm, fromHex(key), fromHex(message)), mac);
    const bytes = fromHex(message + mac);
    const size = bytes.length - 16;
    t.ok(createMac(algorithm, fromHex(key)).verify(bytes, 0, size, size));
    bytes[bytes.length - 1]! ^= 1;
    t.notOk(createMac(algorithm, fromHex(key)).verify(bytes, 0, size, size));
  }
});

t.test("kdf.json: each key derived", async (t) => {
  for (const v of load("kdf.json").vectors) {
    const masterKey = fromHex(v.masterKey);
    const signOnKey = deriveSignOnKey(v.algorithm, masterKey, v.terminalId, v.masterKeyVersion);
    t.equal(toHex(signOnKey), v.signOnKey);
    t.equal(toHex(checkValue(v.algorithm, masterKey)), v.checkValue);
    const { requestKey, responseKey } = deriveSessionKeys(
      v.algorithm,
      masterKey,
      v.terminalId,
      v.keyGeneration,
      fromHex(v.terminalNonce),
      fromHex(v.serverNonce),
    );
    t.same([toHex(requestKey), toHex(responseKey)], [v.requestKey, v.responseKey]);
  }
});

for (const name of ["sign-on.json", "management.json", "use.json"]) {
  t.test(`${name}: each frame is sound, verified, and reads as written down`, async (t) => {
    for (const vector of load(name).vectors) {
      const bytes = fromHex(vector.frame);
      const view = new DataView(bytes.buffer);
      t.equal(frameProblem(view, 0, bytes.length), FRAME_PROBLEM.NONE, vector.name);
      const mac = createMac(vector.algorithm, fromHex(vector.key));
      t.ok(frameVerified(mac, bytes, 0, bytes.length));
      t.equal(toHex(bytes.slice(-FRAME_MAC_SIZE)), vector.mac);
      const header = readFrameHeader(view, 0);
      t.same(header, vector.header);
      t.equal(mtiText(header.mti), vector.mti);
      t.same(readBody(vector, view, bytes), bodyOf(vector));
    }
  });
}

function bodyOf(vector: Record<string, unknown>): object {
  const { management, parameters, uses, outcomes } = vector;
  return { management, parameters, uses, outcomes };
}

function readBody(vector: Record<string, unknown>, view: DataView, bytes: Uint8Array): object {
  const count = readFrameHeader(view, 0).count;
  const at = (size: number) =>
    Array.from({ length: count }, (_, i) => FRAME_HEADER_SIZE + i * size);
  const parametersStart = FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE;
  const { management, parameters, uses, outcomes } = vector;
  return {
    management: management && readable(readManagement(view, FRAME_HEADER_SIZE)),
    parameters: parameters && readParameters(bytes, parametersStart, bytes.length - 16),
    uses: uses && at(USE_RECORD_SIZE).map((offset) => readUseRecord(view, offset)),
    outcomes: outcomes && at(OUTCOME_RECORD_SIZE).map((offset) => readOutcome(view, offset)),
  };
}

function readable(record: ReturnType<typeof readManagement>): object {
  const { terminalNonce, serverNonce, ...rest } = record;
  return { ...rest, terminalNonce: toHex(terminalNonce), serverNonce: toHex(serverNonce) };
}

t.test("error.json: each malformed frame has the problem named", async (t) => {
  for (const { name, frame, problem, closeCode: code } of load("error.json").malformed) {
    const bytes = fromHex(frame);
    const found = frameProblem(new DataView(bytes.buffer), 0, bytes.length);
    t.equal(found, FRAME_PROBLEM[problem as FrameProblemName], name);
    t.not(found, FRAME_PROBLEM.NONE, name);
    t.equal(closeCode(found), code);
  }
});

t.test("error.json: each refusal is sound, and authenticated or marked as not", async (t) => {
  for (const { name, frame, status, authenticated, key } of load("error.json").refusals) {
    const bytes = fromHex(frame);
    const view = new DataView(bytes.buffer);
    t.equal(frameProblem(view, 0, bytes.length), FRAME_PROBLEM.NONE, name);
    t.equal(readFrameHeader(view, 0).status, status);
    t.equal(readFrameHeader(view, 0).flags, authenticated ? 0 : 1);
    const mac = createMac(MAC_ALGORITHM.AES_128_CMAC, fromHex(key || "00".repeat(16)));
    t.equal(frameVerified(mac, bytes, 0, bytes.length), authenticated);
  }
});

t.test("outside: CMAC examples of NIST SP 800-38B and RFC 4493", async (t) => {
  const { vectors } = load("outside.json").nistCmac;
  t.equal(vectors.length, 5);
  for (const { key, message, mac } of vectors) {
    t.equal(macOf(MAC_ALGORITHM.AES_128_CMAC, fromHex(key), fromHex(message)), mac);
  }
});

t.test("outside: HMAC-SHA-256 cases of RFC 4231, cut to 16 bytes", async (t) => {
  const { vectors } = load("outside.json").rfc4231;
  t.equal(vectors.length, 6);
  for (const { key, message, output } of vectors) {
    const whole = fromHex(key);
    const shortened = whole.length > 64 ? createHash("sha256").update(whole).digest() : whole;
    const key32 = new Uint8Array(32);
    key32.set(shortened);
    t.equal(macOf(MAC_ALGORITHM.HMAC_SHA_256, key32, fromHex(message)), output.slice(0, 32));
  }
});

t.test("outside: SM4 and SM4-CMAC, SM3", async (t) => {
  const { sm4, sm4Cmac, sm3 } = load("outside.json");
  for (const { key, plaintext, ciphertext, ciphertextMillion } of sm4.vectors) {
    const cipher = createCipheriv("sm4-ecb", fromHex(key), null);
    t.equal(toHex(cipher.update(fromHex(plaintext))), ciphertext);
    // CBC over zeros encrypts each block's result once more.
    const chain = createCipheriv("sm4-cbc", fromHex(key), fromHex(plaintext));
    t.equal(toHex(chain.update(new Uint8Array(16_000_000)).subarray(-16)), ciphertextMillion);
  }
  for (const { key, message, mac } of sm4Cmac.vectors) {
    t.equal(macOf(MAC_ALGORITHM.SM4_CMAC, fromHex(key), fromHex(message)), mac);
  }
  for (const { message, digest } of sm3.vectors) {
    t.equal(createHash("sm3").update(fromHex(message)).digest("hex"), digest);
  }
});
