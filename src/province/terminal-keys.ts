// Keys of a generated province's terminals, derived from its seed: whoever knows the seed knows
// them, so they serve demonstrations and tests and nothing else. The import file carries them
// wrapped (RFC 3394) under a key-exchange key, as those of real terminals come.

import { createHmac, hkdfSync } from "node:crypto";
import {
  MAC_ALGORITHM_NAMES,
  MAC_KEY_SIZES,
  type MacAlgorithmName,
} from "../../protocol/mac-algorithms.js";
import { wrapKey } from "../key-wrap.js";

export class TerminalKeys {
  /** 32 bytes. */
  readonly keyExchangeKey: Buffer;
  private readonly secret: Buffer;

  constructor(seed: number) {
    this.keyExchangeKey = derive(seed, "tongka demonstration key-exchange key");
    this.secret = derive(seed, "tongka demonstration terminal keys");
  }

  /** The master key of a terminal, of the size its algorithm takes. */
  masterKey(terminalId: number, algorithm: MacAlgorithmName): Buffer {
    const size = MAC_KEY_SIZES[MAC_ALGORITHM_NAMES.indexOf(algorithm)]!;
    const mac = createHmac("sha256", this.secret).update(String(terminalId)).digest();
    return mac.subarray(0, size);
  }

  /** The same, wrapped under the key-exchange key: 8 bytes longer. */
  wrappedMasterKey(terminalId: number, algorithm: MacAlgorithmName): Buffer {
    return wrapKey(this.masterKey(terminalId, algorithm), this.keyExchangeKey);
  }
}

function derive(seed: number, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", `seed ${seed}`, Buffer.alloc(0), purpose, 32));
}
