// The one home of cli-progress: a bar that updates in place on a terminal, and otherwise a plain
// line now and then, so that a log file stays readable.

import { SingleBar } from "cli-progress";
import type { Output } from "./output.js";

const PLAIN_INTERVAL_MS = 5000;
const BAR_INTERVAL_MS = 100;

export interface Progress {
  /** `done` of the total; any unit. */
  update(done: number): void;
  /** Ends the bar, whether all is done or not. */
  stop(): void;
}

/** Starts showing how far `what` is. `stream` is where messages go. */
export function startProgress(
  what: string,
  total: number,
  output: Output,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  return stream.isTTY ? bar(what, total, stream) : plainLines(what, total, output);
}

function bar(what: string, total: number, stream: NodeJS.WriteStream): Progress {
  const single = new SingleBar({
    format: `${what} [{bar}] {percentage}%  {eta_formatted} left`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    fps: 1000 / BAR_INTERVAL_MS,
    hideCursor: true,
    stream,
  });
  single.start(total, 0);
  return {
    update: (done) => single.update(done),
    stop: () => single.stop(),
  };
}

function plainLines(what: string, total: number, output: Output): Progress {
  let lastMs = performance.now();
  let done = 0;
  const line = () => output.message(`${what}: ${percentage(done, total)}%`);
  return {
    update: (now) => {
      done = now;
      if (performance.now() - lastMs < PLAIN_INTERVAL_MS) return;
      lastMs = performance.now();
      line();
    },
    stop: line,
  };
}

function percentage(done: number, total: number): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}
