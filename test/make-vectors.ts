// Makes protocol/vectors/*.json: what our own code writes, for others to check theirs against.
// Run by hand after a change of the protocol: node dist/test/make-vectors.js
// (outside.json is not made here: it holds vectors of published standards, typed in.)

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  checkValue,
  closeCode,
  createMac,
  deriveSessionKeys,
  deriveSignOnKey,
  FRAME_HEADER_SIZE,
  FRAME_PROBLEM_NAMES,
  type FrameHeader,
  FUNCTION_ECHO,
  FUNCTION_KEY_CHANGE,
  FUNCTION_SIGN_OFF,
  FUNCTION_SIGN_ON,
  frameProblem,
  luhnDigit,
  MAC_ALGORITHM,
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type Management,
  MEDIUM_CHIP,
  MEDIUM_ELECTRONIC,
  MTI_MANAGEMENT_REQUEST,
  MTI_MANAGEMENT_RESPONSE,
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
  mtiText,
  OUTCOME_FLAG_WOULD_DECLINE,
  type Outcome,
  REASON,
  RESPONSE_CODES,
  readFrameHeader,
  responseMti,
  type SessionParameters,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
  sealFrame,
  type UseRecord,
  writeFrameHeader,
  writeManagement,
  writeOutcome,
  writeParameters,
  writeRefusal,
  writeUseRecord,
} from "../protocol/index.js";

export const VECTORS_FOLDER = fileURLToPath(new URL("../../protocol/vectors/", import.meta.url));

const TERMINAL_ID = 46_000_001;
const MASTER_KEY_VERSION = 1;
const KEY_GENERATION = 7;
/** 2026-01-05 09:00:00 in UTC+8. */
const TIME_MS = 1_767_574_800_000;
const TERMINAL_NONCE = counting(0xa0, 16);
const SERVER_NONCE = counting(0xb0, 16);
const NO_NONCE = new Uint8Array(16);
const ALGORITHMS = [1, 2, 3, 4];
const PARAMETERS: SessionParameters = {
  businessDate: 20260105,
  serverTimeMs: TIME_MS + 3,
  recordsPerFrameMax: 4096,
  recordsInFlightMax: 65_536,
  sessionSeconds: 86_400,
  keyOverlapSeconds: 60,
};

function counting(first: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (first + i) & 0xff);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function masterKeyOf(algorithm: number): Uint8Array {
  return counting(0, MAC_KEY_SIZES[algorithm]!);
}

function makeMac(): object {
  const vectors = ALGORITHMS.flatMap((algorithm) => {
    const key = masterKeyOf(algorithm);
    const mac = createMac(algorithm, key);
    return [0, 1, 15, 16, 17, 32, 80, 96].map((size) => {
      const message = counting(size, size);
      const out = new Uint8Array(16);
      mac.sign(message, 0, size, out, 0);
      const name = MAC_ALGORITHM_NAMES[algorithm];
      return { algorithm, name, key: hex(key), message: hex(message), mac: hex(out) };
    });
  });
  return { about: "MACs of messages of several sizes, all algorithms", vectors };
}

function makeKdf(): object {
  const vectors = ALGORITHMS.map((algorithm) => {
    const masterKey = masterKeyOf(algorithm);
    const session = sessionKeysOf(algorithm);
    return {
      algorithm,
      name: MAC_ALGORITHM_NAMES[algorithm],
      masterKey: hex(masterKey),
      checkValue: hex(checkValue(algorithm, masterKey)),
      terminalId: TERMINAL_ID,
      masterKeyVersion: MASTER_KEY_VERSION,
      keyGeneration: KEY_GENERATION,
      terminalNonce: hex(TERMINAL_NONCE),
      serverNonce: hex(SERVER_NONCE),
      signOnKey: hex(signOnKeyOf(algorithm)),
      requestKey: hex(session.requestKey),
      responseKey: hex(session.responseKey),
    };
  });
  return { about: "master key to sign-on key and session keys, all algorithms", vectors };
}

function signOnKeyOf(algorithm: number): Uint8Array {
  return deriveSignOnKey(algorithm, masterKeyOf(algorithm), TERMINAL_ID, MASTER_KEY_VERSION);
}

function sessionKeysOf(algorithm: number): { requestKey: Uint8Array; responseKey: Uint8Array } {
  const masterKey = masterKeyOf(algorithm);
  return deriveSessionKeys(
    algorithm,
    masterKey,
    TERMINAL_ID,
    KEY_GENERATION,
    TERMINAL_NONCE,
    SERVER_NONCE,
  );
}

/** What stands in a frame vector: the frame, the key of its MAC, and all it decodes to. */
interface FrameContent {
  management?: Management;
  parameters?: SessionParameters;
  uses?: UseRecord[];
  outcomes?: Outcome[];
}

function frame(
  name: string,
  algorithm: number,
  key: Uint8Array,
  header: Partial<FrameHeader> & { mti: number },
  content: FrameContent,
): object {
  const bytes = new Uint8Array(4096);
  const bodySize = writeBody(bytes, content);
  const count = content.uses?.length ?? content.outcomes?.length ?? 1;
  const whole: FrameHeader = {
    flags: 0,
    count,
    senderId: TERMINAL_ID,
    keyGeneration: KEY_GENERATION,
    sequence: 1,
    bodySize,
    timeMs: TIME_MS,
    status: "",
    ...header,
  };
  writeFrameHeader(new DataView(bytes.buffer), 0, whole);
  const size = sealFrame(createMac(algorithm, key), bytes, 0, FRAME_HEADER_SIZE + bodySize);
  return {
    name,
    mti: mtiText(header.mti),
    algorithm,
    key: hex(key),
    frame: hex(bytes.subarray(0, size)),
    mac: hex(bytes.subarray(size - 16, size)),
    header: whole,
    ...printable(content),
  };
}

function writeBody(bytes: Uint8Array, content: FrameContent): number {
  let end = FRAME_HEADER_SIZE;
  if (content.management) end += writeManagement(bytes, end, content.management);
  if (content.parameters) end += writeParameters(bytes, end, content.parameters);
  for (const use of content.uses ?? []) end += writeUseRecord(bytes, end, use);
  for (const outcome of content.outcomes ?? []) end += writeOutcome(bytes, end, outcome);
  return end - FRAME_HEADER_SIZE;
}

function printable(content: FrameContent): object {
  if (!content.management) return content;
  const { terminalNonce, serverNonce, ...rest } = content.management;
  const nonces = { terminalNonce: hex(terminalNonce), serverNonce: hex(serverNonce) };
  return { ...content, management: { ...rest, ...nonces } };
}

function management(algorithm: number, fields: Partial<Management>): Management {
  return {
    functionCode: FUNCTION_SIGN_ON,
    step: 0,
    macAlgorithm: algorithm,
    masterKeyVersion: MASTER_KEY_VERSION,
    keyGeneration: 0,
    expiresAt: 0,
    terminalNonce: TERMINAL_NONCE,
    serverNonce: SERVER_NONCE,
    ...fields,
  };
}

const REQUEST = MTI_MANAGEMENT_REQUEST;
const RESPONSE = MTI_MANAGEMENT_RESPONSE;
const EXPIRES_AT = Math.floor(TIME_MS / 1000) + PARAMETERS.sessionSeconds;

function signOnFrames(algorithm: number): object[] {
  const signOnKey = signOnKeyOf(algorithm);
  const { responseKey } = sessionKeysOf(algorithm);
  const unsigned = { keyGeneration: 0, sequence: 0 };
  const opened = { keyGeneration: KEY_GENERATION, expiresAt: EXPIRES_AT, step: SIGN_ON_PROOF };
  return [
    frame(
      "challenge request",
      algorithm,
      signOnKey,
      { mti: REQUEST, ...unsigned },
      {
        management: management(algorithm, { step: SIGN_ON_CHALLENGE, serverNonce: NO_NONCE }),
      },
    ),
    frame(
      "challenge response",
      algorithm,
      signOnKey,
      { mti: RESPONSE, ...unsigned, timeMs: TIME_MS + 1, status: "00" },
      { management: management(algorithm, { step: SIGN_ON_CHALLENGE }) },
    ),
    frame(
      "proof request",
      algorithm,
      signOnKey,
      { mti: REQUEST, ...unsigned, timeMs: TIME_MS + 2 },
      { management: management(algorithm, { step: SIGN_ON_PROOF }) },
    ),
    frame(
      "proof response",
      algorithm,
      responseKey,
      { mti: RESPONSE, sequence: 0, timeMs: TIME_MS + 3, status: "00" },
      { management: management(algorithm, opened), parameters: PARAMETERS },
    ),
  ];
}

function makeSignOn(): object {
  return {
    about: "the four frames of a sign-on, all algorithms; keys are those of kdf.json",
    vectors: ALGORITHMS.flatMap(signOnFrames),
  };
}

const SESSION_NONCES = { terminalNonce: NO_NONCE, serverNonce: NO_NONCE };

function managementPair(
  name: string,
  sequence: number,
  asked: Partial<Management>,
  answered: Partial<Management>,
): object[] {
  const algorithm = MAC_ALGORITHM.AES_128_CMAC;
  const { requestKey, responseKey } = sessionKeysOf(algorithm);
  return [
    frame(
      `${name} request`,
      algorithm,
      requestKey,
      { mti: REQUEST, sequence },
      {
        management: management(algorithm, { ...SESSION_NONCES, ...asked }),
      },
    ),
    frame(
      `${name} response`,
      algorithm,
      responseKey,
      { mti: RESPONSE, sequence, timeMs: TIME_MS + 1, status: "00" },
      { management: management(algorithm, { ...SESSION_NONCES, ...asked, ...answered }) },
    ),
  ];
}

function makeManagement(): object {
  const changeNonce = counting(0xc0, 16);
  return {
    about: "key change, echo and sign-off under the AES-128-CMAC session of sign-on.json",
    vectors: [
      ...managementPair(
        "key change",
        2,
        { functionCode: FUNCTION_KEY_CHANGE, terminalNonce: changeNonce },
        {
          keyGeneration: KEY_GENERATION + 1,
          expiresAt: EXPIRES_AT,
          serverNonce: counting(0xd0, 16),
        },
      ),
      ...managementPair("echo", 3, { functionCode: FUNCTION_ECHO }, {}),
      ...managementPair("sign-off", 4, { functionCode: FUNCTION_SIGN_OFF }, {}),
    ],
  };
}

const LOST_PAN = `621400000001${luhnDigit("621400000001")}`;

function use(stan: number, fields: Partial<UseRecord>): UseRecord {
  const account = "621400000000000001";
  return {
    pan: account + luhnDigit(account),
    terminalId: TERMINAL_ID,
    stan,
    businessDate: PARAMETERS.businessDate,
    itemCode: 3_000_001,
    amountMinor: 200,
    localTime: Math.floor(TIME_MS / 1000),
    medium: MEDIUM_CHIP,
    originalStan: 0,
    originalBusinessDate: 0,
    ...fields,
  };
}

function outcome(asked: UseRecord, reason: number, fields: Partial<Outcome>): Outcome {
  return {
    terminalId: asked.terminalId,
    stan: asked.stan,
    businessDate: asked.businessDate,
    responseCode: RESPONSE_CODES[reason]!,
    reason,
    rrn: 2 ** 32 + asked.stan,
    authorizationId: reason === REASON.APPROVED ? asked.stan + 1000 : 0,
    flags: 0,
    differingField: 0,
    ...fields,
  };
}

/** A request frame and its answer; each row is a use, the reason of its outcome, more of both. */
function usePair(
  mti: number,
  sequence: number,
  rows: [UseRecord, number, Partial<Outcome>?][],
): object[] {
  const algorithm = MAC_ALGORITHM.AES_128_CMAC;
  const { requestKey, responseKey } = sessionKeysOf(algorithm);
  const records = rows.length === 1 ? "one record" : `${rows.length} records`;
  const answer = responseMti(mti);
  return [
    frame(
      `${mtiText(mti)}, ${records}`,
      algorithm,
      requestKey,
      { mti, sequence },
      {
        uses: rows.map(([asked]) => asked),
      },
    ),
    frame(
      `${mtiText(answer)}, ${records}`,
      algorithm,
      responseKey,
      { mti: answer, sequence, timeMs: TIME_MS + 1, status: "00" },
      { outcomes: rows.map(([asked, reason, fields]) => outcome(asked, reason, fields ?? {})) },
    ),
  ];
}

/** An advice is accepted whatever the reason. */
const WOULD_DECLINE = { responseCode: "00", flags: OUTCOME_FLAG_WOULD_DECLINE };

function makeUse(): object {
  const original = { originalStan: 1, originalBusinessDate: PARAMETERS.businessDate };
  return {
    about: "uses, advices and reversals under the AES-128-CMAC session of sign-on.json",
    vectors: [
      ...usePair(MTI_USE_REQUEST, 1, [[use(1, {}), REASON.APPROVED]]),
      ...usePair(MTI_USE_REQUEST, 5, [
        [use(2, { pan: LOST_PAN }), REASON.CARD_LOST],
        [use(3, { medium: MEDIUM_ELECTRONIC, amountMinor: 999_999_999_999 }), REASON.APPROVED],
        [use(1, { amountMinor: 300 }), REASON.DUPLICATE_DIFFERS, { differingField: 4 }],
      ]),
      ...usePair(MTI_USE_ADVICE, 6, [
        [use(4, {}), REASON.APPROVED],
        [use(5, {}), REASON.CARD_EXPIRED, WOULD_DECLINE],
      ]),
      ...usePair(MTI_REVERSAL_REQUEST, 7, [[use(6, original), REASON.APPROVED]]),
      ...usePair(MTI_REVERSAL_ADVICE, 8, [
        [use(7, original), REASON.ALREADY_REVERSED, WOULD_DECLINE],
      ]),
    ],
  };
}

/** One sound use frame, spoilt in one way for each row: bytes to put at an offset, or a size. */
const SPOILS: [string, number, string, number?][] = [
  ["no byte at all", 0, "", 0],
  ["47 bytes", 0, "", 47],
  ["magic", 0, "544c"],
  ["version 2", 2, "02"],
  ["unknown flag", 3, "02"],
  ["unauthenticated request", 3, "01"],
  ["MTI 0200", 4, "0002"],
  ["no record", 6, "0000"],
  ["4,097 records", 6, "0110"],
  ["two records announced, one there", 6, "0200"],
  ["senderId 0", 8, "00000000"],
  ["senderId 100,000,000", 8, "00e1f505"],
  ["bodySize one less", 20, "3f000000"],
  ["bodySize 4,294,967,295", 20, "ffffffff"],
  ["status in a request", 30, "3030"],
  ["one byte too few", 0, "", 111],
  ["one byte too many", 0, "", 113],
];

function makeError(): object {
  const sound = (usePair(MTI_USE_REQUEST, 1, [[use(1, {}), 0]])[0] as { frame: string }).frame;
  const malformed = SPOILS.map(([name, offset, replacement, size]) => {
    const bytes = Buffer.alloc(size ?? sound.length / 2);
    bytes.write(sound, "hex");
    bytes.write(replacement, offset, "hex");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const problem = frameProblem(view, 0, bytes.length);
    const code = closeCode(problem);
    return { name, frame: hex(bytes), problem: FRAME_PROBLEM_NAMES[problem], closeCode: code };
  });
  const refusals = [
    refusal("not signed on, key unknown", sound, REASON.NOT_SIGNED_ON, false),
    refusal("overloaded", sound, REASON.OVERLOADED, false),
    refusal("terminal unknown", sound, REASON.TERMINAL_UNKNOWN, false),
    refusal("sequence repeated, under the session", sound, REASON.SEQUENCE_REPEATED, true),
  ];
  return { about: "malformed frames, and frames that refuse", malformed, refusals };
}

function refusal(name: string, asked: string, reason: number, authenticated: boolean): object {
  const request = Buffer.from(asked, "hex");
  const header = readFrameHeader(new DataView(request.buffer, request.byteOffset), 0);
  const { responseKey } = sessionKeysOf(MAC_ALGORITHM.AES_128_CMAC);
  const mac = authenticated ? createMac(MAC_ALGORITHM.AES_128_CMAC, responseKey) : null;
  const bytes = new Uint8Array(48);
  const status = RESPONSE_CODES[reason]!;
  writeRefusal(bytes, 0, header, status, TIME_MS + 1, mac);
  const key = authenticated ? hex(responseKey) : "";
  return { name, request: asked, status, authenticated, key, frame: hex(bytes) };
}

/** The text of each file of vectors, by its name. */
export function makeVectors(): Record<string, string> {
  const files = {
    "mac.json": makeMac(),
    "kdf.json": makeKdf(),
    "sign-on.json": makeSignOn(),
    "management.json": makeManagement(),
    "use.json": makeUse(),
    "error.json": makeError(),
  };
  return Object.fromEntries(
    Object.entries(files).map(([name, value]) => [name, `${JSON.stringify(value, null, 2)}\n`]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(VECTORS_FOLDER, { recursive: true });
  for (const [name, text] of Object.entries(makeVectors())) {
    writeFileSync(VECTORS_FOLDER + name, text);
  }
}
