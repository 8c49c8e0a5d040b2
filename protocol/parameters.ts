// The parameters of a session: a msgpack map behind the management record of the 0810 that opens
// one. Read only after the MAC holds; every key is checked, keys not known here are passed over so
// that later versions may add some. The only place that knows msgpackr.

import { Packr, Unpackr } from "msgpackr";
import { MANAGEMENT_BODY_SIZE_MAX } from "./frame.js";
import { MANAGEMENT_RECORD_SIZE } from "./management.js";

/** What a terminal is told when its session opens. */
export interface SessionParameters {
  /** YYYYMMDD, the business date now. */
  businessDate: number;
  /** Tongka's clock, milliseconds since 1970 UTC. */
  serverTimeMs: number;
  /** Most records in one frame, 1..4096. */
  recordsPerFrameMax: number;
  /** Most records sent and not yet answered, 1 and up. */
  recordsInFlightMax: number;
  /** Length of the session in seconds, 1 and up. */
  sessionSeconds: number;
  /** Seconds for which the old keys hold after a key change, 0 and up. */
  keyOverlapSeconds: number;
}

/** Lowest and highest value of each parameter. */
const RANGES: Readonly<Record<keyof SessionParameters, readonly [number, number]>> = {
  businessDate: [20_200_101, 99_991_231],
  serverTimeMs: [0, 2 ** 48 - 1],
  recordsPerFrameMax: [1, 4096],
  recordsInFlightMax: [1, 2 ** 31 - 1],
  sessionSeconds: [1, 2 ** 31 - 1],
  keyOverlapSeconds: [0, 2 ** 31 - 1],
};
const NAMES = Object.keys(RANGES) as (keyof SessionParameters)[];
const SIZE_MAX = MANAGEMENT_BODY_SIZE_MAX - MANAGEMENT_RECORD_SIZE;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });

/** Writes the map at `offset` and returns its size. Throws when a value is out of its range. */
export function writeParameters(
  bytes: Uint8Array,
  offset: number,
  parameters: SessionParameters,
): number {
  const pairs = NAMES.map((name) => [name, integer(checked(parameters, name))]);
  const packed = packr.pack(Object.fromEntries(pairs));
  bytes.set(packed, offset);
  return packed.length;
}

/**
 * Reads the map in bytes[start..end). Throws a RangeError whose message is constant or names a
 * parameter, and never holds what was read.
 */
export function readParameters(bytes: Uint8Array, start: number, end: number): SessionParameters {
  if (end - start > SIZE_MAX) throw new RangeError("session parameters are too long");
  const value = unpack(bytes.slice(start, end));
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new RangeError("session parameters are not a map");
  }
  const map = value as Record<string, unknown>;
  const pairs = NAMES.map((name) => [name, checked(map, name)]);
  return Object.fromEntries(pairs) as SessionParameters;
}

/** As a value that msgpackr writes as an integer: it makes a double of a number over 32 bits. */
function integer(value: number): number | bigint {
  return value > 0xffff_ffff ? BigInt(value) : value;
}

/** msgpackr's own error messages hold what it read: they end here. */
function unpack(bytes: Uint8Array): unknown {
  try {
    return unpackr.unpack(bytes);
  } catch {
    throw new RangeError("session parameters are not msgpack");
  }
}

function checked(map: object, name: keyof SessionParameters): number {
  const value = Object.hasOwn(map, name) ? (map as Record<string, unknown>)[name] : undefined;
  const [min, max] = RANGES[name];
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw new RangeError(`session parameter ${name} is missing or out of its range`);
  }
  return value as number;
}
