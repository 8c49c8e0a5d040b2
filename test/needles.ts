// Secrets to look for where they must not be: card and ID numbers, keys, tokens, each in the forms
// in which it could stand there (packed digits from either half byte on, text, hex, base64).
//
// The twist: there are hundreds of forms and some hundred megabytes to look through, so one pass
// looks at two bytes at each place and goes on only where some form begins with them.

import { PAN_KIND_CARD, writePanBlock } from "../protocol/pan.js";

/** What two keys of any size have in common: the size of the shortest. */
const KEY_PART = 16;
const FORM_SIZE_MIN = 8;

export class Needles {
  /** A secret's name and the byte strings it could be found as. */
  readonly forms = new Map<string, Buffer[]>();
  private readonly begins = new Uint8Array(65_536);
  private readonly byBegin = new Map<number, [string, Buffer][]>();

  /** A card number, or the digits of an ID number. */
  addNumber(name: string, digits: string): void {
    this.addPacked(name, digits);
    const bcd = packed(digits).toString("hex");
    this.add(name, [digits, bcd, base64(digits), base64(packed(digits))].map(bytesOf));
  }

  /** A number as it stands in a number block: packed digits, from either half byte on. */
  addPacked(name: string, digits: string): void {
    // Without a last byte whose lower half may be a filler.
    const shifted = digits.slice(1, 1 + ((digits.length - 1) & ~1));
    this.add(name, [packed(digits), Buffer.from(shifted, "hex")]);
  }

  /** A key: its first sixteen bytes, and their text. */
  addKey(name: string, key: Uint8Array): void {
    this.addKeyBytes(name, key);
    const hex = Buffer.from(key.subarray(0, KEY_PART)).toString("hex");
    this.add(name, [hex, hex.toUpperCase(), base64(key.subarray(0, KEY_PART))].map(bytesOf));
  }

  /** A key as bytes only: its first and last sixteen. */
  addKeyBytes(name: string, key: Uint8Array): void {
    this.add(name, [Buffer.from(key.subarray(0, KEY_PART)), Buffer.from(key.subarray(-KEY_PART))]);
  }

  addText(name: string, text: string): void {
    this.add(name, [Buffer.from(text)]);
  }

  addBytes(name: string, bytes: Uint8Array): void {
    this.add(name, [Buffer.from(bytes)]);
  }

  /** Names of what stands in `bytes`, each once, in order of their first place. */
  found(bytes: Uint8Array): string[] {
    const { begins, byBegin } = this;
    const names = new Set<string>();
    for (let at = 0; at + FORM_SIZE_MIN <= bytes.length; at++) {
      const begin = (bytes[at]! << 8) | bytes[at + 1]!;
      if (begins[begin] === 0) continue;
      for (const [name, form] of byBegin.get(begin)!) {
        if (standsAt(bytes, at, form)) names.add(name);
      }
    }
    return [...names];
  }

  private add(name: string, forms: Buffer[]): void {
    this.forms.set(name, [...(this.forms.get(name) ?? []), ...forms]);
    for (const form of forms) {
      const begin = form.readUInt16BE(0);
      this.begins[begin] = 1;
      const others = this.byBegin.get(begin) ?? [];
      if (others.length === 0) this.byBegin.set(begin, others);
      others.push([name, form]);
    }
  }
}

function standsAt(bytes: Uint8Array, at: number, form: Buffer): boolean {
  if (at + form.length > bytes.length) return false;
  for (let i = 2; i < form.length; i++) if (bytes[at + i] !== form[i]) return false;
  return true;
}

function packed(digits: string): Buffer {
  const block = Buffer.alloc(16);
  writePanBlock(block, 0, digits, PAN_KIND_CARD);
  return block.subarray(1, 1 + (digits.length >> 1));
}

/** Without what depends on the bytes that follow. */
function base64(bytes: Uint8Array | string): string {
  const text = Buffer.from(bytes as Uint8Array)
    .toString("base64")
    .replace(/=+$/, "");
  return text.slice(0, text.length - 2);
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text);
}
