// Where blocks go to be made durable, and the memory they are filled in.

/** Where the core's two blocks are filled. */
export type BlockMemory = readonly [ArrayBufferLike, ArrayBufferLike];

/** What makes blocks durable, one at a time. */
export interface BlockSink {
  /** In what memory the two blocks are to lie, when that is not one's own affair. */
  readonly memory?: BlockMemory;
  /**
   * Seals a closed block and appends it; resolves when it is on disk, with the milliseconds after
   * which it was, however late one learns of it. `bytes` have their hash then, and must stay as
   * they are else.
   */
  append(firstPosition: number, bytes: Uint8Array): Promise<number>;
  /** Looks whether that is so, of which the event loop may learn later. */
  poll(): void;
}
