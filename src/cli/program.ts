// The one home of commander: makes the command line of the commands' own descriptions, and turns
// everything that goes wrong on it into one line and an exit code.

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { maskDigits } from "../log.js";
import type { CommandSpec, Context, GroupSpec, OptionSpec } from "./command.js";
import { EXIT, EXIT_CODE_HELP } from "./exit-codes.js";
import type { Output } from "./output.js";

const TOP_EXAMPLES = [
  "tongka init --data /var/lib/tongka",
  "tongka serve --data /var/lib/tongka",
  "tongka card show - < card-number.txt",
  "tongka status --json",
  "tongka demo --seconds 20",
];

/** What every command is given besides its own arguments. */
export type Invocation = Omit<Context, "json">;

/**
 * Parses `argv` (without node and script), runs the command and resolves to the exit code.
 * Throws what the command throws.
 */
export async function runProgram(
  argv: readonly string[],
  commands: readonly (CommandSpec | GroupSpec)[],
  version: string,
  invocation: Invocation,
): Promise<number> {
  let exitCode: number = EXIT.OK;
  const done = (code: number | undefined) => {
    exitCode = code ?? EXIT.OK;
  };
  const program = base(new Command("tongka"), invocation.output)
    .description("Tongka authorizes uses of one card for all public services.")
    .version(version, "-V, --version", "print version and commit")
    .option("--json", "print data as JSON");
  program.addHelpText("after", footer(TOP_EXAMPLES));
  for (const spec of commands) {
    if ("commands" in spec) addGroup(program, spec, invocation, done);
    else addCommand(program, spec, invocation, done, await optionsOf(spec, argv));
  }
  if (argv.length === 0) {
    program.outputHelp({ error: true });
    return EXIT.USAGE;
  }
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE;
  }
  return exitCode;
}

type Done = (code: number | undefined) => void;

function addGroup(parent: Command, spec: GroupSpec, invocation: Invocation, done: Done): void {
  const group = base(parent.command(spec.name), invocation.output).summary(spec.summary);
  group.description(sentence(spec.summary));
  for (const command of spec.commands) {
    addCommand(group, command, invocation, done, command.options as readonly OptionSpec[]);
  }
  const examples = spec.commands.flatMap((command) => command.examples.slice(0, 1));
  group.addHelpText("after", footer(examples));
}

/** Options that take long to know are left out while the command line does not name the command. */
async function optionsOf(
  { name, options }: CommandSpec,
  argv: readonly string[],
): Promise<readonly OptionSpec[] | undefined> {
  if (typeof options !== "function") return options;
  return argv.includes(name) ? options() : [];
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  invocation: Invocation,
  done: Done,
  options: readonly OptionSpec[] = [],
): void {
  const command = base(parent.command(spec.name), invocation.output).summary(spec.summary);
  command.description([sentence(spec.summary), spec.details].filter(Boolean).join("\n\n"));
  if (spec.arguments !== undefined) command.arguments(spec.arguments);
  for (const option of options) command.addOption(toOption(option));
  command.addHelpText("after", footer(spec.examples));
  command.action(async () => {
    const { json, ...options } = command.optsWithGlobals();
    done(await spec.run({ ...invocation, json: json === true }, command.args, options));
  });
}

/** What all commands share. */
function base(command: Command, output: Output): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => output.text(text.trimEnd()),
      writeErr: (text) => output.message(text.trimEnd()),
      outputError: (text, write) => write(`${usageError(command, text.trimEnd())}\n`),
    })
    .showHelpAfterError(false);
}

/** commander's complaint in one line that ends with what to do. */
function usageError(command: Command, text: string): string {
  // What is not understood may be a card number in the wrong place.
  const line = maskDigits(text.replace(/^error: /, "tongka: ").replace("\n(", " ("));
  if (line.includes("(Did you mean")) return line;
  const names: string[] = [];
  for (let each: Command | null = command; each !== null; each = each.parent) {
    names.unshift(each.name());
  }
  return `${line.replace(/\.$/, "")}; see ${names.join(" ")} --help`;
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.text);
  const { parse, fallback } = spec;
  if (fallback !== undefined) option.default(fallback);
  if (spec.required) option.makeOptionMandatory();
  if (parse !== undefined) option.argParser((value) => argument(parse, value));
  return option;
}

function argument(parse: (value: string) => unknown, value: string): unknown {
  try {
    return parse(value);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : "is not understood");
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function footer(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}\n\n${EXIT_CODE_HELP}`;
}
