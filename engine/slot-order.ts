// The order in which an index is filled at once: rows by the region of slots that their hash falls
// in. Filled in the order of the rows, each slot is a miss of the processor's cache; filled region
// by region, the slots stay in it.
//
// Rows go through in chunks, so that the memory for it does not grow with the table.

import { assert } from "../protocol/assert.js";

/** Slots of a region, 512 KB: what the second cache holds. */
const REGION_SLOTS_SHIFT = 17;
/** 48 MB of hashes and pairs. */
const CHUNK_ROWS_MAX = 1 << 22;

export class SlotOrder {
  /** Most rows of a chunk. */
  readonly rowsMax: number;
  /** Hashes of a chunk's rows, to be filled before `sort`. */
  readonly hashes: Int32Array;
  /** After `sort`: a hash and the place of its row in the chunk, in turn. */
  readonly pairs: Int32Array;
  private readonly mask: number;
  private readonly starts: Int32Array;

  /** For `slotCount` slots, a power of two, and `rowCount` rows in all. */
  constructor(slotCount: number, rowCount: number) {
    this.rowsMax = Math.max(1, Math.min(rowCount, CHUNK_ROWS_MAX));
    this.hashes = new Int32Array(this.rowsMax);
    this.pairs = new Int32Array(2 * this.rowsMax);
    this.mask = slotCount - 1;
    this.starts = new Int32Array((slotCount >>> REGION_SLOTS_SHIFT) + 1);
  }

  /** Sorts the first `count` hashes by region. */
  sort(count: number): void {
    assert(count <= this.rowsMax, "a chunk has its rows at most");
    const { hashes, pairs, starts, mask } = this;
    starts.fill(0);
    for (let i = 0; i < count; i++) {
      const region = (hashes[i]! & mask) >>> REGION_SLOTS_SHIFT;
      starts[region] = starts[region]! + 1;
    }
    for (let region = 0, start = 0; region < starts.length; region++) {
      const regionCount = starts[region]!;
      starts[region] = start;
      start += regionCount;
    }
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!;
      const region = (hash & mask) >>> REGION_SLOTS_SHIFT;
      const place = starts[region]!;
      starts[region] = place + 1;
      pairs[2 * place] = hash;
      pairs[2 * place + 1] = i;
    }
  }
}
