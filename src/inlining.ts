// A use passes through some sixty small functions. V8 puts them into one piece of machine code only
// until 920 bytes of their bytecode are in it, and calls the rest, of which each call costs more
// instructions than most of them have. So it is allowed more, process-wide.

import { setFlagsFromString } from "node:v8";

/** Bytes of bytecode. More takes longer to compile than it gains in a server's first seconds. */
const INLINED_BYTES_MAX = 2000;

/** To be called before what is to be fast has run often enough to be compiled. */
export function inlineMore(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTES_MAX}`);
}
