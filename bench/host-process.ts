// A handle on the process that serves a case.

import { type ChildProcess, fork } from "node:child_process";
import type { HostMessage, HostOptions } from "./host.js";

export class HostProcess {
  terminalsUrl = "";

  private constructor(private readonly child: ChildProcess) {}

  /** Starts a server with the world seeded; resolves when it serves. */
  static async start(options: HostOptions): Promise<HostProcess> {
    const path = new URL("./host.js", import.meta.url);
    const host = new HostProcess(fork(path, [JSON.stringify(options)], { stdio: "inherit" }));
    const message = await host.next();
    if (!("ready" in message)) throw new Error("the host did not say that it serves");
    host.terminalsUrl = message.ready.terminalsUrl;
    return host;
  }

  /** CPU time of all threads so far, microseconds, and uses approved. */
  async usage(): Promise<{ cpuMicroseconds: number; approved: number }> {
    const answer = this.next();
    this.child.send("cpu");
    const message = await answer;
    if ("ready" in message) throw new Error("the host answered out of turn");
    return message;
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.send("stop");
    await exited;
  }

  private next(): Promise<HostMessage> {
    return new Promise((resolve, reject) => {
      const failed = (code: number | null) => reject(new Error(`the host ended with ${code}`));
      this.child.once("exit", failed);
      this.child.once("message", (message) => {
        this.child.off("exit", failed);
        resolve(message as HostMessage);
      });
    });
  }
}
