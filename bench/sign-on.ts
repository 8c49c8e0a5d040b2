// Sign-on as a terminal of the load does it: challenge, proof, session keys (protocol/README.md).

import { randomBytes } from "node:crypto";
import { readFrameHeader, readManagement } from "../protocol/decode.js";
import { sealFrame, writeFrameHeader, writeManagement } from "../protocol/encode.js";
import { FRAME_HEADER_SIZE, FRAME_MAC_SIZE } from "../protocol/frame.js";
import { deriveSessionKeys, deriveSignOnKey } from "../protocol/kdf.js";
import { createMac, type Mac } from "../protocol/mac.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import {
  FUNCTION_SIGN_ON,
  MANAGEMENT_RECORD_SIZE,
  NONCE_SIZE,
  SIGN_ON_CHALLENGE,
  SIGN_ON_PROOF,
} from "../protocol/management.js";
import { MTI_MANAGEMENT_REQUEST } from "../protocol/mti.js";
import { MASTER_KEY_VERSION, masterKeyOf } from "./world.js";

/** The keys of a session. */
export interface TerminalKeys {
  generation: number;
  request: Mac;
  response: Mac;
}

/** Sends one frame and resolves with its answer. */
export type Exchange = (frame: Buffer) => Promise<Buffer>;

const ALGORITHM = MAC_ALGORITHM.AES_128_CMAC;
const MANAGEMENT_FRAME_SIZE = FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE + FRAME_MAC_SIZE;

/** Signs a terminal on. */
export async function signOn(exchange: Exchange, terminalId: number): Promise<TerminalKeys> {
  const masterKey = masterKeyOf(terminalId);
  const key = deriveSignOnKey(ALGORITHM, masterKey, terminalId, MASTER_KEY_VERSION);
  const mac = createMac(ALGORITHM, key);
  const terminalNonce = new Uint8Array(randomBytes(NONCE_SIZE));
  const ask = (step: number, serverNonce: Uint8Array) => {
    return exchange(managementFrame(mac, terminalId, step, terminalNonce, serverNonce));
  };
  const challenge = await ask(SIGN_ON_CHALLENGE, new Uint8Array(NONCE_SIZE));
  const { serverNonce } = readManagement(viewOf(challenge), FRAME_HEADER_SIZE);
  const opened = readFrameHeader(viewOf(await ask(SIGN_ON_PROOF, serverNonce)), 0);
  mac.close();
  if (opened.status !== "00") throw new Error(`sign-on was refused with ${opened.status}`);
  const generation = opened.keyGeneration;
  const keys = deriveSessionKeys(
    ALGORITHM,
    masterKey,
    terminalId,
    generation,
    terminalNonce,
    serverNonce,
  );
  return macsOf(generation, keys.requestKey, keys.responseKey);
}

/** Keys of no session, for frames that are only echoed. */
export function madeUpKeys(): TerminalKeys {
  return macsOf(1, randomBytes(16), randomBytes(16));
}

function macsOf(generation: number, request: Uint8Array, response: Uint8Array): TerminalKeys {
  return {
    generation,
    request: createMac(ALGORITHM, request),
    response: createMac(ALGORITHM, response),
  };
}

function managementFrame(
  mac: Mac,
  terminalId: number,
  step: number,
  terminalNonce: Uint8Array,
  serverNonce: Uint8Array,
): Buffer {
  const bytes = Buffer.alloc(MANAGEMENT_FRAME_SIZE);
  writeFrameHeader(viewOf(bytes), 0, {
    flags: 0,
    mti: MTI_MANAGEMENT_REQUEST,
    count: 1,
    senderId: terminalId,
    keyGeneration: 0,
    sequence: 0,
    bodySize: MANAGEMENT_RECORD_SIZE,
    timeMs: Date.now(),
    status: "",
  });
  writeManagement(bytes, FRAME_HEADER_SIZE, {
    functionCode: FUNCTION_SIGN_ON,
    step,
    macAlgorithm: ALGORITHM,
    masterKeyVersion: MASTER_KEY_VERSION,
    keyGeneration: 0,
    expiresAt: 0,
    terminalNonce,
    serverNonce,
  });
  sealFrame(mac, bytes, 0, FRAME_HEADER_SIZE + MANAGEMENT_RECORD_SIZE);
  return bytes;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
