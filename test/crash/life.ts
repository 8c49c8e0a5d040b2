// One data folder through many lives of its server: started, loaded, ended in whatever way, judged
// by all that its clients were told since the first.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentOf, type Flags, until } from "../server-kit.js";
import { type Ended, type ServerProcess, serveOrEnd } from "../tongka-process.js";
import { type Context, take, takeLedger, takeVerdict, unexpected } from "./case.js";
import { Ledger, load } from "./load.js";
import { copyFolder, judgeCopy, repeats, type Verdict } from "./verdict.js";

const CLIENTS = 4;
const REPEATS = 60;
const FLAGS = { "journal.checkpointSeconds": 1 };
/** Files of the journal as small as can be: under load several a second. */
export const SMALL_FILES = { "journal.fileSizeMax": 65_536 };

export interface LifeOptions {
  flags?: Flags;
  mark?: () => number;
  /** A data folder that is there; a temporary copy of the seeded one unless given. */
  folder?: string;
}

/** A folder that is gone at the end of the case. */
export function scratchFolder(context: Context): string {
  const folder = mkdtempSync(join(tmpdir(), "tongka-crash-"));
  context.scope.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of the seeded data folder, gone at the end of the case. */
export function seededCopy(context: Context): string {
  const folder = scratchFolder(context);
  copyFolder(context.template, folder);
  return folder;
}

export class Life {
  readonly folder: string;
  readonly ledger: Ledger;
  readonly flags: Flags;

  constructor(
    readonly context: Context,
    readonly name: string,
    options: LifeOptions = {},
  ) {
    this.folder = options.folder ?? seededCopy(context);
    this.flags = { ...FLAGS, ...options.flags };
    this.ledger = new Ledger(CLIENTS, options.mark);
  }

  /** Starts the real command; resolves when it serves, or with its end. */
  async tryStart(
    environment: NodeJS.ProcessEnv = {},
    spawned: (kill: () => void) => void = () => {},
  ): Promise<ServerProcess | Ended> {
    this.context.signal.throwIfAborted();
    const all = { ...environmentOf(this.folder, this.flags), ...environment };
    const server = await serveOrEnd([], all, (child) => {
      const kill = () => child.kill("SIGKILL");
      this.context.scope.teardown(kill);
      spawned(kill);
    });
    this.context.totals[isEnded(server) ? "refusals" : "restarts"]++;
    return server;
  }

  async start(environment: NodeJS.ProcessEnv = {}): Promise<ServerProcess> {
    const server = await this.tryStart(environment);
    if (isEnded(server)) throw new Error(`${this.name}: a server did not start: ${server.stderr}`);
    return server;
  }

  /** Loads it; resolves when it is gone and its clients have ended. */
  load(server: ServerProcess, frameRecords = 1): Promise<void> {
    const { ended, terminalsUrl: url } = server;
    return load(this.context.scope, this.ledger, { url, ended, frameRecords });
  }

  /** Waits until so many more answers are there. */
  async grow(count: number): Promise<void> {
    const { answers } = this.ledger;
    await until(`${count} answers`, () => this.ledger.answers >= answers + count);
  }

  /** Judges a copy of the folder; its server must be gone. */
  async judge(): Promise<Verdict> {
    const verdict = await judgeCopy(this.context.scope, this.folder, this.flags, this.ledger);
    takeVerdict(this.context, this.name, verdict);
    return verdict;
  }

  /** Some of what was answered is asked again. */
  async repeat(server: ServerProcess, count = REPEATS): Promise<void> {
    const { asked, changed } = await repeats(server.terminalsUrl, this.ledger, count);
    this.context.totals.repeats += asked;
    take(this.context, this.name, { changed });
  }

  /** A start as it must be after anything: it serves, repeats get their first answers, it stops. */
  async restart(): Promise<void> {
    const server = await this.tryStart();
    if (isEnded(server)) {
      unexpected(this.context, `${this.name}: did not serve again: ${server.stderr.trim()}`);
      return;
    }
    await this.repeat(server);
    const code = await server.end("SIGTERM");
    if (code !== 0) unexpected(this.context, `${this.name}: a stop ended with ${code}`);
  }

  /** To be called once, at its end. */
  count(): void {
    takeLedger(this.context, this.ledger);
  }
}

export function isEnded(server: ServerProcess | Ended): server is Ended {
  return "code" in server;
}
