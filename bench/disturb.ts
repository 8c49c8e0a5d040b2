// What goes on beside the taps, from a process of its own: metrics are scraped, a checkpoint is
// made, cards are imported.

import { ControlClient } from "../src/control/client.js";
import { exchange } from "../src/control/exchange.js";
import { idNumberOf } from "./card-file.js";
import { timed } from "./case.js";
import { childOptions, serveParent } from "./child.js";
import { panOf } from "./world.js";

export interface DisturbOptions {
  controlUrl: string;
  adminToken: string;
  /** First card of the import and how many, none of them there yet. */
  firstCard: number;
  cardCount: number;
}

export interface Disturbance {
  scrapes: number;
  scrapeSeconds: number;
  checkpointSeconds: number;
  importSeconds: number;
  imported: number;
}

const SCRAPE_INTERVAL_MS = 500;
const SCRAPE = { method: "GET", deadlineMs: 30_000 };

const options = childOptions<DisturbOptions>();
const { controlUrl, adminToken, firstCard, cardCount } = options;
const client = new ControlClient({ url: controlUrl, adminToken });
const rows = Array.from({ length: cardCount }, (_, i) => row(firstCard + i)).join("");

serveParent(null, { go }, () => {});

/** Everything at once; scrapes go on until the rest is done. */
async function go(): Promise<Disturbance> {
  let done = false;
  const scraping = scrape(() => done);
  let imported = 0;
  const [importSeconds, checkpointSeconds] = await Promise.all([
    timed(async () => {
      ({ imported } = await client.import("cards", rows));
    }),
    timed(() => client.checkpoint()),
  ]);
  done = true;
  return { ...(await scraping), importSeconds, checkpointSeconds, imported };
}

async function scrape(done: () => boolean) {
  let scrapes = 0;
  let scrapeSeconds = 0;
  while (!done() || scrapes === 0) {
    scrapeSeconds += await timed(() => exchange(`${controlUrl}/metrics`, SCRAPE));
    scrapes++;
    await new Promise((resolve) => setTimeout(resolve, SCRAPE_INTERVAL_MS));
  }
  return { scrapes, scrapeSeconds: scrapeSeconds / scrapes };
}

function row(index: number): string {
  const card = {
    cardNumber: panOf(index),
    idNumber: idNumberOf(index),
    medium: "chip",
    status: "active",
    regionCode: 460105,
    expiryDate: "20791231",
  };
  return `${JSON.stringify(card)}\n`;
}
