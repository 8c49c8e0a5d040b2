// The plain way in Node and its load: what host and load agree on, and the requests.

import { createHmac } from "node:crypto";
import { Child } from "./child.js";
import { makeFolder, removeFolder } from "./folder.js";
import { loadHttp, warmUpSeconds } from "./http.js";
import { PEER_CARDS } from "./peer.js";
import type { PlainOptions } from "./plain-host.js";
import { randomFrom, SEED } from "./random.js";
import { businessDateNow } from "./server.js";
import { AMOUNT_MINOR, ITEM_CODE, masterKeyOf, terminalIdOf } from "./world.js";

export const PLAIN_MAC_HEADER = "x-mac";
/** All STANs have eight digits, so that all requests are of one size. */
const FIRST_STAN = 10_000_000;
const CARD_DIGITS = 19;
/** More than it answers in a second here. */
const PER_SECOND_MAX = 30_000;

export interface PlainUse {
  terminalId: number;
  businessDate: number;
  stan: number;
  card: string;
  itemCode: number;
  amountMinor: number;
  medium: number;
}

export function plainCard(index: number): string {
  return String(index).padStart(CARD_DIGITS, "6");
}

export function plainKeyOf(terminalId: number): Buffer {
  return masterKeyOf(terminalId);
}

/** Uses a second of the plain way, by the same load generator as ours. */
export async function loadPlain(connections: number, seconds: number): Promise<number> {
  const folder = makeFolder();
  const options: PlainOptions = { folder, cardCount: PEER_CARDS };
  const child = await Child.start<{ url: string }>("plain-host", options);
  const random = randomFrom(SEED);
  const macs = new Map<Buffer, string>();
  let made = 0;
  const requestsFor = (duration: number) => {
    const count = Math.ceil(PER_SECOND_MAX * Math.max(duration, connections / PER_SECOND_MAX));
    const bodies = Array.from({ length: count }, () => {
      const terminalId = terminalIdOf(made % connections);
      const body = useBody(terminalId, FIRST_STAN + made++, random);
      const mac = createHmac("sha256", plainKeyOf(terminalId)).update(body);
      macs.set(body, mac.digest("hex"));
      return body;
    });
    const url = `${child.ready.url}/v1/messages`;
    const headersOf = (body: Buffer) => ({
      "Content-Type": "application/json",
      [PLAIN_MAC_HEADER]: macs.get(body)!,
    });
    return { url, headersOf, bodies };
  };
  try {
    const warmUp = warmUpSeconds(seconds);
    await loadHttp(requestsFor(warmUp), connections, warmUp);
    const load = await loadHttp(requestsFor(seconds), connections, seconds);
    return load.requests / load.seconds;
  } finally {
    await child.stop();
    removeFolder(folder);
  }
}

function useBody(terminalId: number, stan: number, random: () => number): Buffer {
  const use: PlainUse = {
    terminalId,
    businessDate: businessDateNow(),
    stan,
    card: plainCard(Math.floor(random() * PEER_CARDS)),
    itemCode: ITEM_CODE,
    amountMinor: AMOUNT_MINOR,
    medium: 1,
  };
  return Buffer.from(JSON.stringify(use));
}
