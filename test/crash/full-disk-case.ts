// A full disk: a file system of a few megabytes that fills under load. The server stops with what
// to do, does not start while the disk is full, and serves again when there is room.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type Context, type CrashCase, expect } from "./case.js";
import { isEnded, Life, scratchFolder } from "./life.js";
import { copyFolder } from "./verdict.js";

const SIZE = "6m";
const SIZE_WITH_ROOM = "256m";
/** So large frames fill it before the free space is looked at. */
const FRAME_RECORDS = 400;
const LINE = /^tongka: (stopped: )?[^|]*(make room|free space)[^|]*$/;

export const FULL_DISK_CASE: CrashCase = {
  name: "full-disk",
  text: `a file system of ${SIZE} that fills under load (needs root)`,
  run: async (context) => {
    const disk = scratchFolder(context);
    const problem = mount(["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", disk]);
    if (problem !== "") return context.skip(`full-disk needs a file system to fill: ${problem}`);
    context.scope.teardown(() => spawnSync("umount", ["-l", disk]));
    await fill(context, disk);
  },
};

async function fill(context: Context, disk: string): Promise<void> {
  const folder = join(disk, "data");
  copyFolder(context.template, folder);
  const life = new Life(context, "full disk", { folder });
  const server = await life.start();
  const gone = life.load(server, FRAME_RECORDS);
  const ended = await server.ended;
  await gone;
  context.totals.faults++;
  expect(context, { what: "a disk that fills", line: LINE, end: "SIGKILL" }, ended);
  await life.judge();
  context.progress(1, 3);

  const again = await life.tryStart();
  const refused = isEnded(again) ? again : await again.ended;
  const end = refused.signal === null ? 1 : "SIGKILL";
  expect(context, { what: "a start on a full disk", line: LINE, end }, refused);
  await life.judge();
  context.progress(2, 3);

  mount(["-o", `remount,size=${SIZE_WITH_ROOM}`, disk]);
  await life.restart();
  await life.judge();
  life.count();
  context.progress(3, 3);
}

/** Why it cannot be mounted; "" it is. */
function mount(args: readonly string[]): string {
  const { error, status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (error !== undefined) return error.message;
  return status === 0 ? "" : stderr.trim();
}
