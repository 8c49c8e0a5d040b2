// One request of a client and its answer, by Node's own HTTP. Beside it `fetch` is dear: its parser
// is WebAssembly, which each process compiles anew, and a command of the command line is a process.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";

/** Longest answer: the rejections of a whole import, or a page of a thousand rows, and some. */
const ANSWER_SIZE_MAX = 64 * 1024 * 1024;

export type RequestBody = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface Asked {
  method: string;
  headers?: Record<string, string>;
  body?: RequestBody;
  deadlineMs: number;
}

export interface Answer {
  /** HTTP status. */
  status: number;
  text: string;
}

/**
 * Asks `url`. Rejects when no whole answer comes in time (TimeoutError), when there is none, or
 * when it is over 64 MiB. Follows no redirection: token and body are for this server alone.
 */
export async function exchange(url: string, asked: Asked): Promise<Answer> {
  const { method, headers = {}, body, deadlineMs } = asked;
  const signal = AbortSignal.timeout(deadlineMs);
  const open = new URL(url).protocol === "https:" ? httpsRequest : httpRequest;
  const request = open(url, { method, headers, signal });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.on("error", reject);
  });
  send(request, body);
  try {
    const response = await answered;
    return { status: response.statusCode!, text: await readBounded(response) };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function send(request: ClientRequest, body: RequestBody | undefined): void {
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  const source = Readable.from(body);
  source.on("error", (error) => request.destroy(error));
  source.pipe(request);
}

/** The text of an answer. Throws when it is longer than any of ours. */
async function readBounded(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > ANSWER_SIZE_MAX) throw new RangeError("an answer is over 64 MiB");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
