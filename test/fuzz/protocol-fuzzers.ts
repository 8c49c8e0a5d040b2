// Fuzzers of what comes over the wire: headers, records, session parameters, card number blocks.

import fc from "fast-check";
import {
  FRAME_BODY_SIZE_OFFSET,
  FRAME_HEADER_SIZE,
  FRAME_MAC_SIZE,
  FRAME_PROBLEM,
  FRAME_PROBLEM_NAMES,
  FRAME_RECORDS_MAX,
  FRAME_SIZE_MAX,
  FRAME_SIZE_MIN,
  type FrameHeader,
  frameProblem,
  framesOf,
  isRequestMti,
  luhnDigit,
  MANAGEMENT_BODY_SIZE_MAX,
  MANAGEMENT_RECORD_SIZE,
  MTI_USE_REQUEST,
  OUTCOME_RECORD_SIZE,
  panBlockValid,
  panValid,
  readFrameHeader,
  readManagement,
  readOutcome,
  readParameters,
  readUseRecord,
  USE_RECORD_SIZE,
  type UseRecord,
  writeFrameHeader,
  writeManagement,
  writeOutcome,
  writePanBlock,
  writeParameters,
  writeUseRecord,
} from "../../protocol/index.js";
import { errorOf, type Fuzzer, holds, readWithin, same, spoilt, tellsNothing } from "./fuzzer.js";
import { FACTOR } from "./growth.js";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 });
const status = fc.stringMatching(/^[0-9A-Z]{2}$/);
const header: fc.Arbitrary<FrameHeader> = fc.record({
  flags: u8,
  mti: u16,
  count: u16,
  senderId: u32,
  keyGeneration: u32,
  sequence: u32,
  bodySize: u32,
  timeMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  status: fc.oneof(fc.constant(""), status),
});
export const use: fc.Arbitrary<UseRecord> = fc.record({
  pan: fc.stringMatching(/^[0-9]{0,19}$/),
  terminalId: u32,
  stan: u32,
  businessDate: u32,
  itemCode: u32,
  amountMinor: fc.maxSafeInteger(),
  localTime: u32,
  medium: u8,
  originalStan: u32,
  originalBusinessDate: u32,
});
const outcome = fc.record({
  terminalId: u32,
  stan: u32,
  businessDate: u32,
  responseCode: status,
  reason: u16,
  rrn: fc.maxSafeNat(),
  authorizationId: u32,
  flags: u8,
  differingField: u8,
});
const management = fc.record({
  functionCode: u16,
  step: u8,
  macAlgorithm: u8,
  masterKeyVersion: u32,
  keyGeneration: u32,
  expiresAt: u32,
  terminalNonce: nonce,
  serverNonce: nonce,
});
export const parameters = fc.record({
  businessDate: fc.integer({ min: 20_200_101, max: 99_991_231 }),
  serverTimeMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  recordsPerFrameMax: fc.integer({ min: 1, max: FRAME_RECORDS_MAX }),
  recordsInFlightMax: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  sessionSeconds: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  keyOverlapSeconds: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
});

/** Session parameters stand behind the record in a body of management. */
const PARAMETERS_SIZE_MAX = MANAGEMENT_BODY_SIZE_MAX - MANAGEMENT_RECORD_SIZE;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A record of `size` bytes reads back as it was written, and writing touches nothing else. */
function roundTrip<T>(
  size: number,
  value: fc.Arbitrary<T>,
  write: (bytes: Uint8Array, offset: number, value: T) => number,
  read: (view: DataView, offset: number) => T,
) {
  return fc.property(value, (original) => {
    const margin = 5;
    const bytes = new Uint8Array(size + 2 * margin).fill(0xee);
    holds(write(bytes, margin, original) === size, "a writer returns the size");
    const outside = [...bytes.subarray(0, margin), ...bytes.subarray(margin + size)];
    holds(
      outside.every((byte) => byte === 0xee),
      "bytes outside the record are written",
    );
    holds(same(read(viewOf(bytes), margin), original), "what is written does not read back");
  });
}

/** Any bytes read as a record, the same whatever stands around them. */
function anyBytes<T>(size: number, read: (view: DataView, offset: number) => T) {
  return fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
    readWithin(bytes, (whole, offset) => read(viewOf(whole), offset));
  });
}

function record<T>(
  name: string,
  size: number,
  value: fc.Arbitrary<T>,
  write: (bytes: Uint8Array, offset: number, value: T) => number,
  read: (view: DataView, offset: number) => T,
): Fuzzer {
  return {
    name,
    about: `${size} bytes: reads back what is written, takes any bytes`,
    properties: () => [roundTrip(size, value, write, read), anyBytes(size, read)],
    growth: { fixedSize: `${size} bytes` },
  };
}

/** A frame of `count` zero records, without its MAC. */
export function soundFrame(count: number): Uint8Array {
  const bodySize = count * USE_RECORD_SIZE;
  const bytes = new Uint8Array(FRAME_HEADER_SIZE + bodySize + FRAME_MAC_SIZE);
  writeFrameHeader(viewOf(bytes), 0, {
    flags: 0,
    mti: MTI_USE_REQUEST,
    count,
    senderId: 1,
    keyGeneration: 1,
    sequence: 1,
    bodySize,
    timeMs: 0,
    status: "",
  });
  return bytes;
}

const FRAME: Fuzzer = {
  name: "frame",
  about: "frameProblem: any bytes get a problem; a sound frame fits its header, a cut one is none",
  properties: () => [
    fc.property(spoilt(fc.integer({ min: 1, max: 4 }).map(soundFrame)), (bytes) => {
      const problem = readWithin(bytes, (whole, offset, end) =>
        frameProblem(viewOf(whole), offset, end - offset),
      );
      holds(FRAME_PROBLEM_NAMES[problem] !== undefined, "a problem has a name");
      if (problem !== FRAME_PROBLEM.NONE) return;
      const { bodySize, mti, count } = readFrameHeader(viewOf(bytes), 0);
      const frame = FRAME_HEADER_SIZE + bodySize + FRAME_MAC_SIZE;
      holds(frame === bytes.length, "a sound frame is header, body and MAC");
      const records = isRequestMti(mti) && mti !== 0x0800;
      holds(!records || bodySize === count * USE_RECORD_SIZE, "a sound frame holds its records");
    }),
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(), (count, at) => {
      const whole = soundFrame(count);
      const size = at % whole.length;
      const cut = whole.slice(0, size);
      holds(frameProblem(viewOf(cut), 0, size) !== FRAME_PROBLEM.NONE, "a cut frame is sound");
      const lying = frameProblem(viewOf(cut), 0, whole.length);
      holds(lying === FRAME_PROBLEM.TRUNCATED, "a frame beyond its bytes is sound");
    }),
    fc.property(fc.nat(175), u8, (at, byte) => {
      const bytes = soundFrame(2);
      const unchanged = bytes[at] === byte || at >= FRAME_HEADER_SIZE;
      bytes[at] = byte;
      const problem = frameProblem(viewOf(bytes), 0, bytes.length);
      holds(!unchanged || problem === FRAME_PROBLEM.NONE, "a sound frame has a problem");
    }),
  ],
  growth: [
    {
      what: "records of a frame",
      size: FRAME_RECORDS_MAX / FACTOR,
      prepare: (count) => {
        const frame = soundFrame(count);
        const view = viewOf(frame);
        return () => {
          holds(frameProblem(view, 0, frame.length) === FRAME_PROBLEM.NONE, "the frame is sound");
          for (let i = 0; i < count; i++)
            readUseRecord(view, FRAME_HEADER_SIZE + i * USE_RECORD_SIZE);
        };
      },
    },
  ],
};

const MESSAGE: Fuzzer = {
  name: "message",
  about: "messages of several frames: come apart as they were put together; any bytes are all kept",
  properties: () => [
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }).map(soundFrame)), u8, (frames, odd) => {
      // A frame whose size is no multiple of 8 can only be the last.
      const last = new Uint8Array(FRAME_HEADER_SIZE + FRAME_MAC_SIZE + (odd % 8));
      viewOf(last).setUint32(FRAME_BODY_SIZE_OFFSET, odd % 8, true);
      const whole = [...frames, last];
      const apart = [...framesOf(Uint8Array.from(Buffer.concat(whole)))];
      holds(same(apart, whole), "what is put together does not come apart");
    }),
    fc.property(spoilt(fc.constant(messageOf(5))), (bytes) => {
      const apart = readWithin(bytes, (whole, start, end) =>
        [...framesOf(whole.subarray(start, end))].map((frame) => Uint8Array.from(frame)),
      );
      holds(same(Uint8Array.from(Buffer.concat(apart)), bytes), "a byte is lost or read twice");
      const sound = apart.slice(0, -1);
      holds(
        sound.every(({ length }) => length % 8 === 0 && length >= FRAME_SIZE_MIN),
        "a frame stands askew",
      );
    }),
  ],
  growth: [
    {
      what: "frames of a message",
      size: Math.floor(FRAME_SIZE_MAX / soundFrame(1).length / FACTOR),
      prepare: (count) => {
        const message = messageOf(count);
        return () => holds([...framesOf(message)].length === count, "all frames are found");
      },
    },
  ],
};

/** A message of `count` frames. */
function messageOf(count: number): Uint8Array {
  return Uint8Array.from(Buffer.concat(Array.from({ length: count }, () => soundFrame(1))));
}

const PARAMETERS: Fuzzer = {
  name: "parameters",
  about: "session parameters (msgpack): read back; else an error of ours that tells nothing",
  properties: () => [
    fc.property(parameters, fc.nat(100), (original, offset) => {
      const bytes = new Uint8Array(500);
      const end = offset + writeParameters(bytes, offset, original);
      holds(same(readParameters(bytes, offset, end), original), "what is written reads back");
    }),
    fc.property(spoilt(parameters.map(packed)), (bytes) => {
      const error = readWithin(bytes, (whole, start, end) =>
        errorOf(() => readParameters(whole, start, end)),
      );
      if (error === null) return;
      holds(error instanceof RangeError, "an error of another kind");
      holds(/^session parameter/.test(error.message), "an error in other words");
      holds(tellsNothing(error.message), "an error holds what was read");
    }),
  ],
  growth: [
    {
      what: "lists within lists",
      size: PARAMETERS_SIZE_MAX / FACTOR,
      prepare: (size) => {
        const bytes = new Uint8Array(size).fill(0x91);
        return () => errorOf(() => readParameters(bytes, 0, size));
      },
    },
    {
      what: "parameters not known here",
      size: PARAMETERS_SIZE_MAX / FACTOR,
      prepare: (size) => {
        // A map of 16-bit length, of keys of two letters with numbers of one byte.
        const count = Math.floor((size - 3) / 4);
        const pairs = Array.from({ length: count }, (_, i) => [
          ...[0xa2, 0x61 + (i >> 6), 0x40 + (i & 63)],
          1,
        ]);
        const bytes = Uint8Array.from([0xde, count >> 8, count & 0xff, ...pairs.flat()]);
        return () => errorOf(() => readParameters(bytes, 0, bytes.length));
      },
    },
  ],
};

function packed(original: Parameters<typeof writeParameters>[2]): Uint8Array {
  const bytes = new Uint8Array(500);
  return bytes.slice(0, writeParameters(bytes, 0, original));
}

const PAN: Fuzzer = {
  name: "pan",
  about:
    "card number blocks: valid exactly when the digits are, and when nothing else stands there",
  properties: () => [
    fc.property(fc.stringMatching(/^[0-9]{0,19}$/), (digits) => {
      const block = new Uint8Array(16);
      writePanBlock(block, 0, digits, 0);
      holds(
        panBlockValid(new Int32Array(block.buffer), 0) === panValid(digits),
        "block and digits disagree",
      );
    }),
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const valid = readWithin(bytes, (whole, offset) =>
        panBlockValid(new Int32Array(whole.slice(0, whole.length & ~3).buffer), offset / 4),
      );
      if (valid) isBlockOfItsDigits(bytes);
    }),
    fc.property(
      fc.stringMatching(/^[0-9]{11,18}$/),
      fc.nat(15),
      fc.nat(255),
      (digits, at, changed) => {
        const block = new Uint8Array(16);
        writePanBlock(block, 0, digits + luhnDigit(digits), 0);
        holds(panBlockValid(new Int32Array(block.buffer), 0), "a valid number is refused");
        block[at] = changed;
        if (panBlockValid(new Int32Array(block.buffer), 0)) isBlockOfItsDigits(block);
      },
    ),
  ],
  growth: { fixedSize: "16 bytes, of 19 digits at the most" },
};

/** A valid block is what its digits, valid themselves, are written as: nothing else is in it. */
function isBlockOfItsDigits(block: Uint8Array): void {
  const record64 = new Uint8Array(USE_RECORD_SIZE);
  record64.set(block);
  const { pan } = readUseRecord(viewOf(record64), 0);
  const again = new Uint8Array(16);
  writePanBlock(again, 0, pan, 0);
  holds(same(again, block) && panValid(pan), "a valid block is not that of its digits");
}

export const PROTOCOL_FUZZERS: readonly Fuzzer[] = [
  FRAME,
  MESSAGE,
  record(
    "header",
    FRAME_HEADER_SIZE,
    header,
    (bytes, offset, value) => writeFrameHeader(viewOf(bytes), offset, value),
    readFrameHeader,
  ),
  record("use", USE_RECORD_SIZE, use, writeUseRecord, readUseRecord),
  record("outcome", OUTCOME_RECORD_SIZE, outcome, writeOutcome, readOutcome),
  record("management", MANAGEMENT_RECORD_SIZE, management, writeManagement, readManagement),
  PARAMETERS,
  PAN,
];
