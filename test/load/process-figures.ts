// What the kernel says of a process under load: memory that is no page of a file, open descriptors.

import { readdirSync, readFileSync } from "node:fs";

/** Bytes of process `pid` that are no page of a file. */
export function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  return (kilobytes("RssAnon") + kilobytes("RssShmem")) * 1024;
}

export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Open files that a process may have, this one and its children. */
export function descriptorsMax(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1]);
}

/** Watches the memory of a process; the result stops it and tells the most it was. */
export function watchMemory(pid: number): () => number {
  let most = ownBytes(pid);
  const look = () => {
    most = Math.max(most, ownBytes(pid));
  };
  const timer = setInterval(look, 250);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}
