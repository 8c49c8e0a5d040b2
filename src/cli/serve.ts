// `tongka serve`: runs the server until Ctrl-C or SIGTERM, then stops it in order: no new
// connections, what was taken is answered and on disk, exit code 0.

import type { CommandSpec, Context, Options } from "./command.js";
import { configOptions, settingsOf } from "./settings.js";

export const SERVE: CommandSpec = {
  name: "serve",
  summary: "serve terminals, the administration API and metrics",
  details:
    "Every option may stand in the configuration file and in the environment, too: " +
    "--terminals-port is terminals.port and TONGKA_TERMINALS_PORT. A flag wins over the " +
    "environment, and the environment over the file. Ctrl-C stops it in order, a second one at " +
    "once.",
  options: async () => [
    { flags: "--print-config", text: "check and print the whole configuration, and end" },
    ...(await configOptions()),
  ],
  examples: [
    "tongka serve --data /var/lib/tongka",
    "tongka serve --data /var/lib/tongka --terminals-host 0.0.0.0 --terminals-port 7080",
    "tongka serve --config /etc/tongka.json --print-config",
  ],
  run: serve,
};

async function serve(context: Context, _args: readonly string[], options: Options) {
  const { output, signal } = context;
  const config = await settingsOf(context, options);
  if (options.printConfig === true) {
    output.json(config);
    return undefined;
  }
  const { createLogger } = await import("../log.js");
  const { startServer } = await import("../server.js");
  const stopped = aborted(signal);
  const server = await startServer(config, createLogger("tongka", config.log.level));
  const { terminalsUrl, controlUrl } = server;
  if (context.json) output.jsonLine({ terminalsUrl, controlUrl, pid: process.pid });
  else {
    output.fields([
      ["terminals", terminalsUrl],
      ["administration", controlUrl],
      ["process", process.pid],
    ]);
  }
  await stopped;
  await server.stop();
  return undefined;
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
