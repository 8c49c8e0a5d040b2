// The one home of Fastify: joins the routes to HTTP, asks for the admin token, checks bodies, words
// errors and logs one line a request. Nothing that was sent is repeated in an answer or a log line:
// not the path either, only the route's pattern. Scrapes and probes are logged at debug only.

import { Readable } from "node:stream";
import fastifySwagger from "@fastify/swagger";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { tokensEqual } from "../admin-token.js";
import type { Logger } from "../log.js";
import { Problem, type ProblemBody } from "./problem.js";
import { Reply, type Route } from "./route.js";
import { coerceNumbers, validator } from "./validate.js";

/** Most bytes of a JSON body: the largest catalogue, and some. */
const BODY_SIZE_MAX = 2_100_000;
const NDJSON_TYPE = "application/x-ndjson";
const BYTES_TYPE = "application/octet-stream";
const REQUEST_TIMEOUT_MS = 600_000;
const OPENAPI_URL = "/v1/openapi.json";

/** Answers to what Fastify itself refuses, by its codes. */
const FRAMEWORK_PROBLEMS: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: new Problem(413, "BODY_TOO_LARGE", "the body is over the limit"),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new Problem(
    415,
    "MEDIA_TYPE_UNKNOWN",
    `send application/json, ${NDJSON_TYPE} to an import, ${BYTES_TYPE} to commands`,
  ),
  FST_ERR_CTP_EMPTY_JSON_BODY: new Problem(400, "INVALID_JSON", "the body is empty"),
  FST_ERR_CTP_INVALID_JSON_BODY: new Problem(400, "INVALID_JSON", "the body is not JSON"),
  ECONNRESET: new Problem(400, "ABORTED", "the request ended before its body did"),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: new Problem(
    400,
    "INVALID",
    "the body is not as long as Content-Length says",
  ),
};
const UNAUTHORIZED = new Problem(
  401,
  "UNAUTHORIZED",
  "send the admin token: Authorization: Bearer TOKEN (admin.token in the data folder)",
);
const NO_ROUTE = new Problem(404, "NO_ROUTE", `no such path or method: see ${OPENAPI_URL}`);
const INTERNAL = new Problem(500, "INTERNAL", "a fault of the server: its log says more");

interface ServerOptions {
  routes: readonly Route[];
  adminToken: string;
  version: string;
  log: Logger;
}

/** Builds the server; nothing listens yet. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { log, routes } = options;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_SIZE_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    frameworkErrors: (_error, _request, reply) => sendProblem(reply, NO_ROUTE),
  });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request, log);
    if (problem === FRAMEWORK_PROBLEMS.FST_ERR_CTP_BODY_TOO_LARGE) letPass(request, reply);
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, NO_ROUTE));
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser(NDJSON_TYPE, (_request, payload, done) => done(null, payload));
  const openUrls = new Set(routes.filter((route) => route.open).map((route) => route.url));
  app.addHook("onResponse", async (request, reply) => {
    // Scrapes, probes and the batches of an import come many a second.
    const quiet = openUrls.has(pattern(request)) || pattern(request).startsWith("/v1/commands");
    log[quiet ? "debug" : "info"](requestFields(request, reply), "request");
  });
  app.addContentTypeParser(BYTES_TYPE, { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
  await app.register(fastifySwagger, { openapi: openApiHead(options.version) });
  await app.register(async (scope) => {
    for (const route of routes) addRoute(scope, route, options.adminToken);
    scope.get(OPENAPI_URL, { schema: { hide: true } }, async () => app.swagger());
  });
  return app;
}

function addRoute(app: FastifyInstance, route: Route, adminToken: string): void {
  const checkParams = validator(route.params, "path");
  const checkQuery = validator(route.query, "query");
  const wantedForm = typeof route.body === "string" ? route.body : "json";
  const checkBody =
    typeof route.body === "object" && route.body ? validator(route.body, "body") : null;
  app.route({
    method: route.method,
    url: route.url,
    schema: routeSchema(route),
    onRequest: async (request) => {
      if (!route.open) requireToken(request, adminToken);
    },
    handler: async (request, reply) => {
      if (bodyForm(request.body) !== wantedForm) {
        throw FRAMEWORK_PROBLEMS.FST_ERR_CTP_INVALID_MEDIA_TYPE!;
      }
      const params = coerceNumbers(route.params, request.params);
      const query = coerceNumbers(route.query, request.query);
      checkParams(params);
      checkQuery(query);
      checkBody?.(request.body);
      const answer = await route.handle({ params, query, body: request.body });
      if (!(answer instanceof Reply)) return reply.send(answer);
      return reply.code(answer.status).type(answer.contentType).send(answer.body);
    },
  });
}

/** How a body came: a stream, bytes, or JSON (also when there was none). */
function bodyForm(body: unknown): "ndjson" | "bytes" | "json" {
  if (body instanceof Readable) return "ndjson";
  return Buffer.isBuffer(body) ? "bytes" : "json";
}

function requireToken(request: FastifyRequest, adminToken: string): void {
  const match = /^Bearer ([A-Za-z0-9_-]{1,256})$/.exec(request.headers.authorization ?? "");
  if (!match || !tokensEqual(match[1]!, adminToken)) throw UNAUTHORIZED;
}

/** What of a route the OpenAPI document shows. */
function routeSchema(route: Route): Record<string, unknown> {
  const schema: Record<string, unknown> = {
    tags: [route.tag],
    summary: route.summary,
    response: { 200: { description: "done", ...route.response } },
  };
  if (hasKeys(route.params)) schema.params = route.params;
  if (hasKeys(route.query)) schema.querystring = route.query;
  if (typeof route.body === "string") {
    schema.consumes = [route.body === "ndjson" ? NDJSON_TYPE : BYTES_TYPE];
    schema.body = { type: "string" };
  } else if (route.body) schema.body = route.body;
  if (!route.open) schema.security = [{ adminToken: [] }];
  return schema;
}

function hasKeys(schema: object): boolean {
  return Object.keys((schema as { properties?: object }).properties ?? {}).length > 0;
}

function openApiHead(version: string) {
  return {
    openapi: "3.1.0",
    info: { title: "Tongka administration", version },
    components: { securitySchemes: { adminToken: { type: "http" as const, scheme: "bearer" } } },
  };
}

/**
 * Reads the rest of a body that is refused, and keeps the connection. Fastify closes it at once: a
 * client that still sends would find it broken, and not the answer that says why.
 */
function letPass(request: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader("connection");
  request.raw.resume();
}

/** Turns whatever was thrown into an answer; logs it when it is a fault of ours. */
function toProblem(error: unknown, request: FastifyRequest, log: Logger): Problem {
  if (error instanceof Problem) return error;
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  const known = FRAMEWORK_PROBLEMS[code ?? ""];
  if (known) return known;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, "INVALID", "the request is malformed");
  }
  log.error({ err: error, method: request.method, route: pattern(request) }, "request failed");
  return INTERNAL;
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const body: ProblemBody = { error: problem.code, message: problem.message };
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  return reply.code(problem.status).type("application/json").send(body);
}

function requestFields(request: FastifyRequest, reply: FastifyReply): Record<string, unknown> {
  return {
    method: request.method,
    route: pattern(request),
    status: reply.statusCode,
    durationMs: Math.round(reply.elapsedTime * 10) / 10,
  };
}

function pattern(request: FastifyRequest): string {
  return request.routeOptions.url ?? "unknown";
}
