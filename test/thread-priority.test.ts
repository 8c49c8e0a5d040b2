// Priorities of a server's threads: what taps wait for keeps its own, the compiler's and the
// control plane's are lower.

import { getPriority } from "node:os";
import { Worker } from "node:worker_threads";
import t from "tap";
import { lowerHelpers, threadsBeside } from "../src/thread-priority.js";
import { serve, until } from "./server-kit.js";

const LINUX = process.platform === "linux" ? {} : { skip: "priorities of threads are Linux's" };
const CONTROL_LOWER = 10;
const HELPERS_LOWER = 5;
const MOST = 19;

t.test(
  "a server lowers the helpers of V8 and the control plane, and no thread else",
  LINUX,
  async (t) => {
    const own = getPriority(process.pid);
    const helpers = threadsBeside();
    t.ok(helpers.length >= 4, `${helpers.length} threads before`);
    t.notOk(helpers.includes(process.pid), "the main thread is not among them");
    await serve(t, {});
    const lower = (by: number) => Math.min(own + by, MOST);
    t.same(new Set(helpers.map((id) => getPriority(id))), new Set([lower(HELPERS_LOWER)]));
    t.equal(getPriority(process.pid), own, "the main thread");
    const started = threadsBeside().filter((id) => !helpers.includes(id));
    const low = started.filter((id) => getPriority(id) !== own);
    t.equal(low.length, 1, "the control plane");
    t.equal(getPriority(low[0]!), lower(CONTROL_LOWER));
    t.ok(started.length > 1, "the journal's thread is among the others");
  },
);

t.test("a thread that has ended is left out, and the lowest stays so", LINUX, async (t) => {
  const before = threadsBeside();
  const worker = new Worker("setTimeout(() => {}, 1e6)", { eval: true });
  const found = () => threadsBeside().filter((id) => !before.includes(id));
  await until("the thread", () => found().length > 0);
  const ids = found();
  for (let i = 0; i < 4; i++) lowerHelpers(ids);
  t.same(new Set(ids.map((id) => getPriority(id))), new Set([MOST]));
  await worker.terminate();
  await until("its end", () => found().length === 0);
  lowerHelpers(ids);
});
