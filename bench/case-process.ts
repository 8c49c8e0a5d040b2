// A process that runs one case: what one case leaves behind (optimized code, a full heap) is not
// the next one's. Started as a child with the case's name and the settings.

import { type Measurement, Run, type Settings, type Skipped } from "./case.js";
import { CASES } from "./cases.js";
import { Child, childOptions, serveParent } from "./child.js";
import { watchSteal } from "./steal.js";

interface CaseOptions {
  name: string;
  settings: Settings;
}

interface CaseResult {
  measurements: Measurement[];
  skipped: Skipped[];
}

/** Runs a case in a process of its own, which says on standard error what it does. */
export async function runCase(name: string, settings: Settings): Promise<CaseResult> {
  const options: CaseOptions = { name, settings };
  const child = await Child.start<null>("case-process", options);
  try {
    return await child.ask<CaseResult>("run");
  } finally {
    await child.stop();
  }
}

if (process.argv[1] === import.meta.filename) {
  const { name, settings } = childOptions<CaseOptions>();
  const bench = CASES.find((each) => each.name === name)!;
  const say = (line: string) => process.stderr.write(`${name}: ${line}\n`);
  const run = new Run(name, settings, say);
  serveParent(
    null,
    {
      run: async (): Promise<CaseResult> => {
        const steal = watchSteal();
        await bench.run(run);
        const text = "of the processors' time, which the host gave to other machines meanwhile";
        run.record({ name: "steal", text, value: steal(), unit: "%" });
        return { measurements: run.measurements, skipped: run.skipped };
      },
    },
    () => {},
  );
}
