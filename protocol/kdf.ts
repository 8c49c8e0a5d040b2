// Key derivation: NIST SP 800-108 in counter mode, always one iteration. The pseudorandom function
// is the one behind the terminal's MAC algorithm, whole, so keys are as long as its output.
//
//   K = PRF(masterKey, [1] u32 big-endian || label ASCII || 0x00 || context || [L] u32 big-endian)
//
// L is the key's size in bits (128 or 256). Numbers inside a context are little-endian.
//   label          context
//   "TK sign-on"   terminalId u32, masterKeyVersion u32
//   "TK request"   terminalId u32, keyGeneration u32, terminalNonce 16, serverNonce 16
//   "TK response"  the same

import { assert } from "./assert.js";
import { createMac, MAC_SIZE, pseudorandom } from "./mac.js";
import { MAC_KEY_SIZES } from "./mac-algorithms.js";
import { NONCE_SIZE } from "./management.js";

const LABEL_SIGN_ON = "TK sign-on";
const LABEL_REQUEST = "TK request";
const LABEL_RESPONSE = "TK response";
const CHECK_VALUE_SIZE = 3;

/** The two keys of a session: the terminal signs under one, Tongka under the other. */
export interface SessionKeys {
  requestKey: Uint8Array;
  responseKey: Uint8Array;
}

/** The key of the sign-on frames: it changes with the master key and not with the session. */
export function deriveSignOnKey(
  algorithm: number,
  masterKey: Uint8Array,
  terminalId: number,
  masterKeyVersion: number,
): Uint8Array {
  const context = new Uint8Array(8);
  const view = new DataView(context.buffer);
  view.setUint32(0, terminalId, true);
  view.setUint32(4, masterKeyVersion, true);
  return derive(algorithm, masterKey, LABEL_SIGN_ON, context);
}

/** The keys of the session `keyGeneration`, from 16-byte nonces of both sides. */
export function deriveSessionKeys(
  algorithm: number,
  masterKey: Uint8Array,
  terminalId: number,
  keyGeneration: number,
  terminalNonce: Uint8Array,
  serverNonce: Uint8Array,
): SessionKeys {
  assert(terminalNonce.length === NONCE_SIZE, "a terminal nonce has 16 bytes");
  assert(serverNonce.length === NONCE_SIZE, "a server nonce has 16 bytes");
  const context = new Uint8Array(8 + 2 * NONCE_SIZE);
  const view = new DataView(context.buffer);
  view.setUint32(0, terminalId, true);
  view.setUint32(4, keyGeneration, true);
  context.set(terminalNonce, 8);
  context.set(serverNonce, 8 + NONCE_SIZE);
  return {
    requestKey: derive(algorithm, masterKey, LABEL_REQUEST, context),
    responseKey: derive(algorithm, masterKey, LABEL_RESPONSE, context),
  };
}

/** What people compare to see that both ends hold one key: 3 bytes of the MAC of 16 zero bytes. */
export function checkValue(algorithm: number, key: Uint8Array): Uint8Array {
  const mac = createMac(algorithm, key);
  const out = new Uint8Array(MAC_SIZE);
  mac.sign(new Uint8Array(16), 0, 16, out, 0);
  mac.close();
  return out.slice(0, CHECK_VALUE_SIZE);
}

function derive(
  algorithm: number,
  masterKey: Uint8Array,
  label: string,
  context: Uint8Array,
): Uint8Array {
  const keySize = MAC_KEY_SIZES[algorithm] ?? 0;
  if (keySize === 0) throw new RangeError("unknown MAC algorithm");
  if (masterKey.length !== keySize) throw new RangeError("master key is not of its size");
  const message = new Uint8Array(4 + label.length + 1 + context.length + 4);
  const view = new DataView(message.buffer);
  view.setUint32(0, 1, false);
  for (let i = 0; i < label.length; i++) message[4 + i] = label.charCodeAt(i);
  message.set(context, 4 + label.length + 1);
  view.setUint32(message.length - 4, keySize * 8, false);
  return pseudorandom(algorithm, masterKey, message);
}
