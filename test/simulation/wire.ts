// What stands on the wire and in the journal, read by the auditor's own eyes: by the offsets of
// protocol/README.md and of the journal's drawing, not by the code that is judged.

import { createHash } from "node:crypto";

/** A use record as it was sent. */
export interface SentUse {
  mti: number;
  bytes: Uint8Array;
  /** The card number block, hex. */
  panHex: string;
  /** Digits, or null when the block is no card number with a right check digit. */
  pan: string | null;
  terminalId: number;
  stan: number;
  date: number;
  itemCode: number;
  amountHex: string;
  /** Fen, may be negative or too large. */
  amountMinor: number;
  localTime: number;
  medium: number;
  /** Whether flags or reserved bytes are set. */
  reservedSet: boolean;
  originalStan: number;
  originalDate: number;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

export function readSentUse(mti: number, bytes: Uint8Array): SentUse {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 64);
  const reserved = [45, 46, 47, 56, 57, 58, 59, 60, 61, 62, 63].some((at) => bytes[at] !== 0);
  return {
    mti,
    bytes,
    panHex: hexOf(bytes.subarray(0, 16)),
    pan: readPan(bytes),
    terminalId: view.getUint32(16, true),
    stan: view.getUint32(20, true),
    date: view.getUint32(24, true),
    itemCode: view.getUint32(28, true),
    amountHex: hexOf(bytes.subarray(32, 40)),
    amountMinor: Number(view.getBigInt64(32, true)),
    localTime: view.getUint32(40, true),
    medium: bytes[44]!,
    reservedSet: reserved,
    originalStan: view.getUint32(48, true),
    originalDate: view.getUint32(52, true),
  };
}

/** 12 to 19 digits whose last is right by Luhn's rule, padded as it must be; else null. */
function readPan(bytes: Uint8Array): string | null {
  const count = bytes[0]!;
  if (count < 12 || count > 19) return null;
  const halves = [...bytes.subarray(1, 11)].flatMap((byte) => [byte >> 4, byte & 15]);
  if (halves.slice(count).some((half) => half !== 15)) return null;
  const digits = halves.slice(0, count);
  if (digits.some((digit) => digit > 9)) return null;
  if (bytes.subarray(11, 16).some((byte) => byte !== 0)) return null;
  const sum = [...digits].reverse().reduce((total, digit, i) => {
    const weighed = i % 2 === 1 ? digit * 2 : digit;
    return total + Math.floor(weighed / 10) + (weighed % 10);
  }, 0);
  return sum % 10 === 0 ? digits.join("") : null;
}

/** The frames of a message: each tells the size of its body at offset 20, and none stands askew. */
export function framesIn(message: Uint8Array): Uint8Array[] {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const frames: Uint8Array[] = [];
  let at = 0;
  while (message.length - at >= 48) {
    const next = at + 48 + view.getUint32(at + 20, true);
    if (next >= message.length || next % 8 !== 0) break;
    frames.push(message.subarray(at, next));
    at = next;
  }
  return [...frames, message.subarray(at)];
}

export interface SeenEntry {
  kind: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
  count: number;
  /** The records, back to back. */
  records: Uint8Array;
}

export interface SeenBlock {
  firstPosition: number;
  positionCount: number;
  catalogueVersion: number;
  timeMs: number;
  blacklistPosition: number;
  previousHash: string;
  hash: string;
  entries: SeenEntry[];
}

/** Bytes of the whole block that `bytes` begin with; 0 they begin with none. */
export function wholeBlockSize(bytes: Uint8Array): number {
  if (bytes.length < 128) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = view.getUint32(24, true);
  return size <= bytes.length && frameOf(bytes.subarray(0, size)) === "" ? size : 0;
}

/** What is wrong with a block apart from its entries, "" nothing. */
function frameOf(bytes: Uint8Array): string {
  if (bytes.length < 128) return "shorter than its header";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== "TKJB") return "no magic";
  if (view.getUint16(4, true) !== 1 || view.getUint16(6, true) !== 128) return "version";
  if (view.getUint32(24, true) !== bytes.length) return "its size";
  const hash = createHash("sha256").update(bytes.subarray(0, 80)).update(bytes.subarray(112));
  return hash.digest("hex") === hexOf(bytes.subarray(80, 112)) ? "" : "its hash";
}

/** The first position of a block and its last. */
export function positionsOf(bytes: Uint8Array): { first: number; last: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = Number(view.getBigUint64(8, true));
  return { first, last: first + view.getUint32(16, true) - 1 };
}

/** A block's content, or a text that says what is wrong with it. */
export function readBlock(bytes: Uint8Array): SeenBlock | string {
  const wrong = frameOf(bytes);
  if (wrong !== "") return wrong;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const block = {
    firstPosition: u64(8),
    positionCount: view.getUint32(16, true),
    catalogueVersion: view.getUint32(28, true),
    timeMs: u64(32),
    blacklistPosition: u64(40),
    previousHash: hexOf(bytes.subarray(48, 80)),
    hash: hexOf(bytes.subarray(80, 112)),
    entries: readEntries(bytes, view),
  };
  const taken = block.entries.reduce((sum, entry) => sum + Math.max(entry.count, 1), 0);
  if (taken !== block.positionCount) return "its positions";
  return block.entries.length === view.getUint32(20, true) ? block : "its entries";
}

function readEntries(bytes: Uint8Array, view: DataView): SeenEntry[] {
  const entries: SeenEntry[] = [];
  for (let at = 128; at < bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    entries.push({
      kind: view.getUint16(at, true),
      count: view.getUint16(at + 2, true),
      senderId: view.getUint32(at + 8, true),
      keyGeneration: view.getUint32(at + 12, true),
      sequence: view.getUint32(at + 16, true),
      records: bytes.subarray(at + 24, at + 24 + size),
    });
    at += Math.ceil((24 + size) / 8) * 8;
  }
  return entries;
}
