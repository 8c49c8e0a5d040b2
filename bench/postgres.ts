// The PostgreSQL way: a PL/pgSQL function that looks at repeat, card and blacklist, counts, and
// inserts a row; one durable commit a use. No MAC, no terminal, no catalogue: it does less. The
// connections are those of postgres-link.ts.

import { execFileSync } from "node:child_process";
import { chownSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, removeFolder } from "./folder.js";
import {
  commandPath,
  freePort,
  loadPeer,
  PEER_HOST,
  type PeerLoad,
  startProcess,
  whenItListens,
} from "./peer.js";
import { PostgresLink, useMessage } from "./postgres-link.js";
import { randomFrom, SEED } from "./random.js";
import { businessDateNow } from "./server.js";
import { AMOUNT_MINOR, ITEM_CODE, terminalIdOf } from "./world.js";

export const POSTGRES_INSTALL = "apt-get install postgresql";
/** Where Debian puts the servers of each version. */
const DEBIAN_FOLDER = "/usr/lib/postgresql";
/** PostgreSQL does not run as root; Debian makes this user for it. */
const DEBIAN_USER = "postgres";

/** Tables and function; HOT updates have room on their page. */
const schemaOf = (cardCount: number) => `
create table card (card bigint primary key, status smallint not null, medium smallint not null,
  expiry int not null, uses bigint not null) with (fillfactor = 70);
create table blacklist (card bigint primary key);
create table use (terminal int, business_date int, stan int, card bigint not null,
  item int not null, amount bigint not null, reason int not null,
  primary key (terminal, business_date, stan));
insert into card select i, 2, 1, 20991231, 0 from generate_series(0, ${cardCount - 1}) i;
create function use_card(of_terminal int, of_date int, of_stan int, of_card bigint, of_item int,
  of_amount bigint, of_medium int) returns int language plpgsql as $$
declare
  answer int;
  found_card card%rowtype;
begin
  select reason into answer from use
    where terminal = of_terminal and business_date = of_date and stan = of_stan;
  if found then return answer; end if;
  select * into found_card from card where card = of_card;
  answer := case
    when not found then 1
    when found_card.status <> 2 then 2
    when found_card.medium <> of_medium then 3
    when found_card.expiry < of_date then 4
    when exists (select 1 from blacklist b where b.card = of_card) then 5
    when of_amount > 100000 then 6
    else 0
  end;
  if answer = 0 then update card set uses = uses + 1 where card = of_card; end if;
  insert into use values
    (of_terminal, of_date, of_stan, of_card, of_item, of_amount, answer);
  return answer;
end $$;
vacuum analyze;
`;

/** Folder of initdb and postgres, or null. */
export function postgresFolder(): string | null {
  const onPath = commandPath("initdb");
  if (onPath !== null) return join(onPath, "..");
  if (!existsSync(DEBIAN_FOLDER)) return null;
  const versions = readdirSync(DEBIAN_FOLDER).sort((a, b) => Number(b) - Number(a));
  const folders = versions.map((version) => join(DEBIAN_FOLDER, version, "bin"));
  return folders.find((folder) => existsSync(join(folder, "initdb"))) ?? null;
}

/** A PostgreSQL with the function and the cards in it. */
export class Postgres {
  private constructor(
    private readonly port: number,
    private readonly server: { stop(): Promise<void> },
    private readonly folder: string,
    private readonly cardCount: number,
  ) {}

  static async start(binaries: string, cardCount: number): Promise<Postgres> {
    const folder = makeFolder();
    const port = await freePort();
    const identity = identityOf(folder);
    const initArgs = ["-A", "trust", "-U", "bench", "-E", "UTF8", "--no-locale", "-D", folder];
    execFileSync(join(binaries, "initdb"), initArgs, { ...identity, stdio: "ignore" });
    const settings = {
      port,
      listen_addresses: PEER_HOST,
      unix_socket_directories: "",
      shared_buffers: "512MB",
      max_wal_size: "4GB",
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const command = join(binaries, "postgres");
    const server = startProcess(command, ["-D", folder, ...args], identity, "SIGINT");
    const link = await whenItListens(() => PostgresLink.open(port));
    for (const statement of schemaOf(cardCount).split(/;\n(?=create|insert|vacuum|$)/)) {
      if (statement.trim() !== "") await link.query(statement);
    }
    link.close();
    return new Postgres(port, server, folder, cardCount);
  }

  /** Uses a second. */
  load(load: PeerLoad, firstStan: number): Promise<number> {
    const random = randomFrom(SEED);
    const date = businessDateNow();
    return loadPeer(
      async (answered, failed) => {
        const link = await PostgresLink.open(this.port);
        await link.prepare();
        link.onAnswers(answered, failed);
        return link;
      },
      load,
      (connection, count) => {
        const message = (i: number) => {
          const card = Math.floor(random() * this.cardCount);
          const key = [terminalIdOf(connection), date, firstStan + i] as const;
          return useMessage(...key, card, ITEM_CODE, AMOUNT_MINOR);
        };
        const { length: size } = message(0);
        const bytes = Buffer.allocUnsafeSlow(size * count);
        for (let i = 0; i < count; i++) message(i).copy(bytes, i * size);
        return { bytes, size, count };
      },
    );
  }

  async stop(): Promise<void> {
    await this.server.stop();
    removeFolder(this.folder);
  }
}

/** As whom it runs: ourselves, or for root the user that Debian makes, who gets the folder. */
function identityOf(folder: string): { uid?: number; gid?: number; cwd: string } {
  if (process.getuid!() !== 0) return { cwd: folder };
  const idOf = (flag: string) => {
    return Number(execFileSync("id", [flag, DEBIAN_USER], { encoding: "utf8" }));
  };
  const uid = idOf("-u");
  const gid = idOf("-g");
  chownSync(folder, uid, gid);
  return { uid, gid, cwd: folder };
}
