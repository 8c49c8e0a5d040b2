// What a case leaves to be undone: processes, folders, mounts, connections. Undone in the opposite
// order, once, whatever ended the case.

import type { Scope } from "../server-kit.js";

export class CaseScope implements Scope {
  private readonly tasks: (() => unknown)[] = [];

  readonly teardown = (task: () => unknown): void => {
    this.tasks.push(task);
  };

  async end(): Promise<void> {
    for (let task = this.tasks.pop(); task !== undefined; task = this.tasks.pop()) await task();
  }
}
