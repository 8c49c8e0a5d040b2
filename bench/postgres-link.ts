// A connection to PostgreSQL, as little of its protocol (version 3.0) as the load needs: simple
// queries for the schema, then one prepared statement, bound and executed with a Sync for each
// use, so that each is a transaction of its own, also when many are on their way.

import type { Socket } from "node:net";
import { connect } from "./connection.js";
import { type Link, PEER_HOST } from "./peer.js";

const PROTOCOL_VERSION = 196_608;
const STATEMENT = "use";
const QUERY = "select use_card($1, $2, $3, $4, $5, $6, 1)";
/** OIDs of int4 and int8. */
const INT4 = 23;
const INT8 = 20;
const PARAMETER_TYPES = [INT4, INT4, INT4, INT8, INT4, INT8];
const HEADER_SIZE = 5;
const DATA_ROW = 0x44;
const ERROR = 0x45;
const READY = 0x5a;
/** Behind the header of a row of one int4: count of columns, length. */
const COLUMN_OFFSET = HEADER_SIZE + 2 + 4;

export class PostgresLink implements Link {
  private rest: Buffer = Buffer.alloc(0);
  private answered: (count: number) => void = () => {};
  private failed: (error: Error) => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.on("error", (error) => this.failed(error));
  }

  /** Connects as user bench; resolves when queries are taken. */
  static async open(port: number): Promise<PostgresLink> {
    const socket = connect(PEER_HOST, port, (bytes) => link.take(bytes));
    const link = new PostgresLink(socket);
    await link.ask(startup());
    return link;
  }

  /** Runs statements of SQL. */
  query(text: string): Promise<void> {
    return this.ask(message("Q", cString(text)));
  }

  /** Prepares the statement that `useMessage` executes. */
  prepare(): Promise<void> {
    const types = Buffer.alloc(2 + PARAMETER_TYPES.length * 4);
    types.writeInt16BE(PARAMETER_TYPES.length, 0);
    PARAMETER_TYPES.forEach((type, i) => {
      types.writeInt32BE(type, 2 + i * 4);
    });
    const parse = message("P", cString(STATEMENT), cString(QUERY), types);
    return this.ask(Buffer.concat([parse, message("S")]));
  }

  /** From now on `answered` is told how many transactions a read has ended. */
  onAnswers(answered: (count: number) => void, failed: (error: Error) => void): void {
    this.answered = answered;
    this.failed = failed;
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }

  /** Sends and waits until the server is ready again. */
  private ask(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.answered = (count) => {
        if (count > 0) resolve();
      };
      this.failed = reject;
      this.socket.write(bytes);
    });
  }

  private take(chunk: Buffer): void {
    const data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let offset = 0;
    let count = 0;
    while (offset + HEADER_SIZE <= data.length) {
      const end = offset + 1 + data.readInt32BE(offset + 1);
      if (end > data.length) break;
      const type = data[offset];
      if (type === READY) count++;
      else if (type === ERROR)
        this.failed(new Error(`PostgreSQL: ${errorText(data, offset, end)}`));
      else if (type === DATA_ROW && data.readInt32BE(offset + COLUMN_OFFSET) !== 0) {
        this.failed(new Error("PostgreSQL declined a use"));
      }
      offset = end;
    }
    this.rest = Buffer.from(data.subarray(offset));
    if (count > 0) this.answered(count);
  }
}

/** One use: Bind, Execute, Sync. All of one size. */
export function useMessage(
  terminalId: number,
  businessDate: number,
  stan: number,
  card: number,
  itemCode: number,
  amountMinor: number,
): Buffer {
  const values = [terminalId, businessDate, stan, card, itemCode, amountMinor];
  const parameters = values.map((value, i) => parameter(value, PARAMETER_TYPES[i] === INT8));
  const bind = message(
    "B",
    cString(""),
    cString(STATEMENT),
    int16s(1, 1, values.length),
    ...parameters,
    int16s(1, 1),
  );
  return Buffer.concat([bind, message("E", cString(""), Buffer.alloc(4)), message("S")]);
}

function parameter(value: number, isLong: boolean): Buffer {
  const size = isLong ? 8 : 4;
  const bytes = Buffer.alloc(4 + size);
  bytes.writeInt32BE(size, 0);
  if (isLong) bytes.writeBigInt64BE(BigInt(value), 4);
  else bytes.writeInt32BE(value, 4);
  return bytes;
}

function startup(): Buffer {
  const words = ["user", "bench", "database", "postgres", ""].map(cString);
  const body = Buffer.concat(words);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  head.writeInt32BE(PROTOCOL_VERSION, 4);
  return Buffer.concat([head, body]);
}

function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(HEADER_SIZE);
  head.write(type, 0, "latin1");
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function int16s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    bytes.writeInt16BE(value, i * 2);
  });
  return bytes;
}

/** The message (field M) of an error. */
function errorText(data: Buffer, start: number, end: number): string {
  const fields = data.toString("utf8", start + HEADER_SIZE, end).split("\0");
  return fields.find((field) => field.startsWith("M"))?.slice(1) ?? "an error without a message";
}
