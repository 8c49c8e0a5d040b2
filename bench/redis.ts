// The Redis way: a Lua function that looks at card, blacklist and repeat, counts, and appends to a
// stream; appendonly with fsync before every answer, like us. No MAC, no terminal, no catalogue: it
// does less. Spoken over node:net in RESP, written here.

import type { Socket } from "node:net";
import { connect } from "./connection.js";
import { makeFolder, removeFolder } from "./folder.js";
import {
  commandPath,
  freePort,
  type Link,
  loadPeer,
  PEER_HOST,
  type PeerLoad,
  startProcess,
  whenItListens,
} from "./peer.js";
import { randomFrom, SEED } from "./random.js";
import { businessDateNow } from "./server.js";
import type { Messages } from "./window.js";
import { AMOUNT_MINOR, ITEM_CODE, terminalIdOf } from "./world.js";

export const REDIS_INSTALL = "apt-get install redis-server";
const LOAD_COMMANDS = 1000;
const CARD_DIGITS = 12;
const STAN_DIGITS = 8;
const NEWLINE = 10;
const ERROR = 0x2d;

/** Approved uses are answered with an integer, declined ones (there are none) with an error. */
const FUNCTION = `#!lua name=bench
local function use(keys, args)
  local first = redis.call("GET", keys[2])
  if first == "approved" then return 0 end
  if first then return redis.error_reply(first) end
  local card = redis.call("HMGET", keys[1], "status", "medium", "expiry")
  local reason = "approved"
  if not card[1] then reason = "unknown card"
  elseif card[1] ~= "2" then reason = "card not active"
  elseif card[2] ~= args[1] then reason = "other medium"
  elseif card[3] < args[2] then reason = "card expired"
  elseif redis.call("SISMEMBER", "blacklist", keys[1]) == 1 then reason = "listed"
  elseif tonumber(args[3]) > 100000 then reason = "amount over limit"
  end
  if reason == "approved" then redis.call("HINCRBY", keys[1], "uses", 1) end
  redis.call("SET", keys[2], reason)
  redis.call("XADD", "journal", "*", "card", keys[1], "use", keys[2], "amount", args[3],
    "item", args[4], "reason", reason)
  if reason == "approved" then return 0 end
  return redis.error_reply(reason)
end
redis.register_function("use", use)
`;

export function redisInstalled(): boolean {
  return commandPath("redis-server") !== null;
}

/** A Redis with the function and the cards in it. */
export class Redis {
  private constructor(
    private readonly port: number,
    private readonly server: { stop(): Promise<void> },
    private readonly folder: string,
    private readonly cardCount: number,
  ) {}

  static async start(cardCount: number): Promise<Redis> {
    const folder = makeFolder();
    const port = await freePort();
    const settings = ["--dir", folder, "--appendonly", "yes", "--appendfsync", "no", "--save", ""];
    const address = ["--bind", PEER_HOST, "--port", String(port)];
    const rewrite = ["--auto-aof-rewrite-percentage", "0"];
    const args = [...address, ...settings, ...rewrite];
    const server = startProcess("redis-server", args, {}, "SIGKILL");
    const redis = new Redis(port, server, folder, cardCount);
    await redis.fill();
    return redis;
  }

  /** Uses a second. */
  load(load: PeerLoad, firstStan: number): Promise<number> {
    const random = randomFrom(SEED);
    return loadPeer(
      (answered, failed) => RespLink.open(this.port, answered, failed),
      load,
      (connection, count) => {
        const nextCard = () => Math.floor(random() * this.cardCount);
        return useMessages(connection, firstStan, count, nextCard);
      },
    );
  }

  async stop(): Promise<void> {
    await this.server.stop();
    removeFolder(this.folder);
  }

  /** Function, blacklist and cards; only then every write is flushed. */
  private async fill(): Promise<void> {
    let left = 0;
    let end: (error?: Error) => void = () => {};
    const answered = (count: number) => {
      left -= count;
      if (left === 0) end();
    };
    const link = await whenItListens(() => RespLink.open(this.port, answered, (e) => end(e)));
    const ask = (commands: readonly string[][], lines = commands.length) => {
      return new Promise<void>((resolve, reject) => {
        left = lines;
        end = (error) => (error === undefined ? resolve() : reject(error));
        link.send(Buffer.concat(commands.map(command)));
      });
    };
    // Its name comes back as a bulk string, in two lines.
    await ask([["FUNCTION", "LOAD", FUNCTION]], 2);
    await ask([["SADD", "blacklist", "none"]]);
    for (let from = 0; from < this.cardCount; from += LOAD_COMMANDS) {
      await ask(Array.from({ length: LOAD_COMMANDS }, (_, i) => cardCommand(from + i)));
    }
    await ask([["CONFIG", "SET", "appendfsync", "always"]]);
    link.close();
  }
}

/** A connection that counts replies by their first byte; every reply here is one line. */
class RespLink implements Link {
  private atStart = true;

  private constructor(private readonly socket: Socket) {}

  static open(
    port: number,
    answered: (count: number) => void,
    failed: (error: Error) => void,
  ): Promise<RespLink> {
    const socket = connect(PEER_HOST, port, (bytes) => link.take(bytes, answered, failed));
    const link = new RespLink(socket);
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.on("error", failed);
        resolve(link);
      });
    });
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }

  private take(
    data: Buffer,
    answered: (count: number) => void,
    failed: (error: Error) => void,
  ): void {
    let count = 0;
    for (let i = 0; i < data.length; ) {
      if (this.atStart && data[i] === ERROR) failed(new Error("Redis declined a use or failed"));
      const end = data.indexOf(NEWLINE, i);
      this.atStart = end >= 0;
      if (end < 0) break;
      count++;
      i = end + 1;
    }
    answered(count);
  }
}

function cardKey(index: number): string {
  return `card:${String(index).padStart(CARD_DIGITS, "0")}`;
}

function cardCommand(index: number): string[] {
  return ["HSET", cardKey(index), "status", "2", "medium", "1", "expiry", "20991231", "uses", "0"];
}

function command(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join("")}`);
}

function useMessages(
  connection: number,
  firstStan: number,
  count: number,
  nextCard: () => number,
): Messages {
  const date = String(businessDateNow());
  const terminalId = terminalIdOf(connection);
  const message = (i: number) => {
    const stan = String(firstStan + i).padStart(STAN_DIGITS, "0");
    const key = `use:${terminalId}:${date}:${stan}`;
    const card = cardKey(nextCard());
    const rest = ["1", date, String(AMOUNT_MINOR), String(ITEM_CODE)];
    return command(["FCALL", "use", "2", card, key, ...rest]);
  };
  const { length: size } = message(0);
  const bytes = Buffer.allocUnsafeSlow(size * count);
  for (let i = 0; i < count; i++) message(i).copy(bytes, i * size);
  return { bytes, size, count };
}
