// The progress of an import, for `tongka import` and `tongka demo`.

import type { ImportProgress } from "../import/import.js";
import type { Context } from "./command.js";
import { type Progress, startProgress } from "./progress.js";

/** A progress bar that begins with the first progress, when the size of the file is known. */
export class ImportBar {
  private readonly context: Context;
  private readonly what: string;
  private progress: Progress | null;

  constructor(context: Context, what: string) {
    this.context = context;
    this.what = what;
    this.progress = null;
  }

  update({ bytesDone, bytesTotal }: ImportProgress): void {
    this.progress ??= startProgress(this.what, bytesTotal, this.context.output);
    this.progress.update(bytesDone);
  }

  stop(): void {
    this.progress?.stop();
  }
}
