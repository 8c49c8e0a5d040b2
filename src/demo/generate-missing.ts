// The province of the demo: the one that stands in the folder, or a new one.

import {
  type ProvinceOptions,
  type ProvinceSummary,
  readProvinceSummary,
  writeProvince,
} from "../province/province.js";

/** What stands in `folder`, generated first when nothing whole stands there. */
export async function generateMissing(
  folder: string,
  options: ProvinceOptions,
  onProgress?: (holdersDone: number, holdersTotal: number) => void,
): Promise<ProvinceSummary> {
  return readProvinceSummary(folder) ?? (await writeProvince(folder, options, onProgress));
}
