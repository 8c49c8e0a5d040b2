// `tongka init`: makes the data folder, its root key and its admin token. Nothing that is there is
// ever overwritten: a lost root key means lost tokens and terminal keys.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ADMIN_TOKEN_FILE, createAdminToken } from "../admin-token.js";
import { createRootKey, loadRootKey, ROOT_KEY_FILE, ROOT_KEY_VARIABLE } from "../root-key.js";
import { CliError } from "./cli-error.js";
import type { CommandSpec, Context, Options } from "./command.js";
import { FOLDER_OPTIONS, settingsOf } from "./settings.js";

export const INIT: CommandSpec = {
  name: "init",
  summary: "make the data folder with its root key and admin token",
  details:
    "Both are files of mode 0600. Back up the root key apart from the data: without it the data " +
    `is worthless. When ${ROOT_KEY_VARIABLE} is set, that is the root key and no file is made.`,
  options: FOLDER_OPTIONS,
  examples: ["tongka init", "tongka init --data /var/lib/tongka"],
  run: init,
};

async function init(context: Context, _args: readonly string[], options: Options) {
  const { data: folder } = await settingsOf(context, options);
  const rootKeyFile = join(folder, ROOT_KEY_FILE);
  const adminTokenFile = join(folder, ADMIN_TOKEN_FILE);
  for (const path of [rootKeyFile, adminTokenFile]) refuseExisting(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const given = context.environment[ROOT_KEY_VARIABLE] !== undefined;
  const rootKey = given ? loadRootKey(folder, context.environment) : createRootKey(folder);
  rootKey.fill(0);
  createAdminToken(folder);
  if (context.json) {
    context.output.json({ data: folder, rootKeyFile: given ? null : rootKeyFile, adminTokenFile });
  } else {
    context.output.fields([
      ["data folder", folder],
      ["root key", given ? `environment ${ROOT_KEY_VARIABLE}` : rootKeyFile],
      ["admin token", adminTokenFile],
    ]);
  }
  context.output.message(`next: back up the root key; then tongka serve --data ${folder}`);
  return undefined;
}

function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  throw new CliError(`${path} exists already and is never overwritten: choose another --data`);
}
