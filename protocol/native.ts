// Functions of C that the process carries: those of OpenSSL, which Node.js exports for addons, and
// of the C library. The one home of koffi, without which all that asks for them goes on as before.

import { createRequire } from "node:module";

export interface NativeFunction {
  // biome-ignore lint/suspicious/noExplicitAny: its prototype says what it takes
  (...values: any[]): any;
  /** In a thread beside; the last value is called with an error or null, and the result. */
  // biome-ignore lint/suspicious/noExplicitAny: its prototype says what it takes
  async(...values: any[]): void;
}

export interface Native {
  /** The function with this prototype, as in C. Throws when it is not there. */
  functionOf(prototype: string): NativeFunction;
  /** Where an array lies. It stays there for as long as the array is kept, and not transferred. */
  addressOf(array: Uint8Array | Int32Array): number;
}

/** Null where koffi is not installed, or does not load. */
export function loadNative(): Native | null {
  try {
    const require = createRequire(import.meta.url);
    const koffi = require("koffi") as typeof import("koffi");
    const library = koffi.load(null);
    return {
      functionOf: (prototype) => library.func(prototype),
      addressOf: (array) => Number(koffi.address(array)),
    };
  } catch {
    return null;
  }
}
