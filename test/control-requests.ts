// Requests to the control plane as abuse sends them: to a shared worker (control-harness.ts) or to
// a server, counted, with whatever headers and bodies.

import { type IncomingMessage, request } from "node:http";
import type { Test } from "tap";
import { loadAdminToken } from "../src/admin-token.js";
import { ControlClient } from "../src/control/client.js";
import type { RunningServer } from "../src/server.js";
import {
  ADMIN_TOKEN,
  engine,
  ID_NUMBER,
  type Running,
  resetEngine,
  startShared,
  stopShared,
} from "./control-harness.js";
import { serve } from "./server-kit.js";

export const AUTHORIZED = { authorization: `Bearer ${ADMIN_TOKEN}` };
export const JSON_TYPE = { "content-type": "application/json" };
/** Open to everyone who reaches the port. */
export const OPEN_PATHS = ["/livez", "/metrics", "/readyz"];

/** A card as a row of an import, but for its number. */
export const CARD_ROW = {
  idNumber: ID_NUMBER,
  medium: "chip",
  status: "active",
  regionCode: 460105,
  expiryDate: "2030-12-31",
};

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

interface Operation {
  method: string;
  path: string;
  schema: { requestBody?: unknown };
}

/** The worker that the tests of one file attack. */
export class Control {
  private running: Running | null = null;
  private requestCount = 0;

  /** Starts it before the file's tests, and ends it with how many requests were tried. */
  constructor(t: Test) {
    t.before(async () => {
      this.running = await startShared();
    });
    t.beforeEach(resetEngine);
    t.teardown(async () => {
      await stopShared(this.running!);
      t.comment(`requests to the control plane tried: ${this.requestCount}`);
    });
  }

  get port(): number {
    return this.running!.control.port;
  }

  async ask(path: string, init: RequestInit = {}, base = this.running!.url): Promise<Answer> {
    this.requestCount++;
    const response = await fetch(base + path, { redirect: "manual", ...init });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  post(path: string, body: unknown, headers: Record<string, string> = JSON_TYPE): Promise<Answer> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.ask(path, { method: "POST", body: text, headers: { ...AUTHORIZED, ...headers } });
  }

  /** With a method that fetch would not send. */
  withMethod(method: string, path: string, headers: Record<string, string>) {
    this.requestCount++;
    type Told = { status: number; headers: IncomingMessage["headers"] };
    return new Promise<Told>((resolve, reject) => {
      const sent = request(this.running!.url + path, { method, headers }, (response) => {
        response.resume();
        resolve({ status: response.statusCode!, headers: response.headers });
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  /** Every operation of the OpenAPI document, with 1 for each parameter. */
  async operations(): Promise<Operation[]> {
    const document = JSON.parse((await this.ask("/v1/openapi.json")).text) as {
      paths: Record<string, Record<string, Operation["schema"]>>;
    };
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, schema]) => ({
        method: method.toUpperCase(),
        path: path.replace(/\{[a-zA-Z]+\}/g, "1"),
        schema,
      })),
    );
  }

  async protectedOperations(): Promise<Operation[]> {
    return (await this.operations()).filter(({ path }) => !OPEN_PATHS.includes(path));
  }

  nothingReached(t: Test): void {
    t.same(engine.asked, [], "nothing reached the engine");
  }
}

/** A whole server, and a client with its token. */
export async function administered(
  t: Test,
): Promise<{ server: RunningServer; admin: ControlClient }> {
  const server = await serve(t, { flags: { "log.level": "silent" } });
  const adminToken = loadAdminToken(server.node.config.data, {});
  return { server, admin: new ControlClient({ url: server.controlUrl, adminToken }) };
}
