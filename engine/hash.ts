// SHA-256 (FIPS 180-4), the one hash of journal and state. A pure function: no clock, disk or
// random number comes with it.

import { createHash } from "node:crypto";

/** Words hashed in one call: node:crypto takes at most 2 GiB at once. */
const WORDS_PER_CALL = 1 << 22;

export class Sha256 {
  private readonly hash = createHash("sha256");

  update(data: Uint8Array | string): this {
    this.hash.update(data);
    return this;
  }

  updateWords(words: Int32Array): this {
    for (let start = 0; start < words.length; start += WORDS_PER_CALL) {
      const part = words.subarray(start, start + WORDS_PER_CALL);
      this.hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
    return this;
  }

  /** The 32 bytes of the hash; ends it. */
  digest(): Buffer {
    return this.hash.digest();
  }

  hex(): string {
    return this.hash.digest("hex");
  }
}
