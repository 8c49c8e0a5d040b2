// Commands as they stand in the journal, for whoever makes them elsewhere: an import that reads
// files beside the server and holds the vault's keys itself. Sessions are not made from outside.

import { COMMAND, commandSize, DOCUMENT_SIZE_MAX } from "../../../engine/commands.js";
import { COMMANDS_PER_BATCH_MAX } from "../../command-sink.js";
import { Type } from "../../schema.js";
import { closed, POSITION } from "../fields.js";
import { invalid } from "../problem.js";
import { bytesRoute, type ControlContext, type Route } from "../route.js";

const KIND = Type.Integer({
  minimum: COMMAND.CARD_EVENT,
  maximum: COMMAND.CATALOGUE,
  description: "kind of command",
});
const RESULT = closed({
  outcomes: Type.Array(Type.Integer(), { description: "outcome of each command, by number" }),
  positions: Type.Array(POSITION),
});

export function commandRoutes({ main }: ControlContext): Route[] {
  return [
    bytesRoute({
      url: "/v1/commands/:kind",
      tag: "commands",
      summary: "Executes commands of one kind, back to back in their binary form",
      params: closed({ kind: KIND }),
      response: RESULT,
      handle: async ({ params: { kind }, body }) => {
        const count = commandCount(kind, body.length);
        // A copy of its own, to be handed over.
        const bytes = new Uint8Array(body);
        const request = { op: "execute" as const, kind, count, bytes };
        const { outcomes, positions } = await main.ask<"execute">(request, [bytes.buffer]);
        return { outcomes: [...outcomes], positions: [...positions] };
      },
    }),
  ];
}

function commandCount(kind: number, bodySize: number): number {
  const size = commandSize(kind);
  if (size === 0) {
    if (bodySize === 0 || bodySize > DOCUMENT_SIZE_MAX) {
      throw invalid("body: a document is 1 to 2,000,000 bytes");
    }
    return 1;
  }
  const count = bodySize / size;
  if (!Number.isInteger(count) || count < 1 || count > COMMANDS_PER_BATCH_MAX) {
    throw invalid("body: must be 1 to 4096 whole commands of this kind");
  }
  return count;
}
