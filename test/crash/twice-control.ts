// The control of "counted twice": a real server that forgets repeats and counts each use of a card
// twice. The verdict must say both, or that it finds none elsewhere shows nothing.

import { type Context, unexpected } from "./case.js";
import { Life } from "./life.js";
import { judgeCopy, repeats } from "./verdict.js";

/** The faults of its server, each a module that is loaded into it. */
export const TWICE_FAULTS = ["./twice-counted.js", "./twice-recorded.js"];
const ANSWERS = 60;
const REPEATS = 20;

/** With fewer faults than all it must find too little and say so: that is how it is tried. */
export async function twiceControl(context: Context, faults = TWICE_FAULTS): Promise<void> {
  const life = new Life(context, "counted twice");
  const loads = faults.map((name) => `--import=${new URL(name, import.meta.url)}`);
  const faulty = { NODE_OPTIONS: loads.join(" ") };
  const loaded = await life.start(faulty);
  const gone = life.load(loaded);
  await life.grow(ANSWERS);
  await loaded.end("SIGTERM");
  await gone;
  const asked = await life.start(faulty);
  await repeats(asked.terminalsUrl, life.ledger, REPEATS);
  await asked.end("SIGTERM");
  const verdict = await judgeCopy(context.scope, life.folder, life.flags, life.ledger);
  const cards = verdict.countedTwice.filter((text) => text.startsWith("card "));
  const uses = verdict.countedTwice.length - cards.length;
  context.row(`a faulty server: ${uses} uses recorded twice, ${cards.length} cards counted twice`);
  if (uses === 0) unexpected(context, "kill: a server that records repeats was not found out");
  if (cards.length === 0) unexpected(context, "kill: a server that counts twice was not found out");
  if (uses > 0 && cards.length > 0) context.totals.controlsTwice++;
}
