// Requests to the control plane of a real server as abuse sends them: counted, with whatever
// headers and bodies. What the control plane asks of the engine is seen on its way.

import { type IncomingMessage, request } from "node:http";
import type { Test } from "tap";
import { loadAdminToken } from "../src/admin-token.js";
import { ControlClient } from "../src/control/client.js";
import { Queries } from "../src/queries.js";
import type { RunningServer } from "../src/server.js";
import { CARD_COUNT, idNumberOf, panOf, serve } from "./server-kit.js";

/** A card and a person that the server does not know. */
export const PAN = panOf(CARD_COUNT);
export const ID_NUMBER = idNumberOf(CARD_COUNT);
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

/** What reached the engine of any server of this process; fails while `engineFails`. */
const asked: string[] = [];
let engineFails = false;
const { handle } = Queries.prototype;
Queries.prototype.handle = async function (question) {
  asked.push(question.op);
  if (engineFails) throw new Error("a fault of the engine, as its test wants it");
  return handle.call(this, question);
};

/** The one server that the tests of a file attack. */
export class Control {
  private running: RunningServer | null = null;
  private position = 0;
  private requestCount = 0;

  /** Starts it before the file's tests, and ends it with how many requests were tried. */
  constructor(t: Test) {
    t.before(async () => {
      const flags = { "log.level": "silent", "control.importSizeMax": 1_048_576 };
      this.running = await serve(t, { flags });
    });
    t.beforeEach(() => {
      asked.length = 0;
      this.position = this.state.registers.position;
    });
    t.teardown(() => t.comment(`requests to the control plane tried: ${this.requestCount}`));
  }

  get server(): RunningServer {
    return this.running!;
  }

  get state() {
    return this.server.node.engine.state;
  }

  get port(): number {
    return this.server.controlPort;
  }

  get token(): string {
    return loadAdminToken(this.server.node.config.data, {});
  }

  get authorized() {
    return { authorization: `Bearer ${this.token}` };
  }

  /** The library's client, with the token. */
  get admin(): ControlClient {
    return new ControlClient({ url: this.server.controlUrl, adminToken: this.token });
  }

  async ask(path: string, init: RequestInit = {}, base = this.server.controlUrl): Promise<Answer> {
    this.requestCount++;
    const response = await fetch(base + path, { redirect: "manual", ...init });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  post(path: string, body: unknown, headers: Record<string, string> = JSON_TYPE): Promise<Answer> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.ask(path, {
      method: "POST",
      body: text,
      headers: { ...this.authorized, ...headers },
    });
  }

  /** With a method that fetch would not send. */
  withMethod(method: string, path: string, headers: Record<string, string>) {
    this.requestCount++;
    type Told = { status: number; headers: IncomingMessage["headers"] };
    return new Promise<Told>((resolve, reject) => {
      const sent = request(this.server.controlUrl + path, { method, headers }, (response) => {
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

  /** Since the test began. */
  nothingReached(t: Test): void {
    t.same(asked, [], "nothing reached the engine");
    t.equal(this.state.registers.position, this.position, "nothing is in the journal");
  }

  /** Asks while all that the engine is asked fails. */
  async askInVain(path: string): Promise<Answer> {
    engineFails = true;
    try {
      return await this.ask(path, { headers: this.authorized });
    } finally {
      engineFails = false;
    }
  }
}
