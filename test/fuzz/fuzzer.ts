// What a fuzzer is and how one is run: properties of one decoder, tried from a seed for so many
// seconds or runs. A failure is told by name, seed, a minimal input and how to see it again.

import fc from "fast-check";
import { type Growth, isFixed, measure } from "./growth.js";

export interface Fuzzer {
  /** As given to `npm run fuzz -- NAME`. */
  name: string;
  /** What is tried, in a few words. */
  about: string;
  /** Starts what the properties need; returns what ends it. */
  open?(): Promise<() => Promise<void>>;
  /** Each holds for every input: throws, or returns false, where it does not. */
  properties(): Property[];
  /** What must take time in proportion to its input, or that its input cannot grow. */
  growth: Growth;
}

export type Property = fc.IRawProperty<unknown>;

export interface FuzzOptions {
  seed: number;
  /** Ends after so many seconds, shared by all properties. */
  seconds: number;
  /** Ends each property after so many inputs, too. */
  runsMax: number;
  /** Goes straight to one input: as a failure told it. */
  path?: string | undefined;
}

export interface FuzzResult {
  runs: number;
  /** Works of which the time was measured against the size of their input. */
  growths: number;
  /** What broke and how to see it again, in lines; empty when all held. */
  failure: string[];
}

/** Runs all properties of a fuzzer; stops at the first that is broken. */
export async function runFuzzer(fuzzer: Fuzzer, options: FuzzOptions): Promise<FuzzResult> {
  const close = await fuzzer.open?.();
  try {
    return await tryAll(fuzzer, options);
  } finally {
    await close?.();
  }
}

async function tryAll(fuzzer: Fuzzer, options: FuzzOptions): Promise<FuzzResult> {
  const properties = fuzzer.properties();
  let runs = 0;
  // A path is "property:path of fast-check".
  const [only, ...path] = options.path?.split(":") ?? [];
  for (const [i, property] of properties.entries()) {
    if (only !== undefined && only !== String(i)) continue;
    const details = await fc.check(property, {
      seed: options.seed | 0,
      numRuns: options.runsMax,
      interruptAfterTimeLimit: (options.seconds * 1000) / properties.length,
      markInterruptAsFailure: false,
      ...(path.length > 0 ? { path: path.join(":"), endOnFailure: true } : {}),
    });
    runs += details.numRuns;
    if (details.failed) return { runs, growths: 0, failure: told(fuzzer, i, details) };
  }
  const works = only !== undefined || isFixed(fuzzer.growth) ? [] : fuzzer.growth;
  for (const work of works) {
    const { problem } = await measure(work);
    if (problem === "") continue;
    const failure = [`BROKEN ${fuzzer.name}: ${problem}`, again(fuzzer, "")];
    return { runs, growths: 0, failure };
  }
  return { runs, growths: works.length, failure: [] };
}

function told(fuzzer: Fuzzer, index: number, details: fc.RunDetails<unknown>): string[] {
  const { seed, counterexample, counterexamplePath, errorInstance } = details;
  const cause = errorInstance instanceof Error ? errorInstance.message : "a property is false";
  return [
    `BROKEN ${fuzzer.name}, property ${index}, seed ${seed >>> 0}: ${cause}`,
    `input: ${fc.stringify(counterexample)}`,
    again(fuzzer, ` --seed ${seed >>> 0} --path ${index}:${counterexamplePath}`),
  ];
}

function again(fuzzer: Fuzzer, how: string): string {
  return `again: npm run fuzz -- ${fuzzer.name}${how}`;
}

/** Throws with a constant text where a property does not hold. */
export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** Deep equality of what a decoder made; objects without a prototype are like any other. */
export function same(a: unknown, b: unknown): boolean {
  return plain(a) === plain(b);
}

function plain(value: unknown): string {
  return fc.stringify(value).replaceAll(/__proto__:null,?/g, "");
}

/**
 * The result of `read` on `bytes` between bytes that are not its own: it must be the same whatever
 * they are, for nothing outside may be read.
 */
export function readWithin<T>(
  bytes: Uint8Array,
  read: (whole: Uint8Array, offset: number, end: number) => T,
): T {
  const results = [0x00, 0xff].map((around) => {
    const whole = new Uint8Array(bytes.length + 32).fill(around);
    whole.set(bytes, 16);
    return read(whole, 16, 16 + bytes.length);
  });
  holds(same(results[0], results[1]), "bytes outside the input are read");
  return results[0]!;
}

/** The error that `action` throws, or null. */
export function errorOf(action: () => unknown): Error | null {
  try {
    action();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) throw new Error("what is thrown is no Error");
    return error;
  }
}

/** Digits in a row that no message may hold: more than any count or id has. */
const SECRET_DIGITS = /\d{11}/;
/** The largest amount, which messages name. */
const AMOUNT_MINOR_MAX_TEXT = "999999999999";

/** Whether a message is one line and tells no number of a card or a person. */
export function tellsNothing(message: string): boolean {
  const others = message.replaceAll(AMOUNT_MINOR_MAX_TEXT, "");
  return !SECRET_DIGITS.test(others) && !message.includes("\n");
}

/** Bytes that are random, or bytes of `sound` with some of them changed, cut or repeated. */
export function spoilt(sound: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(2));
  const changed = fc
    .tuple(sound, fc.array(change, { maxLength: 6 }))
    .map(([bytes, changes]) => changes.reduce(applyChange, bytes));
  return fc.oneof({ weight: 3, arbitrary: changed }, fc.uint8Array({ maxLength: 300 }));
}

function applyChange(bytes: Uint8Array, [at, value, how]: [number, number, number]): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(value);
  const place = at % bytes.length;
  if (how === 0) return Uint8Array.from(bytes, (byte, i) => (i === place ? value : byte));
  if (how === 1) return bytes.slice(0, place);
  return Uint8Array.from([...bytes, ...bytes.subarray(place)]);
}
