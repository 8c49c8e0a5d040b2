// HTTP load by wrk. Its script reads whole requests, made ahead of time and all of one size, from a
// file, so that a request costs it one read.

import { execFile, execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeFolder, removeFolder } from "./folder.js";
import type { HttpLoad, HttpRequests } from "./http.js";

const WRK = "wrk";
let installed: boolean | null = null;

export function wrkInstalled(): boolean {
  installed ??= answers();
  return installed;
}

/** wrk tells its version with exit code 1; only a command that is not there fails to start. */
function answers(): boolean {
  try {
    execFileSync(WRK, ["--version"], { stdio: "ignore" });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
  return true;
}

/**
 * Posts for `seconds` (rounded up to whole ones) with one thread. Throws when the requests did not
 * last, or one was not answered with 200.
 */
export async function loadByWrk(
  { url, headersOf, bodies }: HttpRequests,
  connections: number,
  seconds: number,
): Promise<HttpLoad> {
  const folder = makeFolder();
  const { host, pathname } = new URL(url);
  const texts = bodies.map((body) => requestText(host, pathname, headersOf(body), body));
  const size = texts[0]!.length;
  if (texts.some((text) => text.length !== size)) throw new Error("requests differ in size");
  writeFileSync(join(folder, "requests"), Buffer.concat(texts));
  writeFileSync(join(folder, "load.lua"), script(join(folder, "requests"), size));
  const args = ["-t", "1", "-c", String(connections), "-d", `${Math.ceil(seconds)}s`];
  args.push("-s", join(folder, "load.lua"), url);
  try {
    const { stdout } = await promisify(execFile)(WRK, args);
    return loadOf(stdout);
  } finally {
    removeFolder(folder);
  }
}

function requestText(
  host: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer,
): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join("")}`;
  return Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
}

function script(path: string, size: number): string {
  return `local file = io.open(${JSON.stringify(path)}, "rb")
file:setvbuf("full", 1048576)
ended = 0
function request()
  local text = file:read(${size})
  if text == nil then
    ended = ended + 1
    file:seek("set", 0)
    text = file:read(${size})
  end
  return text
end
function done(summary)
  print("ENDED " .. ended_of_threads())
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function ended_of_threads()
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + (thread:get("ended") or 0) end
  return sum
end
`;
}

function loadOf(output: string): HttpLoad {
  const figures = /(\d+) requests in ([\d.]+)(ms|s|m)/.exec(output);
  if (figures === null) throw new Error("wrk told no figures");
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(output);
  if (bad !== null) throw new Error(`wrk: ${bad[0]}`);
  if (!/ENDED 0\b/.test(output)) throw new Error("the requests made for wrk did not last");
  const unit = { ms: 0.001, s: 1, m: 60 }[figures[3] as "ms" | "s" | "m"];
  return { requests: Number(figures[1]), seconds: Number(figures[2]) * unit };
}
