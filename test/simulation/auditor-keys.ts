// The keys by which the auditor checks what leaves: derived anew from the terminal's master key and
// the nonces that the journal holds.

import { deriveSessionKeys, deriveSignOnKey } from "../../protocol/kdf.js";
import { createMac, type Mac } from "../../protocol/mac.js";
import type { ModelGeneration } from "./model.js";

/** The MAC objects of a run, made once for each generation. */
export class AuditorKeys {
  private readonly macs = new Map<string, Mac>();

  /** Under which answers of a generation are signed. */
  response(terminalId: number, g: ModelGeneration): Mac {
    return this.kept(`${terminalId}/${g.generation}/${hex(g.serverNonce)}`, () => {
      const master = Buffer.from(g.keyHex, "hex");
      const { generation, terminalNonce, serverNonce, macAlgorithm } = g;
      const keys = deriveSessionKeys(
        macAlgorithm,
        master,
        terminalId,
        generation,
        terminalNonce,
        serverNonce,
      );
      return createMac(macAlgorithm, keys.responseKey);
    });
  }

  /** Under which a sign-on's challenge is signed by both. */
  signOn(terminalId: number, keyHex: string, version: number, macAlgorithm: number): Mac {
    return this.kept(`${terminalId}/sign-on/${version}`, () => {
      const master = Buffer.from(keyHex, "hex");
      const key = deriveSignOnKey(macAlgorithm, master, terminalId, version);
      return createMac(macAlgorithm, key);
    });
  }

  private kept(name: string, make: () => Mac): Mac {
    let mac = this.macs.get(name);
    if (mac === undefined) {
      mac = make();
      this.macs.set(name, mac);
    }
    return mac;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
