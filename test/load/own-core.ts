// A core of its own for a load generator that spins. The kernel would run threads of the server
// behind it for a tick at a time, up to 4 ms, as no machine with terminals elsewhere does. So the
// generator gets the last core and the server the others, for as long as the load lasts.

import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** Does `work` on a core of its own, where there are two and `taskset` (util-linux) is there. */
export async function onOwnCore<Result>(
  serverPid: number,
  say: (line: string) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const last = availableParallelism() - 1;
  try {
    const parted = last > 0 && bind(process.pid, `${last}`) && bind(serverPid, `0-${last - 1}`);
    if (!parted) say("the load generator has no core of its own: two and taskset are needed");
    return await work();
  } finally {
    for (const pid of [serverPid, process.pid]) bind(pid, `0-${last}`);
  }
}

/** Binds all threads of a process to `cores`. Returns whether it could. */
function bind(pid: number, cores: string): boolean {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", cores, String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
