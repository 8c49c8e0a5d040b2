// Folders of one run, in the system's temporary folder: whatever is measured side by side has its
// files in the same file system. All of them are gone when the process ends.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = new Set<string>();

process.on("exit", () => {
  for (const folder of folders) remove(folder);
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => process.exit(1));
}

/** Makes a folder of its own; `removeFolder` or the end of the process removes it. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tongka-bench-"));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  remove(folder);
  folders.delete(folder);
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
