// `tongka status`: whether the server authorizes uses, and how far it has come.

import type { CommandSpec, Context, Options } from "./command.js";
import { CONNECTION_OPTIONS, connect } from "./connection.js";
import { EXIT } from "./exit-codes.js";

export const STATUS: CommandSpec = {
  name: "status",
  summary: "show whether the server is ready, its positions and its counts",
  details: "Exit code 1 when the server answers and is not ready.",
  options: CONNECTION_OPTIONS,
  examples: ["tongka status", "tongka status --json", "tongka status --url http://10.0.0.7:7081"],
  run: showStatus,
};

async function showStatus(context: Context, _args: readonly string[], options: Options) {
  const status = await (await connect(context, options)).status();
  if (context.json) context.output.json(status);
  else {
    context.output.fields([
      ["ready", status.ready ? "yes" : "no"],
      ["stopping", status.draining ? "yes" : "no"],
      ["up (seconds)", Math.floor(status.uptimeSeconds)],
      ["business date", status.businessDate || null],
      ["catalogue version", status.catalogueVersion || null],
      ["journal position", status.position],
      ["on disk", status.committedPosition],
      ["checkpoint", status.checkpointPosition],
      ["cards", status.cards],
      ["holders", status.holders],
      ["blacklist entries", status.blacklist],
      ["organisations", status.organisations],
      ["terminals", status.terminals],
      ["signed on", status.sessions],
    ]);
  }
  return status.ready ? undefined : EXIT.FAILED;
}
