// The administration API from the other side: what the command line speaks to a running server.

import type { CatalogueVersion, Organisation } from "../../engine/commands.js";
import type { CommandBatch, CommandResult, CommandSink } from "../command-sink.js";
import type { ImportSort } from "../import/lanes.js";
import type { CommandDone } from "./commands.js";
import { type Asked, exchange } from "./exchange.js";
import type { CatalogueView, StatusView } from "./messages.js";
import type { ListAddition, ListChanged, ListEntryBody } from "./routes/blacklist.js";
import type { CardBody, CardEventBody } from "./routes/cards.js";
import type { DecisionBody } from "./routes/decisions.js";
import type { ImportReport } from "./routes/imports.js";
import type { TerminalBody, TerminalChange, TerminalChanged } from "./routes/terminals.js";

const DEADLINE_MS = 30_000;
const IMPORT_DEADLINE_MS = 600_000;

/** A request the server refused, or that did not reach it (status 0). */
export class ControlError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** As in the API's answers: NOT_FOUND, CARD_UNKNOWN ...; UNREACHABLE when there was none. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ControlError";
    this.status = status;
    this.code = code;
  }
}

export interface ControlClientOptions {
  /** http://127.0.0.1:7081 */
  url: string;
  adminToken: string;
}

/** A page of a list: `after` is the last id of the page before; at most 1000 rows. */
export interface Page {
  after?: number;
  count?: number;
}

/** One method for each route; every one rejects with ControlError. */
export class ControlClient implements CommandSink {
  private readonly url: string;
  private readonly adminToken: string;

  constructor({ url, adminToken }: ControlClientOptions) {
    this.url = url.replace(/\/+$/, "");
    this.adminToken = adminToken;
  }

  status(): Promise<StatusView> {
    return this.get("/v1/status");
  }

  checkpoint(): Promise<{ checkpointPosition: number }> {
    return this.post("/v1/checkpoint", undefined);
  }

  decision(
    key: { rrn: number } | { terminalId: number; businessDate: number; stan: number },
  ): Promise<DecisionBody> {
    return this.get("/v1/decisions", { ...key });
  }

  card(cardNumber: string): Promise<CardBody> {
    return this.post("/v1/cards/status", { cardNumber });
  }

  cardEvent(event: CardEventBody): Promise<CommandDone> {
    return this.post("/v1/cards/events", event);
  }

  async blacklist(
    query: Page & { terminalId?: number; organisationId?: number } = {},
  ): Promise<ListEntryBody[]> {
    return (await this.get<{ entries: ListEntryBody[] }>("/v1/blacklist", { ...query })).entries;
  }

  async listEntry(entryId: number): Promise<ListEntryBody[]> {
    return (await this.get<{ entries: ListEntryBody[] }>(`/v1/blacklist/${entryId}`)).entries;
  }

  async searchBlacklist(subjectKind: "card" | "holder", subject: string): Promise<ListEntryBody[]> {
    const found = await this.post<{ entries: ListEntryBody[] }>("/v1/blacklist/search", {
      subjectKind,
      subject,
    });
    return found.entries;
  }

  addToBlacklist(entry: ListAddition): Promise<ListChanged> {
    return this.post("/v1/blacklist", entry);
  }

  removeFromBlacklist(entryId: number): Promise<ListChanged> {
    return this.call("DELETE", `/v1/blacklist/${entryId}`, undefined);
  }

  terminal(terminalId: number): Promise<TerminalBody> {
    return this.get(`/v1/terminals/${terminalId}`);
  }

  async terminals(page: Page = {}): Promise<TerminalBody[]> {
    return (await this.get<{ terminals: TerminalBody[] }>("/v1/terminals", { ...page })).terminals;
  }

  /** Adds or changes a terminal. A new master key is in the answer, this once. */
  setTerminal(change: TerminalChange): Promise<TerminalChanged> {
    return this.post("/v1/terminals", change);
  }

  organisation(organisationId: number): Promise<Organisation> {
    return this.get(`/v1/organisations/${organisationId}`);
  }

  async organisations(page: Page = {}): Promise<Organisation[]> {
    const found = await this.get<{ organisations: Organisation[] }>("/v1/organisations", {
      ...page,
    });
    return found.organisations;
  }

  setOrganisation(organisation: Organisation): Promise<CommandDone> {
    return this.post("/v1/organisations", organisation);
  }

  catalogue(version?: number): Promise<CatalogueView> {
    return this.get("/v1/catalogue", version === undefined ? {} : { version });
  }

  publishCatalogue(catalogue: CatalogueVersion): Promise<CommandDone> {
    return this.post("/v1/catalogue", catalogue);
  }

  /** Sends rows as NDJSON: text, or chunks of bytes from a file. */
  import(sort: ImportSort, rows: string | AsyncIterable<Uint8Array>): Promise<ImportReport> {
    const content = { body: rows, headers: { "content-type": "application/x-ndjson" } };
    return this.send("POST", `/v1/import/${sort}`, IMPORT_DEADLINE_MS, content);
  }

  /** Executes commands made here: this client is a sink that an import of a file can feed. */
  async execute({ kind, bytes }: CommandBatch): Promise<CommandResult> {
    const result = await this.send<{ outcomes: number[]; positions: number[] }>(
      "POST",
      `/v1/commands/${kind}`,
      DEADLINE_MS,
      { body: bytes, headers: { "content-type": "application/octet-stream" } },
    );
    return {
      outcomes: Uint8Array.from(result.outcomes),
      positions: Float64Array.from(result.positions),
    };
  }

  private get<Result>(path: string, query: Record<string, number> = {}): Promise<Result> {
    const text = new URLSearchParams(
      Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
    ).toString();
    return this.call("GET", text === "" ? path : `${path}?${text}`, undefined);
  }

  private post<Result>(path: string, body: unknown): Promise<Result> {
    return this.call("POST", path, body);
  }

  private call<Result>(method: string, path: string, body: unknown): Promise<Result> {
    const content =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return this.send(method, path, DEADLINE_MS, content);
  }

  private async send<Result>(
    method: string,
    path: string,
    deadlineMs: number,
    content: Pick<Asked, "headers" | "body">,
  ): Promise<Result> {
    const headers = { ...content.headers, authorization: `Bearer ${this.adminToken}` };
    let status: number;
    let answer: unknown;
    try {
      const asked = { ...content, method, headers, deadlineMs };
      const response = await exchange(`${this.url}${path}`, asked);
      status = response.status;
      answer = JSON.parse(response.text);
    } catch (error) {
      throw new ControlError(0, "UNREACHABLE", this.unreachable(error));
    }
    if (status >= 200 && status < 300) return answer as Result;
    const { error, message } = (answer ?? {}) as Record<string, unknown>;
    if (typeof error === "string" && typeof message === "string") {
      throw new ControlError(status, error, message);
    }
    const text = `${this.url} answers ${status} in words that are not Tongka's`;
    throw new ControlError(status, "NOT_TONGKA", text);
  }

  private unreachable(error: unknown): string {
    const { name, code } = error as NodeJS.ErrnoException;
    if (name === "TimeoutError") return `no answer from ${this.url} in time`;
    if (code === "ECONNREFUSED") {
      return `nothing listens at ${this.url}: start it with tongka serve, or set control.port`;
    }
    return `no answer from ${this.url} (${code ?? name})`;
  }
}
