// Every field of every frame at its edges and past them, under a MAC that holds: what is out of its
// range is refused as the protocol says, by itself, and the record beside it is answered.

import t, { type Test } from "tap";
import {
  closeCode,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_SIZE_MAX,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  FUNCTION_SIGN_ON,
  MTI_MANAGEMENT_REQUEST,
  MTI_REVERSAL_REQUEST,
  MTI_USE_REQUEST,
  NONCE_SIZE,
  REASON_NAMES,
  sealFrame,
  USE_RECORD_SIZE,
  writeUseRecord,
} from "../protocol/index.js";
import { fateOf, type SignedOn, Target } from "./abuse-kit.js";
import { post, type RawTerminal } from "./raw-terminal.js";
import { CARD_COUNT, GATE_FIRST, httpUrl, ITEM_ELSEWHERE, panOf } from "./server-kit.js";

const ZERO_NONCE = new Uint8Array(NONCE_SIZE);

const target = await Target.start(t);
const { terminalsUrl, node } = target.server;
const { metrics } = node;

// field | offset | size | values | what becomes of the frame: a problem's name or a status
const HEADER_ROWS = `
  magic          | 0  | 2 | 0 0x4b53 0x544b 0xffff              | MAGIC_WRONG
  version        | 2  | 1 | 0 2 255                             | VERSION_UNKNOWN
  flags          | 3  | 1 | 1 2 3 128 255                       | FLAGS_INVALID
  mti            | 4  | 2 | 0 1 0x0101 0x0200 0x0900 0xffff     | MTI_UNKNOWN
  mti response   | 4  | 2 | 0x0110 0x0130 0x0410 0x0430 0x0810  | STATUS_INVALID
  mti management | 4  | 2 | 0x0800                              | 30
  count          | 6  | 2 | 0 4097 65535                        | COUNT_INVALID
  count          | 6  | 2 | 2 4096                              | BODY_SIZE_INVALID
  senderId       | 8  | 4 | 0 100000000 4294967295              | SENDER_ID_INVALID
  senderId       | 8  | 4 | 1 99999999                          | 97
  keyGeneration  | 12 | 4 | 0 2147483648 4294967295             | A0
  sequence       | 16 | 4 | 0                                   | 63
  bodySize       | 20 | 4 | 0 63 65 128 2147483648 4294967295   | SIZE_DIFFERS
  timeMs         | 24 | 6 | 0 281474976710655                   | 00
  status         | 30 | 2 | 1 0x3030 0x3041 0xffff              | STATUS_INVALID
`;

// field | offset | size | values | response code and reason, in a frame of 0100
const USE_ROWS = `
  pan digits     | 0  | 1 | 0 11 18 20 255                 | 14 CARD_NUMBER_INVALID
  pan half bytes | 1  | 1 | 0x6a 0xf2 0xff                 | 14 CARD_NUMBER_INVALID
  pan filler     | 10 | 1 | 0x00 0x90 0x9e                 | 14 CARD_NUMBER_INVALID
  pan zeros      | 11 | 1 | 1 255                          | 14 CARD_NUMBER_INVALID
  pan zeros      | 14 | 1 | 1 255                          | 14 CARD_NUMBER_INVALID
  pan kind       | 15 | 1 | 1 2 255                        | 14 CARD_NUMBER_INVALID
  terminalId     | 16 | 4 | 0 100000000 4294967295         | 30 FORMAT_INVALID
  terminalId     | 16 | 4 | 1 99999999                     | 97 TERMINAL_UNKNOWN
  terminalId     | 16 | 4 | 1001                           | 58 TERMINAL_NOT_OF_SENDER
  stan           | 20 | 4 | 0 1000000 4294967295           | 30 FORMAT_INVALID
  stan           | 20 | 4 | 1 999999                       | 00 APPROVED
  businessDate   | 24 | 4 | 0 1 19691231 20250229 20251301 20250100 20250431 | 30 FORMAT_INVALID
  businessDate   | 24 | 4 | 100000101 4294967295           | 30 FORMAT_INVALID
  businessDate   | 24 | 4 | 19700101 20200101              | 68 DATE_TOO_OLD
  businessDate   | 24 | 4 | 99991231                       | 90 DATE_AHEAD
  itemCode       | 28 | 4 | 0 100000000 4294967295         | 30 FORMAT_INVALID
  itemCode       | 28 | 4 | 1 99999999                     | 12 ITEM_UNKNOWN
  amountMinor    | 32 | 8 | 0 1000                         | 00 APPROVED
  amountMinor    | 32 | 8 | 1001 4294967296 999999999999   | 61 AMOUNT_OVER_LIMIT
  amountMinor    | 32 | 8 | 1000000000000 9007199254740993 9223372036854775807 | 13 AMOUNT_INVALID
  amountMinor    | 32 | 8 | -1 -9223372036854775808        | 13 AMOUNT_INVALID
  localTime      | 40 | 4 | 0 4294967295                   | 00 APPROVED
  medium         | 44 | 1 | 0 3 255                        | 30 FORMAT_INVALID
  medium         | 44 | 1 | 2                              | 57 MEDIUM_NOT_ALLOWED
  flags          | 45 | 1 | 1 128 255                      | 30 FORMAT_INVALID
  reserved       | 46 | 2 | 1 256 65535                    | 30 FORMAT_INVALID
  originalStan   | 48 | 4 | 1 4294967295                   | 30 FORMAT_INVALID
  originalDate   | 52 | 4 | 1 20260101 4294967295          | 30 FORMAT_INVALID
  reserved       | 56 | 4 | 1 4294967295                   | 30 FORMAT_INVALID
  reserved       | 60 | 4 | 1 4294967295                   | 30 FORMAT_INVALID
`;

// The same in a frame of 0400.
const REVERSAL_ROWS = `
  originalStan | 48 | 4 | 0 1000000 4294967295                      | 30 FORMAT_INVALID
  originalStan | 48 | 4 | 1 999998                                  | 25 ORIGINAL_NOT_FOUND
  originalDate | 52 | 4 | 0 20250229 100000101 4294967295           | 30 FORMAT_INVALID
  originalDate | 52 | 4 | 20200101                                  | 68 DATE_TOO_OLD
  originalDate | 52 | 4 | 99991231                                  | 90 DATE_AHEAD
  reserved     | 56 | 8 | 1                                         | 30 FORMAT_INVALID
`;

// field | offset | size | values | status of the answer, in an 0800 of the session
const MANAGEMENT_ROWS = `
  functionCode     | 0  | 2 | 0 1 3 100 102 300 302 65535 | 30
  step             | 2  | 1 | 0 1 255                     | 00
  macAlgorithm     | 3  | 1 | 0 1 5 255                   | 00
  masterKeyVersion | 4  | 4 | 0 4294967295                | 00
  keyGeneration    | 8  | 4 | 0 4294967295                | 00
  expiresAt        | 12 | 4 | 0 4294967295                | 00
  terminalNonce    | 16 | 4 | 0 4294967295                | 00
  serverNonce      | 32 | 4 | 0 4294967295                | 00
  reserved         | 48 | 8 | 1                           | 00
`;

// In an 0800 that signs on.
const SIGN_ON_ROWS = `
  functionCode     | 0  | 2 | 0 2 3 101 301 65535   | A0
  step             | 2  | 1 | 2 7 255               | 30
  macAlgorithm     | 3  | 1 | 0 2 3 4 5 255         | A0
  masterKeyVersion | 4  | 4 | 0 2 8388608 4294967295 | A0
  keyGeneration    | 8  | 4 | 1 4294967295          | 00
  reserved         | 48 | 8 | 1                     | 00
`;

interface Row {
  name: string;
  offset: number;
  /** The field's bytes. */
  bytes: Uint8Array;
  answer: string;
}

/** One row for each value. */
function readRows(table: string): Row[] {
  const lines = table.split("\n").filter((line) => line.trim() !== "");
  return lines.flatMap((line) => {
    const [field, offset, size, values, answer] = line.split("|").map((cell) => cell.trim());
    return values!.split(/\s+/).map((value) => ({
      name: `${field} ${value}`,
      offset: Number(offset),
      bytes: littleEndian(value, Number(size)),
      answer: answer!,
    }));
  });
}

function littleEndian(value: string, size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, BigInt(value)), true);
  return bytes.slice(0, size);
}

/** A frame with a field of its header set, sealed again. */
function withHeader({ terminal }: SignedOn, row: Row): Uint8Array {
  const frame = terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(1))]);
  frame.set(row.bytes, row.offset);
  sealFrame(terminal.requestMac, frame, 0, frame.length - FRAME_MAC_SIZE);
  return frame;
}

t.test("fields of the header", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST);
  const rows = readRows(HEADER_ROWS);
  for (const row of rows) {
    const mark = target.mark();
    t.equal(await fateOf(terminalsUrl, withHeader(gate, row)), row.answer, row.name);
    if (row.answer !== "00") await target.unchanged(t, mark, row.name);
  }
  t.comment(`header fields tried: ${rows.length}`);
  await target.unharmed(t);
});

/** Asks records with one field changed, each between two good ones, in one frame and alone. */
async function checkRecords(t: Test, gate: SignedOn, mti: number, table: string): Promise<void> {
  const { terminal, ask } = gate;
  const rows = readRows(table);
  const reversal = mti === MTI_REVERSAL_REQUEST;
  const undo = reversal ? { originalStan: 999_998, originalBusinessDate: 0 } : {};
  if (reversal) undo.originalBusinessDate = terminal.businessDate;
  const good = () => terminal.use(panOf(2), undo);
  const bodies = rows.map((row) => {
    const body = new Uint8Array(3 * USE_RECORD_SIZE);
    for (let i = 0; i < 3; i++) writeUseRecord(body, i * USE_RECORD_SIZE, good());
    body.set(row.bytes, USE_RECORD_SIZE + row.offset);
    return body;
  });
  for (const [i, row] of rows.entries()) {
    const { verified, outcomes } = await ask(terminal.seal({ mti }, bodies[i]!, 3));
    const told = outcomes.map(
      ({ responseCode, reason }) => `${responseCode} ${REASON_NAMES[reason]}`,
    );
    const beside = reversal ? "25 ORIGINAL_NOT_FOUND" : "00 APPROVED";
    t.same([verified, ...told], [true, beside, row.answer, beside], row.name);
    t.ok(outcomes.every((outcome) => outcome.authorizationId > 0 === isApproved(outcome)));
  }
  t.comment(`record fields tried in ${mti.toString(16)}: ${rows.length}`);
}

function isApproved({ responseCode }: { responseCode: string }): boolean {
  return responseCode === "00";
}

t.test("fields of a use", async (t) => {
  await checkRecords(t, await target.signedOn(t, GATE_FIRST + 2), MTI_USE_REQUEST, USE_ROWS);
  await target.unharmed(t);
});

t.test("fields of a reversal", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 3);
  await checkRecords(t, gate, MTI_REVERSAL_REQUEST, REVERSAL_ROWS);
  await target.unharmed(t);
});

t.test("cards and items that are none", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 4);
  const pan = panOf(6);
  const wrongCheck = pan.slice(0, -1) + ((Number(pan.at(-1)) + 1) % 10);
  const rows: [string, Partial<ReturnType<RawTerminal["use"]>>, string][] = [
    ["unknown card", { pan: panOf(CARD_COUNT) }, "14 CARD_UNKNOWN"],
    ["wrong check digit", { pan: wrongCheck }, "14 CARD_NUMBER_INVALID"],
    ["eleven digits", { pan: pan.slice(0, 11) }, "14 CARD_NUMBER_INVALID"],
    ["no digits", { pan: "" }, "14 CARD_NUMBER_INVALID"],
    ["item of elsewhere", { itemCode: ITEM_ELSEWHERE }, "58 REGION_NOT_SERVED"],
  ];
  for (const [name, changes, answer] of rows) {
    const use = gate.terminal.use(pan, changes);
    const { responseCode, reason } = await gate.decide(MTI_USE_REQUEST, use);
    t.equal(`${responseCode} ${REASON_NAMES[reason]}`, answer, name);
  }
});

/** The status of a management frame with one field changed. */
async function statusFor(
  gate: SignedOn,
  row: Row,
  functionCode: number,
  signsOn: boolean,
): Promise<string> {
  const { terminal, ask } = gate;
  const sound = signsOn
    ? terminal.signOnFrame(0, new Uint8Array(NONCE_SIZE).fill(3), ZERO_NONCE)
    : terminal.manage(functionCode);
  const body = sound.slice(FRAME_HEADER_SIZE, -FRAME_MAC_SIZE);
  body.set(row.bytes, row.offset);
  const header = signsOn
    ? { mti: MTI_MANAGEMENT_REQUEST, keyGeneration: 0, sequence: 0 }
    : { mti: MTI_MANAGEMENT_REQUEST };
  const mac = signsOn ? terminal.signOnMac() : terminal.requestMac;
  return (await ask(terminal.seal(header, body, 1, mac))).header.status;
}

t.test("fields of a management record", async (t) => {
  const gate = await target.signedOn(t, GATE_FIRST + 5);
  const rows = readRows(MANAGEMENT_ROWS);
  for (const row of rows) {
    const mark = target.mark();
    t.equal(await statusFor(gate, row, FUNCTION_ECHO, false), row.answer, row.name);
    if (row.answer !== "00") await target.unchanged(t, mark, row.name);
  }
  const signOnRows = readRows(SIGN_ON_ROWS);
  const mark = target.mark();
  for (const row of signOnRows) {
    t.equal(await statusFor(gate, row, FUNCTION_SIGN_ON, true), row.answer, `sign-on, ${row.name}`);
  }
  await target.unchanged(t, mark, "sign-on");
  t.comment(`management fields tried: ${rows.length + signOnRows.length}`);
  await bodySizes(t, gate);
  await target.unharmed(t);
});

/** The body of an 0800 may be longer than its record, up to a limit. */
async function bodySizes(t: Test, gate: SignedOn): Promise<void> {
  const { terminal } = gate;
  for (const functionCode of [FUNCTION_ECHO, FUNCTION_KEY_CHANGE, FUNCTION_SIGN_OFF]) {
    const record = terminal.manage(functionCode).slice(FRAME_HEADER_SIZE, -FRAME_MAC_SIZE);
    for (const size of [0, 63, 4097, 65_536]) {
      const body = new Uint8Array(size);
      body.set(record.subarray(0, size));
      const frame = terminal.seal({ mti: MTI_MANAGEMENT_REQUEST }, body, 1);
      t.equal(await fateOf(terminalsUrl, frame), "BODY_SIZE_INVALID", `a body of ${size} bytes`);
    }
  }
  const body = new Uint8Array(4096).fill(0xff);
  body.set(terminal.manage(FUNCTION_ECHO).slice(FRAME_HEADER_SIZE, -FRAME_MAC_SIZE));
  const longest = terminal.seal({ mti: MTI_MANAGEMENT_REQUEST }, body, 1);
  t.equal(await fateOf(terminalsUrl, longest), "00", "what follows the record is passed over");
}

t.test("frames that are none close the connection with the documented code", async (t) => {
  const gate = await target.signedOn(t, 1001);
  const { terminal } = gate;
  const sound = terminal.uses(MTI_USE_REQUEST, [terminal.use(panOf(11))]);
  const changed = (offset: number, ...bytes: number[]) => {
    const frame = sound.slice();
    frame.set(bytes, offset);
    return frame;
  };
  const refusal = new Uint8Array(48);
  refusal.set(changed(4, 0x10, 1, 0, 0).subarray(0, 32));
  refusal.fill(0, 20, 24);
  refusal.set([0x30, 0x30], 30);
  const rows: [keyof typeof FRAME_PROBLEM, Uint8Array | string][] = [
    ["TRUNCATED", new Uint8Array(0)],
    ["TOO_LARGE", new Uint8Array(FRAME_SIZE_MAX + 1)],
    ["MAGIC_WRONG", changed(0, 0)],
    ["VERSION_UNKNOWN", changed(2, 2)],
    ["FLAGS_INVALID", changed(3, 1)],
    ["MTI_UNKNOWN", changed(4, 0x77)],
    ["SENDER_ID_INVALID", changed(8, 0, 0, 0, 0)],
    ["SIZE_DIFFERS", changed(20, 65)],
    ["COUNT_INVALID", changed(6, 0, 0)],
    ["BODY_SIZE_INVALID", changed(6, 2)],
    ["STATUS_INVALID", changed(30, 0x30, 0x30)],
    ["NOT_BINARY", "text"],
    ["NOT_A_REQUEST", refusal],
  ];
  const named = new Set(rows.map(([name]) => name));
  t.same(
    FRAME_PROBLEM_NAMES.filter((name) => name !== "NONE" && !named.has(name)),
    [],
    "every problem has its row",
  );
  const mark = target.mark();
  for (const [name, bytes] of rows) await closes(t, name, bytes, sound);
  await target.unchanged(t, mark, "malformed frames");
  await target.unharmed(t);
});

/** Both transports name the problem, count it, and take nothing that comes after it. */
async function closes(
  t: Test,
  name: keyof typeof FRAME_PROBLEM,
  bytes: Uint8Array | string,
  sound: Uint8Array,
): Promise<void> {
  const problem = FRAME_PROBLEM[name];
  const counted = metrics.closed(problem);
  const socket = await target.socket(t);
  socket.send(bytes);
  socket.send(sound);
  t.equal(await socket.closed, closeCode(problem), name);
  t.equal(socket.count, 0, "nothing is answered after it");
  t.equal(metrics.closed(problem), counted + 1);
  if (typeof bytes === "string") return;
  const answer = await post(httpUrl(target.server), bytes);
  t.equal(answer.status, name === "TOO_LARGE" ? 413 : 400, name);
  t.equal(JSON.parse(Buffer.from(answer.body).toString()).error, name);
}
