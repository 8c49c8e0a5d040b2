// The faults that the simulator must find: for each, a text of the compiled code and what takes its
// place. The text must stand exactly once, so that a change of the code makes itself heard here.

export interface Mutation {
  name: string;
  /** Below dist. */
  file: string;
  from: string;
  to: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "no check for repeats",
    file: "engine/engine.js",
    from: "if (first !== 0) {",
    to: "if (first !== 0 && use.isReversal) {",
  },
  {
    name: "a repeat gets a new place",
    file: "engine/engine.js",
    from: "uses.reason(row), uses.position(row), 0)",
    to: "uses.reason(row), this.state.registers.position, 0)",
  },
  {
    name: "a decline is not journaled",
    file: "engine/engine.js",
    from:
      "const reason = decide(this.state, use);\n" +
      "        const position = this.record(use, reason);",
    to:
      "const reason = decide(this.state, use);" +
      "const { position: last } = this.state.registers;" +
      "const position = reason > 20 ? last : this.record(use, reason);",
  },
  {
    name: "the time of use is not compared",
    file: "engine/duplicates.js",
    from:
      "if (first[f + 10 /* USE_WORD.LOCAL_TIME */] !== " +
      "words[base + 10 /* USE_WORD.LOCAL_TIME */])",
    to: "if (false)",
  },
  {
    name: "a reversal leaves no mark",
    file: "engine/apply.js",
    from: "uses.setState(original, uses.state(original) | 131072 /* USE_STATE.REVERSED */);",
    to: "",
  },
  {
    name: "a reversal that came first is forgotten",
    file: "engine/apply.js",
    from:
      "uses.setState(uses.add(use.terminalId, use.originalStan), " +
      "262144 /* USE_STATE.AWAITED */);",
    to: "",
  },
  {
    name: "an advised use does not count",
    file: "engine/apply.js",
    from: "return use.cardRow !== 0 && amountValid(use);",
    to: "return false;",
  },
  {
    name: "replay applies twice",
    file: "engine/replay.js",
    from: "apply(state, use, reason, state.registers.position);",
    to:
      "apply(state, use, reason, state.registers.position);" +
      "apply(state, use, reason, state.registers.position);",
  },
  {
    name: "a lost card is taken",
    file: "engine/decide.js",
    from: "        case ACTIVE:\n            break;",
    to: "        case ACTIVE:\n        case CARD_STATUS.LOST:\n            break;",
  },
  {
    name: "what stood before a command goes on standing",
    file: "engine/execute.js",
    from: "state.standing.forget();",
    to: "",
  },
  {
    name: "any terminal speaks for any",
    file: "engine/decide.js",
    from: "if (parties.concentratorId(use.terminalRow) !== senderId)",
    to: "if (senderId === 0)",
  },
  {
    name: "a closed concentrator goes on speaking",
    file: "engine/decide.js",
    from: "if (!parties.open(use.senderRow) || !organisation.open)",
    to: "if (!organisation.open)",
  },
  {
    name: "an old sequence number is taken",
    file: "engine/sessions.js",
    from: "if (sequence === 0 || highest - sequence >= SEQUENCE_WINDOW)",
    to: "if (highest >= sequence)\n            return true;\n        if (sequence === 0)",
  },
  {
    name: "old keys hold for ever",
    file: "engine/sessions.js",
    from: "Math.min(words[previous + EXPIRES_WORD] >>> 0, previousExpiresAt)",
    to: "words[previous + EXPIRES_WORD] >>> 0",
  },
  {
    name: "time goes back with the clock",
    file: "engine/state.js",
    from: "this.setTime(Math.max(timeMs, this.settledTimeMs));",
    to: "this.setTime(timeMs);",
  },
  {
    name: "an empty block moves time on",
    file: "engine/engine.js",
    from: "this.state.tryTime(timeMs);",
    to: "this.state.advanceTime(timeMs);",
  },
  {
    name: "listed organisations are forgotten at a restart",
    file: "engine/state.js",
    from: "view.listed = this.blacklist.find(subject) !== 0;",
    to: "",
  },
  {
    name: "number ranges are forgotten at a restart",
    file: "engine/blacklist.js",
    from: "            if (this.inUse(row))\n                this.countPrefix(",
    to: "            if (false)\n                this.countPrefix(",
  },
  {
    name: "listed holders are forgotten at a restart",
    file: "engine/holders.js",
    from: "            if ((flags & FLAG_LISTED) !== 0)",
    to: "            if (false)",
  },
  {
    name: "a checkpoint skips a page",
    file: "src/table-store.js",
    from: "const put = this.store.put(table.id",
    to: "if (page === 1 && position % 2 === 0) return;" + "const put = this.store.put(table.id",
  },
  {
    name: "a row that changes during a checkpoint is not kept",
    file: "engine/table.js",
    from: "snapshot.keep(row);",
    to: "",
  },
  {
    name: "a buffer of a page is filled again before it is written",
    file: "src/table-store.js",
    from: "next[page] = slot;",
    to: "next[page] = slot; this.buffers.give(buffer);",
  },
  {
    name: "a checkpoint writes over the one before",
    file: "src/table-store.js",
    from: "const slot = 1 - complete[page];",
    to: "const slot = 0;",
  },
  {
    name: "pages of an unfinished checkpoint stay",
    file: "src/table-store.js",
    from: "            this.dropUnfinished(key);",
    to: "            ;",
  },
  {
    name: "a checkpoint does not wait for its journal",
    file: "src/checkpointer.js",
    from: "core.afterCommit(() => known(registers.blockHash));",
    to: "known(registers.blockHash);",
  },
  {
    name: "a failed checkpoint does not end checkpoints",
    file: "src/table-store.js",
    from: "            this.failed = true;\n            throw error;",
    to: "            throw error;",
  },
  {
    name: "what is found at start is not put on disk",
    file: "src/journal-store.js",
    from: "const dropped = file.rest().length;",
    to: "const dropped = file.rest().length; if (dropped === 0) return 0;",
  },
  {
    name: "what is found at start is not written again",
    file: "src/journal-store.js",
    from: "if (pages.length > 0)",
    to: "if (dropped > 0)",
  },
  {
    name: "what is behind the end is not zeroed",
    file: "src/journal-store.js",
    from: "roundUp(file.end + dropped)",
    to: "roundUp(file.end)",
  },
  {
    name: "answered before its block is on disk",
    file: "src/journal-store.js",
    from: "await this.disk.write(name, offset, pages);",
    to: "Promise.resolve(this.disk.write(name, offset, pages.slice())).catch(() => {});",
  },
  {
    name: "the next block is laid into pages that are on their way",
    file: "src/journal-store.js",
    from: "await this.disk.write(name, offset, pages);",
    to:
      "const written = this.disk.write(name, offset, pages);" +
      "this.placed(bytes.length, pages.length); await written; if (bytes.length > 0) return;",
  },
  {
    name: "the end of the block before is forgotten",
    file: "src/journal-store.js",
    from: "this.pages.copyWithin(0, pagesSize - PAGE_SIZE, pagesSize - PAGE_SIZE + kept);",
    to: "this.pages.fill(0, 0, kept);",
  },
  {
    name: "the end of the block before is not read at a start",
    file: "src/journal-store.js",
    from: "this.disk.read(file.name, file.end - kept, this.pages.subarray(0, kept));",
    to: ";",
  },
  {
    name: "a larger block forgets the end of the block before",
    file: "src/journal-store.js",
    from: "this.pages.set(before);",
    to: "",
  },
  {
    name: "behind a block stands what was there",
    file: "src/journal-store.js",
    from: "this.pages.fill(0, kept + bytes.length, size);",
    to: "",
  },
  {
    name: "a file has no end",
    file: "src/journal-store.js",
    from: "this.tail.offset >= this.fileSizeMax",
    to: "this.tail.offset >= 1024 * this.fileSizeMax",
  },
  {
    name: "a file ends too early",
    file: "src/journal-store.js",
    from: "this.tail.offset >= this.fileSizeMax",
    to: "this.tail.offset >= this.fileSizeMax / 2",
  },
  {
    name: "a file is named by another position",
    file: "src/journal-store.js",
    from: "this.tail = { name: fileNameOf(firstPosition), offset: 0 };",
    to: "this.tail = { name: fileNameOf(firstPosition + 1), offset: 0 };",
  },
  {
    name: "of the files after a checkpoint only the first is read",
    file: "src/journal-store.js",
    from: "let index = indexIn(file, position);",
    to: "let index = i > this.fileIndexOf(position) ? 1e9 : indexIn(file, position);",
  },
  {
    name: "a torn block is taken for whole",
    file: "src/block-file.js",
    from: 'return problem === "" || problem === NEWER_BLOCK;',
    to: 'return problem !== "not aligned in memory";',
  },
  {
    name: "damage is taken for the end",
    file: "src/block-file.js",
    from: "const end = sizeWithoutZeros(bytes);",
    to: "const end = 0;",
  },
  {
    name: "a last block that ends in zeros is not known behind damage",
    file: "src/block-file.js",
    from: "const bytes = this.behind();\n        const end = sizeWithoutZeros(bytes);",
    to: "const bytes = this.rest();\n        const end = bytes.length;",
  },
  {
    name: "a failed commit is answered",
    file: "src/core.js",
    from: ".then((commitMs) => this.durable(block, commitMs), this.commitFailed);",
    to: ".then((commitMs) => this.durable(block, commitMs), () => this.durable(block, 0));",
  },
  {
    name: "a slice begins a frame too early",
    file: "src/core.js",
    from: "this.resumeAt = i;",
    to: "this.resumeAt = Math.max(0, i - 1);",
  },
  {
    name: "a slice begins a frame too late",
    file: "src/core.js",
    from: "this.resumeAt = i;",
    to: "this.resumeAt = i + 1;",
  },
  {
    name: "a batch overtakes the rest of the one before",
    file: "src/core.js",
    from: "        if (this.stalled !== null) {\n            this.decideBatch(",
    to:
      "        if (this.stalled !== null && this.receiving.frames.length === 0) {\n" +
      "            this.decideBatch(",
  },
  {
    name: "of a message only the first frame is taken",
    file: "src/core.js",
    from: "while (problem === FRAME_PROBLEM.NONE && at < end);",
    to: "while (false);",
  },
  {
    name: "a frame behind a refused one is not where it is read",
    file: "src/core.js",
    from: "arena.bytes.copyWithin(to, at, at + frameSize);",
    to: ";",
  },
  {
    name: "a refused frame of a message takes room",
    file: "src/core.js",
    from: "if (frames.length > count)\n                to += frameSize;",
    to: "to += frameSize;",
  },
  {
    name: "of a message refused at once only the last frame is answered",
    file: "src/refuse-at-once.js",
    from: "base += ANSWER_WORDS;\n        at",
    to: "base = ANSWER_WORDS;\n        at",
  },
  {
    name: "commands are answered before their commit",
    file: "src/command-queue.js",
    from: "committed.push(() => first.resolve(result));",
    to: "first.resolve(result);",
  },
  {
    name: "MACs are not checked",
    file: "src/mac-stage.js",
    from: "verifyAll(batch);",
    to: "",
  },
];
