// One process at a time opens a data folder. A lock file names the process and, while it serves,
// where; a lock whose process is gone (killed, power cut) is taken over.
//
// The twist: a lock that was left is never removed to make room, for two that find it at once would
// remove each other's. The lock with the highest number counts; who takes the folder links the next
// number, which only one can, with its whole content at once. The number never goes back.

import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LOCK_FILE = "tongka.lock";
const NUMBERED = /^tongka\.lock\.([1-9][0-9]{0,14})$/;
/** Content of the lock of a folder that was closed as it should be. */
const RELEASED = "null";

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
    private readonly folder: string,
    private readonly number: number,
    private readonly holder: LockHolder,
  ) {}

  /** Takes the folder. Throws a one-line error when another process has it. */
  static take(folder: string): DataLock {
    const holder = { pid: process.pid, started: startOf(process.pid), controlUrl: null };
    const draft = draftIn(folder);
    writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
    try {
      for (;;) {
        const last = numbersIn(folder).at(-1) ?? 0;
        const other = last === 0 ? null : holderIn(pathOf(folder, last));
        if (other !== null) {
          throw new Error(`data folder ${folder} is in use by process ${other.pid}: stop it first`);
        }
        if (linkNext(folder, draft, last + 1)) return new DataLock(folder, last + 1, holder);
      }
    } finally {
      rmSync(draft, { force: true });
    }
  }

  /** Tells where this process serves. */
  serve(controlUrl: string): void {
    this.holder.controlUrl = controlUrl;
    this.write(JSON.stringify(this.holder));
  }

  release(): void {
    this.write(RELEASED);
  }

  private write(content: string): void {
    const draft = draftIn(this.folder);
    writeFileSync(draft, content, { mode: 0o600 });
    renameSync(draft, pathOf(this.folder, this.number));
  }
}

/** The living process that holds `folder`, or null. */
export function lockHolder(folder: string): LockHolder | null {
  const last = numbersIn(folder).at(-1);
  return last === undefined ? null : holderIn(pathOf(folder, last));
}

/** Links the draft as lock `number` and removes those before it. Returns whether it counts. */
function linkNext(folder: string, draft: string, number: number): boolean {
  const path = pathOf(folder, number);
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  const numbers = numbersIn(folder);
  // Others may have taken and left the folder since we looked.
  const counts = numbers.at(-1) === number;
  const over = counts ? numbers.filter((other) => other < number) : [number];
  for (const other of over) rmSync(pathOf(folder, other), { force: true });
  return counts;
}

/** Numbers of the locks in `folder`, upwards. */
function numbersIn(folder: string): number[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const numbers = names.map((name) => Number(NUMBERED.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number !== 0).sort((a, b) => a - b);
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${LOCK_FILE}.${number}`);
}

function draftIn(folder: string): string {
  return join(folder, `${LOCK_FILE}-${process.pid}`);
}

/** The living process that a lock file names; null for what is no lock, too. */
function holderIn(path: string): LockHolder | null {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as LockHolder | null;
    return holder !== null && alive(holder) ? holder : null;
  } catch {
    return null;
  }
}

function alive({ pid, started }: LockHolder): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return startOf(pid) === started;
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
