// Every fuzzer there is, and the canary, which must fail: it shows that a broken property is seen,
// made small and told with how to run it again.

import fc from "fast-check";
import { CONTROL_FUZZERS } from "./control-fuzzers.js";
import { ENGINE_FUZZERS } from "./engine-fuzzers.js";
import type { Fuzzer } from "./fuzzer.js";
import { holds } from "./fuzzer.js";
import { IMPORT_FUZZERS } from "./import-fuzzers.js";
import { JOURNAL_FUZZERS } from "./journal-fuzzers.js";
import { PROTOCOL_FUZZERS } from "./protocol-fuzzers.js";
import { SOURCE_FUZZERS } from "./source-fuzzers.js";

export const FUZZERS: readonly Fuzzer[] = [
  ...PROTOCOL_FUZZERS,
  ...ENGINE_FUZZERS,
  ...JOURNAL_FUZZERS,
  ...IMPORT_FUZZERS,
  ...SOURCE_FUZZERS,
  ...CONTROL_FUZZERS,
];

/** A decoder that forgets a byte, as one in a thousand inputs shows. */
export const CANARY: Fuzzer = {
  name: "canary",
  about: "must fail: a decoder that is wrong for one byte in 256",
  properties: () => [
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
      const decoded = bytes.map((byte) => (byte === 0x2a ? 0 : byte));
      holds(
        bytes.every((byte, i) => decoded[i] === byte),
        "what is written does not read back",
      );
    }),
  ],
  growth: { fixedSize: "40 bytes" },
};

/** Must fail too: work that grows with the square of its input. */
export const SLOW_CANARY: Fuzzer = {
  name: "slow-canary",
  about: "must fail: work that grows with the square of its input",
  properties: () => [],
  growth: [
    {
      what: "pairs",
      size: 30,
      prepare: (size) => () => {
        let sum = 0;
        for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sum += i ^ j;
        holds(sum >= 0, "a sum is a number");
      },
    },
  ],
};
