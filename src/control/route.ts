// A route as data: what it takes, what it answers, and a function in between. Routes know nothing
// of the HTTP framework, and the framework nothing of cards; server.ts joins them.

import type { Readable } from "node:stream";
import type { Metrics } from "../metrics.js";
import { type Static, type TSchema, Type } from "../schema.js";
import type { KeyVault } from "../vault.js";
import type { Exposition } from "./exposition.js";
import type { MainThread } from "./main-thread.js";

/** What every route may use. */
export interface ControlContext {
  main: MainThread;
  vault: KeyVault;
  metrics: Metrics;
  exposition: Exposition;
  /** AES key under which terminal keys arrive wrapped; null when none is configured. */
  keyExchangeKey: Uint8Array | null;
  importSizeMax: number;
}

/** An answer that is not 200 with JSON. */
export class Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;

  constructor(status: number, contentType: string, body: string) {
    this.status = status;
    this.contentType = contentType;
    this.body = body;
  }
}

/** What a route gets: checked against its schemas. */
export interface ApiRequest {
  params: unknown;
  query: unknown;
  body: unknown;
}

export interface Route {
  method: "GET" | "POST" | "DELETE";
  url: string;
  tag: string;
  summary: string;
  /** Open to everyone who reaches the port; the others want the admin token. */
  open: boolean;
  params: TSchema;
  query: TSchema;
  /** null takes no body; "ndjson" hands the body over as a stream. */
  body: TSchema | "ndjson" | null;
  response: TSchema;
  handle(request: ApiRequest): Promise<unknown>;
}

const NOTHING = Type.Object({}, { additionalProperties: false });

interface Definition<P extends TSchema, Q extends TSchema, B extends TSchema> {
  method: Route["method"];
  url: string;
  tag: string;
  summary: string;
  open?: boolean;
  params?: P;
  query?: Q;
  body?: B;
  response?: TSchema;
  handle(request: { params: Static<P>; query: Static<Q>; body: Static<B> }): unknown;
}

/** Defines a route; the types of what its function gets follow from its schemas. */
export function route<
  P extends TSchema = typeof NOTHING,
  Q extends TSchema = typeof NOTHING,
  B extends TSchema = typeof NOTHING,
>(definition: Definition<P, Q, B>): Route {
  const { method, url, tag, summary, handle } = definition;
  return {
    method,
    url,
    tag,
    summary,
    open: definition.open ?? false,
    params: definition.params ?? NOTHING,
    query: definition.query ?? NOTHING,
    body: definition.body ?? null,
    response: definition.response ?? Type.Object({}),
    handle: async (request) => handle(request as Parameters<typeof handle>[0]),
  };
}

/** Defines a POST route whose body is a stream of NDJSON. */
export function streamRoute<P extends TSchema>(definition: {
  url: string;
  tag: string;
  summary: string;
  params: P;
  response: TSchema;
  handle(request: { params: Static<P>; body: Readable }): Promise<unknown>;
}): Route {
  const { url, tag, summary, params, response, handle } = definition;
  return {
    method: "POST",
    url,
    tag,
    summary,
    open: false,
    params,
    query: NOTHING,
    body: "ndjson",
    response,
    handle: (request) => handle(request as Parameters<typeof handle>[0]),
  };
}
