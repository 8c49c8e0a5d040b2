// Loaded before each test file (.taprc): worker threads start without what tap loads into the
// process, as those of a real server do. Its loader of modules takes longer than all else a thread
// does to start, and waits for a thread of its own meanwhile.

import { syncBuiltinESMExports } from "node:module";
import workerThreads, { type WorkerOptions } from "node:worker_threads";

// It is there, too, and a thread reads it for itself.
delete process.env["NODE_OPTIONS"];
const execArgv = process.execArgv.filter((flag) => !flag.startsWith("--import="));

workerThreads.Worker = class extends workerThreads.Worker {
  constructor(file: string | URL, options: WorkerOptions = {}) {
    super(file, { execArgv, ...options });
  }
};
syncBuiltinESMExports();
