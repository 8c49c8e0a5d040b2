// A node process seen through its inspector (`--inspect`), as a debugger sees it: heap snapshots of
// its main thread and of each of its worker threads, whatever these run.

import { WebSocket } from "ws";
import { until, within } from "./server-kit.js";

interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  error?: unknown;
}

/** One thread: commands go out, events come in. */
class Session {
  readonly chunks: string[] = [];
  private nextId = 1;
  private readonly waiting = new Map<number, (message: Message) => void>();

  constructor(private readonly transmit: (text: string) => void) {}

  ask(method: string, params: object = {}): Promise<Message> {
    const id = this.nextId++;
    const answer = new Promise<Message>((resolve) => this.waiting.set(id, resolve));
    this.transmit(JSON.stringify({ id, method, params }));
    return within(method, answer);
  }

  take(message: Message): void {
    if (message.method === "HeapProfiler.addHeapSnapshotChunk") {
      this.chunks.push(message.params!.chunk as string);
    }
    const resolve = this.waiting.get(message.id ?? 0);
    this.waiting.delete(message.id ?? 0);
    resolve?.(message);
  }

  /** A heap snapshot (JSON), after all garbage has been collected. */
  async snapshot(): Promise<string> {
    this.chunks.length = 0;
    const { error } = await this.ask("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
    if (error !== undefined) throw new Error("no heap snapshot was taken");
    return this.chunks.join("");
  }
}

/** Heap snapshots of all threads of the process whose inspector is at `url`, the main one first. */
export async function heapSnapshots(url: string, workerCount: number): Promise<string[]> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await within("the inspector", new Promise((resolve) => socket.once("open", resolve)));
  const main = new Session((text) => socket.send(text));
  const workers = new Map<string, Session>();
  const toWorker = (sessionId: string) => (message: string) => {
    void main.ask("NodeWorker.sendMessageToWorker", { sessionId, message });
  };
  socket.on("message", (data: Buffer) => {
    const message = JSON.parse(data.toString()) as Message;
    const { sessionId, message: inner } = (message.params ?? {}) as Record<string, string>;
    if (message.method === "NodeWorker.attachedToWorker") {
      workers.set(sessionId!, new Session(toWorker(sessionId!)));
    } else if (message.method === "NodeWorker.receivedMessageFromWorker") {
      workers.get(sessionId!)?.take(JSON.parse(inner!));
    } else main.take(message);
  });
  try {
    await main.ask("NodeWorker.enable", { waitForDebuggerOnStart: false });
    await until("all worker threads", () => workers.size >= workerCount);
    const snapshots: string[] = [];
    for (const session of [main, ...workers.values()]) snapshots.push(await session.snapshot());
    return snapshots;
  } finally {
    socket.terminate();
  }
}
