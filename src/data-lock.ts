// One process at a time opens a data folder. The lock file names the process and, while it serves,
// where; a lock whose process is gone (killed, power cut) is taken over.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LOCK_FILE = "tongka.lock";

/** Who holds a data folder. */
export interface LockHolder {
  pid: number;
  /** Start time of the process in clock ticks since boot, so that a reused pid is told apart. */
  started: string;
  /** URL of the control plane; null when the process does not serve (an import). */
  controlUrl: string | null;
}

export class DataLock {
  private constructor(
    private readonly path: string,
    private readonly holder: LockHolder,
  ) {}

  /** Takes the folder. Throws a one-line error when another process has it. */
  static take(folder: string): DataLock {
    const path = join(folder, LOCK_FILE);
    const holder = { pid: process.pid, started: startOf(process.pid), controlUrl: null };
    for (;;) {
      try {
        writeFileSync(path, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
        return new DataLock(path, holder);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const other = lockHolder(folder);
      if (other !== null) {
        throw new Error(`data folder ${folder} is in use by process ${other.pid}: stop it first`);
      }
      rmSync(path, { force: true });
    }
  }

  /** Tells where this process serves. */
  serve(controlUrl: string): void {
    this.holder.controlUrl = controlUrl;
    writeFileSync(this.path, JSON.stringify(this.holder), { mode: 0o600 });
  }

  release(): void {
    rmSync(this.path, { force: true });
  }
}

/** The living process that holds `folder`, or null. */
export function lockHolder(folder: string): LockHolder | null {
  let holder: LockHolder;
  try {
    holder = JSON.parse(readFileSync(join(folder, LOCK_FILE), "utf8")) as LockHolder;
  } catch {
    return null;
  }
  return alive(holder) ? holder : null;
}

function alive(holder: LockHolder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return startOf(holder.pid) === holder.started;
}

/** Field 22 of /proc/PID/stat, behind the name in brackets; "" where there is no /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
