// The control of "counted twice": a real server that forgets repeats and counts each use of a card
// twice. The verdict must say both, or that it finds none elsewhere shows nothing.

import { type Context, unexpected } from "./case.js";
import { Life } from "./life.js";
import { judgeCopy, repeats } from "./verdict.js";

const FAULTY = { NODE_OPTIONS: `--import=${new URL("./twice-fault.js", import.meta.url)}` };
const ANSWERS = 60;
const REPEATS = 20;

export async function twiceControl(context: Context): Promise<void> {
  const life = new Life(context, "counted twice");
  const loaded = await life.start(FAULTY);
  const gone = life.load(loaded);
  await life.grow(ANSWERS);
  await loaded.end("SIGTERM");
  await gone;
  const asked = await life.start(FAULTY);
  await repeats(asked.terminalsUrl, life.ledger, REPEATS);
  await asked.end("SIGTERM");
  const verdict = await judgeCopy(context.scope, life.folder, life.flags, life.ledger);
  const cards = verdict.countedTwice.filter((text) => text.startsWith("card "));
  const uses = verdict.countedTwice.length - cards.length;
  context.row(`a faulty server: ${uses} uses recorded twice, ${cards.length} cards counted twice`);
  if (uses > 0 && cards.length > 0) context.totals.controlsTwice++;
  else unexpected(context, "kill: a server that counts twice was not found out");
}
