// Holds protocol/README.md to the code: tables of reasons and problems row by row, each field of
// each layout with its offset and size, and every long hexadecimal number to the vectors.

import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import t from "tap";
import * as protocol from "../protocol/index.js";
import { makeVectors } from "./make-vectors.js";
import { ScriptedServer } from "./scripted-server.js";

const README = readFileSync(new URL("../../protocol/README.md", import.meta.url), "utf8");

/** The text of one section, from its heading to the next. */
function section(heading: string): string {
  const start = README.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error("the specification lacks a section");
  const end = README.indexOf("\n## ", start + 4);
  return README.slice(start, end < 0 ? undefined : end);
}

/** The cells of the rows of a section's tables whose first cell is a number. */
function rows(heading: string): string[][] {
  const lines = section(heading).split("\n");
  const cells = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return cells.filter(([first]) => first !== undefined && /^[0-9]+$/.test(first));
}

t.test("reasons: the document and the table are one", async (t) => {
  const { REASON_NAMES, RESPONSE_CODES, REASON_TEXTS } = protocol;
  const expected = REASON_NAMES.map((name, number) => {
    return [String(number), name, RESPONSE_CODES[number], REASON_TEXTS[number]];
  });
  t.same(rows("Reasons"), expected);
});

t.test("frame problems: the document and the table are one", async (t) => {
  const { FRAME_PROBLEM_NAMES, FRAME_PROBLEM_TEXTS, closeCode } = protocol;
  const expected = FRAME_PROBLEM_NAMES.map((name, number) => {
    return [String(number), name, String(closeCode(number)), FRAME_PROBLEM_TEXTS[number]];
  });
  t.same(rows("Malformed frames"), expected.slice(1));
});

t.test("MAC algorithms: the document and the table are one", async (t) => {
  const { MAC_ALGORITHM_NAMES, MAC_KEY_SIZES } = protocol;
  const expected = MAC_ALGORITHM_NAMES.map((name, number) => {
    return [String(number), name, `${MAC_KEY_SIZES[number]} bytes`];
  });
  t.same(
    rows("MAC").map((cells) => cells.slice(0, 3)),
    expected.slice(1),
  );
});

/** Offsets by field, and the size of the whole; reserved fields go by their offset alone. */
const LAYOUTS: [string, number, Record<string, number>][] = [
  [
    "Frame",
    protocol.FRAME_HEADER_SIZE,
    {
      magic: protocol.FRAME_MAGIC_OFFSET,
      version: protocol.FRAME_VERSION_OFFSET,
      flags: protocol.FRAME_FLAGS_OFFSET,
      mti: protocol.FRAME_MTI_OFFSET,
      count: protocol.FRAME_COUNT_OFFSET,
      senderId: protocol.FRAME_SENDER_ID_OFFSET,
      keyGeneration: protocol.FRAME_KEY_GENERATION_OFFSET,
      sequence: protocol.FRAME_SEQUENCE_OFFSET,
      bodySize: protocol.FRAME_BODY_SIZE_OFFSET,
      timeMs: protocol.FRAME_TIME_OFFSET,
      status: protocol.FRAME_STATUS_OFFSET,
    },
  ],
  [
    "Use record",
    protocol.USE_RECORD_SIZE,
    {
      pan: protocol.USE_PAN_OFFSET,
      terminalId: protocol.USE_TERMINAL_ID_OFFSET,
      stan: protocol.USE_STAN_OFFSET,
      businessDate: protocol.USE_BUSINESS_DATE_OFFSET,
      itemCode: protocol.USE_ITEM_CODE_OFFSET,
      amountMinor: protocol.USE_AMOUNT_OFFSET,
      localTime: protocol.USE_LOCAL_TIME_OFFSET,
      medium: protocol.USE_MEDIUM_OFFSET,
      flags: protocol.USE_FLAGS_OFFSET,
      originalStan: protocol.USE_ORIGINAL_STAN_OFFSET,
      originalBusinessDate: protocol.USE_ORIGINAL_DATE_OFFSET,
    },
  ],
  ["Card number block", protocol.PAN_BLOCK_SIZE, { kind: protocol.PAN_KIND_OFFSET }],
  [
    "Outcome record",
    protocol.OUTCOME_RECORD_SIZE,
    {
      terminalId: protocol.OUTCOME_TERMINAL_ID_OFFSET,
      stan: protocol.OUTCOME_STAN_OFFSET,
      businessDate: protocol.OUTCOME_BUSINESS_DATE_OFFSET,
      responseCode: protocol.OUTCOME_RESPONSE_CODE_OFFSET,
      reason: protocol.OUTCOME_REASON_OFFSET,
      rrn: protocol.OUTCOME_RRN_OFFSET,
      authorizationId: protocol.OUTCOME_AUTHORIZATION_ID_OFFSET,
      flags: protocol.OUTCOME_FLAGS_OFFSET,
      differingField: protocol.OUTCOME_DIFFERING_FIELD_OFFSET,
    },
  ],
  [
    "Management record",
    protocol.MANAGEMENT_RECORD_SIZE,
    {
      functionCode: protocol.MANAGEMENT_FUNCTION_OFFSET,
      step: protocol.MANAGEMENT_STEP_OFFSET,
      macAlgorithm: protocol.MANAGEMENT_MAC_ALGORITHM_OFFSET,
      masterKeyVersion: protocol.MANAGEMENT_MASTER_KEY_VERSION_OFFSET,
      keyGeneration: protocol.MANAGEMENT_KEY_GENERATION_OFFSET,
      expiresAt: protocol.MANAGEMENT_EXPIRES_AT_OFFSET,
      terminalNonce: protocol.MANAGEMENT_TERMINAL_NONCE_OFFSET,
      serverNonce: protocol.MANAGEMENT_SERVER_NONCE_OFFSET,
      reserved: protocol.MANAGEMENT_RESERVED_OFFSET,
    },
  ],
];

for (const [heading, size, offsets] of LAYOUTS) {
  t.test(`${heading}: fields stand where the code has them, without a gap`, async (t) => {
    let end = 0;
    const found: Record<string, number> = {};
    for (const [offset, fieldSize, field] of rows(heading)) {
      if (Number(offset) >= size) break;
      t.equal(Number(offset), end, field);
      end += Number(fieldSize);
      found[field!] = Number(offset);
    }
    t.equal(end, size);
    for (const [field, offset] of Object.entries(offsets)) t.equal(found[field], offset, field);
  });
}

t.test("names of differing fields and of parameters stand in the document", async (t) => {
  const listed = protocol.DIFFERING_FIELDS.slice(1).map((name, i) => `${i + 1} ${name}`);
  const text = section("Outcome record").replaceAll("\n", " ");
  t.ok(text.includes(listed.join(", ")));
  const bytes = new Uint8Array(200);
  const sample = {
    businessDate: 20260105,
    serverTimeMs: 0,
    recordsPerFrameMax: 1,
    recordsInFlightMax: 1,
    sessionSeconds: 1,
    keyOverlapSeconds: 0,
  };
  t.ok(protocol.writeParameters(bytes, 0, sample) > 0);
  for (const name of Object.keys(sample)) {
    t.match(section("Management record"), new RegExp(`^\\| ${name} +\\|`, "m"));
  }
});

t.test("worked numbers are those of the vectors", async (t) => {
  const vectors = Object.values(makeVectors()).join("\n");
  const numbers = README.match(/\b[0-9a-f]{32,}\b/g) ?? [];
  t.ok(numbers.length > 20);
  for (const number of new Set(numbers)) t.ok(vectors.includes(number), number.slice(0, 16));
});

t.test("limits are those of the code", async (t) => {
  const limits = section("Limits");
  for (const limit of [
    protocol.FRAME_RECORDS_MAX,
    protocol.FRAME_SIZE_MAX,
    protocol.MANAGEMENT_BODY_SIZE_MAX,
    protocol.TERMINAL_ID_MAX,
    protocol.ITEM_CODE_MAX,
    protocol.STAN_MAX,
    protocol.AMOUNT_MINOR_MAX,
  ]) {
    t.ok(limits.includes(limit.toLocaleString("en-US")), String(limit));
  }
});

const EXAMPLE = fileURLToPath(new URL("../../protocol/examples/terminal.py", import.meta.url));
const HMAC_SHA_256 = 3;

/** Runs the Python terminal; resolves with its exit code and what it wrote. */
function runExample(port: number, key: Uint8Array): Promise<{ code: number; stdout: string }> {
  const url = `http://127.0.0.1:${port}/v1/messages`;
  const args = [EXAMPLE, url, "46000001", "6214000000000000019", "3000001", "200"];
  const env = { ...process.env, TERMINAL_KEY: Buffer.from(key).toString("hex") };
  return new Promise((resolve) => {
    execFile("python3", args, { env }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout });
    });
  });
}

const skip = spawnSync("python3", ["--version"]).status === 0 ? false : "no python3 here";

t.test("the example terminal in Python, written from the document", { skip }, async (t) => {
  const key = new Uint8Array(32).fill(5);
  const server = new ScriptedServer(HMAC_SHA_256, key);
  const port = await server.listen();
  t.teardown(() => server.close());
  const approved = await runExample(port, key);
  t.equal(approved.code, 0);
  t.match(JSON.parse(approved.stdout), { responseCode: "00", reason: 0 });
  server.onUse = () => "wrong-mac";
  t.equal((await runExample(port, key)).code, 3, "an answer with a wrong MAC is not believed");
  server.onUse = () => ({ refuse: "00", authenticated: false });
  t.equal((await runExample(port, key)).code, 3, "an unauthenticated answer is not believed");
  t.equal((await runExample(port, new Uint8Array(32))).code, 3, "a wrong key signs nobody on");
});
