// Secrets to look for where they must not be: card numbers, ID numbers and keys, each in all the
// forms in which it could stand in a log, an answer or a file.

import { writePanBlock } from "../protocol/pan.js";

const AES_KEY_SIZE_MIN = 16;

export class Needles {
  /** A secret's name and the byte strings it could be found as. */
  readonly forms = new Map<string, Buffer[]>();

  addNumber(name: string, digits: string): void {
    const block = Buffer.alloc(16);
    writePanBlock(block, 0, digits, 0);
    // Without its last byte, whose lower half may be a filler, and from either half byte on.
    const bcd = block.subarray(1, 1 + (digits.length >> 1));
    const forms = [digits, bcd.toString("hex"), base64(digits), base64(bcd)];
    const shifted = Buffer.from(digits.slice(1, 1 + ((digits.length - 1) & ~1)), "hex");
    this.forms.set(name, [bcd, shifted, ...forms.map((form) => Buffer.from(form))]);
  }

  addKey(name: string, key: Uint8Array): void {
    const bytes = Buffer.from(key);
    const half = bytes.subarray(0, AES_KEY_SIZE_MIN);
    const hex = half.toString("hex");
    this.forms.set(name, [
      half,
      Buffer.from(hex),
      Buffer.from(hex.toUpperCase()),
      Buffer.from(base64(half)),
    ]);
  }

  addText(name: string, text: string): void {
    this.forms.set(name, [Buffer.from(text)]);
  }

  /** Names of the secrets that stand in `bytes`. */
  found(bytes: Buffer): string[] {
    return [...this.forms].flatMap(([name, forms]) =>
      forms.some((form) => bytes.includes(form)) ? [name] : [],
    );
  }
}

/** Without what depends on the bytes that follow. */
function base64(bytes: Buffer | string): string {
  const text = Buffer.from(bytes as Buffer)
    .toString("base64")
    .replace(/=+$/, "");
  return text.slice(0, text.length - 2);
}
