// What all peers have in common: a server of somebody else, started here on a free port with its
// files beside ours, loaded by the same window as Tongka, and ended with the case.

import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import { type Messages, runWindows, Window } from "./window.js";

export const PEER_HOST = "127.0.0.1";
/** Cards of a peer: fewer than ours, so that none of them waits for memory. */
export const PEER_CARDS = 100_000;
const WARM_UP_PART = 0.2;
const START_SECONDS = 20;
const RETRY_MS = 50;

/** A connection to a peer. */
export interface Link {
  send(bytes: Buffer): void;
  close(): void;
}

/** Opens a connection; `answered` is told how many uses a read has answered. */
export type OpenLink = (
  answered: (count: number) => void,
  failed: (error: Error) => void,
) => Promise<Link>;

export interface PeerLoad {
  connections: number;
  /** Uses in flight on each connection. */
  inFlight: number;
  usesMax: number;
  seconds: number;
}

const processes = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of processes) child.kill("SIGKILL");
});

/** Path of an installed command, or null. */
export function commandPath(name: string): string | null {
  try {
    return execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}

/** A server process; `stop` ends it with `signal` and waits. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
  signal: NodeJS.Signals,
): { stop(): Promise<void> } {
  const child = spawn(command, args, { ...options, stdio: "ignore" });
  processes.add(child);
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.once("error", () => {});
  return {
    stop: async () => {
      child.kill(signal);
      await exited;
      processes.delete(child);
    },
  };
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, PEER_HOST, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Calls `open` until it succeeds: a server takes a while to listen. */
export async function whenItListens<Result>(open: () => Promise<Result>): Promise<Result> {
  const end = Date.now() + START_SECONDS * 1000;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/**
 * Uses a second of a peer. `messagesOf` makes the messages of connection `i` of `count` uses; no
 * use comes twice.
 */
export async function loadPeer(
  open: OpenLink,
  load: PeerLoad,
  messagesOf: (connection: number, count: number) => Messages,
): Promise<number> {
  const { connections, inFlight, seconds } = load;
  const perConnection = Math.ceil(load.usesMax / connections);
  const links: Link[] = [];
  const windows: Window[] = [];
  try {
    for (let i = 0; i < connections; i++) {
      const link = await open(
        (count) => {
          const window = windows[i]!;
          window.answered += count;
          window.pump();
        },
        (error) => windows[i]?.failed(error),
      );
      links.push(link);
      const messages = messagesOf(i, perConnection);
      windows.push(new Window(messages, inFlight, (bytes) => link.send(bytes)));
    }
    const warmUp = Math.ceil(perConnection * WARM_UP_PART);
    await runWindows(windows, warmUp, seconds * WARM_UP_PART);
    const flow = await runWindows(windows, perConnection, seconds);
    return flow.messages / flow.seconds;
  } finally {
    for (const link of links) link.close();
  }
}
