// What happened in a run: a hash over all of it, so that two runs can be compared, and the last
// events, so that a failure can be read.

import { createHash } from "node:crypto";

const KEPT = 20_000;
const SHOWN_OF_KEY = 25;
const SHOWN_OF_ALL = 15;

interface Noted {
  step: number;
  timeUs: number;
  key: string;
  text: string;
}

/** What a check throws when a promise was broken. */
export class Broken extends Error {
  /** `key` names the events that belong to it. */
  constructor(
    readonly promise: string,
    readonly key: string,
  ) {
    super(promise);
  }
}

export class Trace {
  private readonly hash = createHash("sha256");
  private readonly kept: Noted[] = [];
  private next = 0;

  constructor(
    private readonly clock: { steps: number; nowUs: number },
    private readonly print: ((line: string) => void) | null,
  ) {}

  /** Notes an event; `key` is what it is about: a use, a card, a block, "node". */
  note(key: string, text: string): void {
    const noted = { step: this.clock.steps, timeUs: this.clock.nowUs, key, text };
    const line = lineOf(noted);
    this.hash.update(line);
    this.kept[this.next++ % KEPT] = noted;
    this.print?.(line);
  }

  /** Hash of the run so far, hex. */
  digest(): string {
    return this.hash.copy().digest("hex");
  }

  /** The last events about `key`, and the last of all. */
  minimal(key: string): string[] {
    const inOrder = this.kept
      .slice(this.next % KEPT)
      .concat(this.kept.slice(0, this.next % KEPT))
      .filter((noted) => noted !== undefined);
    const ofKey = inOrder.filter((noted) => key !== "" && noted.key.includes(key));
    const shown = new Set([...ofKey.slice(-SHOWN_OF_KEY), ...inOrder.slice(-SHOWN_OF_ALL)]);
    return inOrder.filter((noted) => shown.has(noted)).map(lineOf);
  }
}

function lineOf(noted: Noted): string {
  const seconds = (noted.timeUs / 1e6).toFixed(6).padStart(12);
  return `${String(noted.step).padStart(7)} ${seconds} s  ${noted.key}  ${noted.text}`;
}
