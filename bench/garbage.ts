// What a piece of work leaves for the garbage collector: bytes allocated in the heap, and the
// pauses. V8 tells the heap before and after every collection; what was allocated is what it grew
// by between them.

import { GCProfiler, getHeapStatistics } from "node:v8";

export interface Garbage {
  /** Bytes allocated in the heap of the thread. */
  allocatedBytes: number;
  pauses: number;
  pauseMs: number;
  pauseMsMax: number;
}

export class GarbageWatch {
  private profiler: GCProfiler | null = null;
  private startSize = 0;

  start(): void {
    this.profiler = new GCProfiler();
    this.profiler.start();
    this.startSize = getHeapStatistics().used_heap_size;
  }

  stop(): Garbage {
    const endSize = getHeapStatistics().used_heap_size;
    const { statistics } = this.profiler!.stop()!;
    this.profiler = null;
    const garbage = { allocatedBytes: 0, pauses: 0, pauseMs: 0, pauseMsMax: 0 };
    let size = this.startSize;
    for (const { beforeGC, afterGC, cost } of statistics) {
      garbage.allocatedBytes += beforeGC.heapStatistics.usedHeapSize - size;
      size = afterGC.heapStatistics.usedHeapSize;
      const ms = cost / 1000;
      garbage.pauses++;
      garbage.pauseMs += ms;
      garbage.pauseMsMax = Math.max(garbage.pauseMsMax, ms);
    }
    garbage.allocatedBytes += endSize - size;
    return garbage;
  }
}
