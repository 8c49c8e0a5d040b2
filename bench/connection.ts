// A TCP connection of a load: what is read comes in one buffer that all connections use again, so
// that the generator neither makes nor clears 64 KB for each read, nor collects them. Tongka, echo
// and peers are all loaded over it.

import { createConnection, type Socket } from "node:net";

const READ_SIZE = 64 * 1024;
const buffer = Buffer.allocUnsafeSlow(READ_SIZE);

/** Connects; `onBytes` is given what is read, valid during the call. */
export function connect(host: string, port: number, onBytes: (bytes: Buffer) => void): Socket {
  const callback = (size: number) => {
    onBytes(buffer.subarray(0, size));
    return true;
  };
  return createConnection({ host, port, noDelay: true, onread: { buffer, callback } });
}
