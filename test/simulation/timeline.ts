// The false time: a queue of events, run one by one in the order of their times. There is no timer
// and no wait behind it; a second of it takes as long as its events do.
//
// The twist: the core is told of durable blocks by promises. After an event the microtasks run out
// (one turn of the real event loop, in which nothing else is due) before the next event begins.

interface Event {
  timeUs: number;
  /** Ties are run in the order in which they were planned. */
  order: number;
  run(): void;
}

export class Timeline {
  nowUs = 0;
  /** Events run. */
  steps = 0;
  private planned = 0;
  private readonly heap: Event[] = [];

  /** Plans `run` for `delayUs` from now. */
  after(delayUs: number, run: () => void): void {
    const event = { timeUs: this.nowUs + Math.max(0, delayUs), order: this.planned++, run };
    this.heap.push(event);
    this.rise(this.heap.length - 1);
  }

  /** Runs the next event and what follows from it at once. Returns false when there is none. */
  async step(): Promise<boolean> {
    const event = this.take();
    if (event === null) return false;
    this.nowUs = event.timeUs;
    this.steps++;
    event.run();
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  }

  private take(): Event | null {
    const first = this.heap[0];
    if (first === undefined) return null;
    const last = this.heap.pop()!;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink();
    }
    return first;
  }

  private rise(from: number): void {
    const { heap } = this;
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent]!, heap[i]!)) return;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  private sink(): void {
    const { heap } = this;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function before(a: Event, b: Event): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.order < b.order);
}
