// The plain way in Node: Fastify, JSON, an HMAC of node:crypto over each request and answer, a
// look at card and blacklist in memory, two lmdb puts for each use, the answer when they are on
// disk. What a good first version of a service like ours looks like.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { open } from "lmdb";
import { childOptions, serveParent } from "./child.js";
import { PLAIN_MAC_HEADER, type PlainUse, plainCard, plainKeyOf } from "./plain.js";

/** What it is started with. */
export interface PlainOptions {
  folder: string;
  cardCount: number;
}

interface Card {
  status: number;
  medium: number;
  expiryDate: number;
  uses: number;
}

interface Flushing extends Promise<boolean> {
  flushed?: Promise<unknown>;
}

const { folder, cardCount } = childOptions<PlainOptions>();
const store = open<unknown, string>({ path: folder });
const cards = new Map<string, Card>();
const blacklist = new Set<string>();
const answers = new Map<string, string>();
for (let i = 0; i < cardCount; i++) {
  cards.set(plainCard(i), { status: 2, medium: 1, expiryDate: 20991231, uses: 0 });
}

const app = Fastify();
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
  done(null, body);
});
app.post("/v1/messages", async (request, reply) => {
  const body = request.body as Buffer;
  const use = JSON.parse(body.toString("utf8")) as PlainUse;
  const key = plainKeyOf(use.terminalId);
  const mac = createHmac("sha256", key).update(body).digest();
  const given = Buffer.from(String(request.headers[PLAIN_MAC_HEADER]), "hex");
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) return reply.code(401).send();
  const answer = JSON.stringify({ stan: use.stan, answer: await answerTo(use) });
  reply.header(PLAIN_MAC_HEADER, createHmac("sha256", key).update(answer).digest("hex"));
  return reply.type("application/json").send(answer);
});
await app.listen({ host: "127.0.0.1", port: 0 });

serveParent(
  { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` },
  {},
  async () => {
    await app.close();
    await store.close();
  },
);

async function answerTo(use: PlainUse): Promise<string> {
  const id = `${use.terminalId}:${use.businessDate}:${use.stan}`;
  const first = answers.get(id);
  if (first !== undefined) return first;
  const card = cards.get(use.card);
  const answer = judge(use, card);
  answers.set(id, answer);
  if (answer === "approved") {
    card!.uses++;
    store.put(use.card, card);
  }
  const put: Flushing = store.put(id, { ...use, answer });
  await put;
  await put.flushed;
  return answer;
}

function judge(use: PlainUse, card: Card | undefined): string {
  if (card === undefined) return "unknown card";
  if (card.status !== 2) return "card not active";
  if (card.medium !== use.medium) return "other medium";
  if (card.expiryDate < use.businessDate) return "card expired";
  if (blacklist.has(use.card)) return "listed";
  return use.amountMinor > 100_000 ? "amount over limit" : "approved";
}
