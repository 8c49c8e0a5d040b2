// A Node.js process without what tap loads into each process that a test starts (it sets
// NODE_OPTIONS for all of them, whatever the test sets): a loader of modules that takes as long to
// start as the server, in each thread, and a listener that ends a process with SIGXFSZ.

/** The command and arguments that run `node ARGS`; the process's id is that of the command. */
export function plainNode(args: readonly string[], nodeOptions = ""): [string, string[]] {
  return ["env", [`NODE_OPTIONS=${nodeOptions}`, process.execPath, ...args]];
}
