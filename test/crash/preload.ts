// Builds preload.c with the machine's C compiler, once a run, into a folder of its own, and names
// the variables that load it into a server.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scope } from "../server-kit.js";
import { ROOT } from "../source-text.js";

const SOURCE = join(ROOT, "test", "crash", "preload.c");
const FLAGS = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE"];

/** Which call is failed: the `nth` of its kind on a data file, or that one and all after it. */
export interface Fault {
  file: "journal" | "tables";
  /**
   * "meta" is the write of the page of the tables that names what is on disk; of the journal,
   * "room" is one of zeros behind all blocks, "create" makes a file and "folder" syncs its folder.
   */
  call: "write" | "meta" | "room" | "sync" | "create" | "folder";
  kind: "eio" | "enospc" | "short" | "stall" | "kill" | "hang";
  nth: number;
  always: boolean;
}

export interface PreloadOptions {
  recordFile?: string;
  clockFile?: string;
  hitFile?: string;
  fault?: Fault;
}

export class Preload {
  private constructor(private readonly path: string) {}

  /** Compiles it; returns why that is not possible on this machine. */
  static build(scope: Scope): Preload | string {
    if (process.platform !== "linux") return "LD_PRELOAD needs Linux";
    const folder = mkdtempSync(join(tmpdir(), "tongka-preload-"));
    scope.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "preload.so");
    const args = [...FLAGS, "-o", path, SOURCE, "-ldl", "-lpthread"];
    const { error, status, stderr } = spawnSync("cc", args, { encoding: "utf8" });
    if (error !== undefined) return "there is no C compiler (cc)";
    if (status !== 0) throw new Error(`preload.c does not compile: ${stderr}`);
    return new Preload(path);
  }

  environment({ recordFile, clockFile, hitFile, fault }: PreloadOptions): NodeJS.ProcessEnv {
    const text = fault && [fault.file, fault.call, fault.kind, fault.nth].join(":");
    return {
      LD_PRELOAD: this.path,
      ...(recordFile && { CRASH_RECORD: recordFile }),
      ...(clockFile && { CRASH_CLOCK: clockFile }),
      ...(hitFile && { CRASH_HIT: hitFile }),
      ...(fault && { CRASH_FAULT: `${text}:${fault.always ? "always" : "once"}` }),
    };
  }
}
