// The last pair of terminal and service item that the ladder found nothing against, so that the
// next use of the same terminal and item need not go through those rungs again: a terminal's uses
// come in runs.
//
// Invariant: what is remembered would be found again. So it is forgotten before each command and
// when the day changes, and nothing is remembered that hangs on the time of day.

import type { CompiledItem } from "./catalogue.js";
import type { Use } from "./use.js";

export class Standing {
  /** Row of the terminal; 0 nothing is remembered. */
  private terminalRow = 0;
  private itemCode = 0;
  private medium = 0;
  private item: CompiledItem | undefined = undefined;

  /** The item of a use against whose terminal, item and medium nothing was found, or undefined. */
  itemOf(use: Use): CompiledItem | undefined {
    const same =
      use.terminalRow === this.terminalRow &&
      use.itemCode === this.itemCode &&
      use.medium === this.medium;
    return same ? this.item : undefined;
  }

  remember(use: Use, item: CompiledItem): void {
    this.terminalRow = use.terminalRow;
    this.itemCode = use.itemCode;
    this.medium = use.medium;
    this.item = item;
  }

  forget(): void {
    this.terminalRow = 0;
    this.item = undefined;
  }
}
