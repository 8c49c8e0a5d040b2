// The sampling profiler of this thread, from one moment to another: a server under load, without
// its start. Used by the profile command; measurements run without it.

import { type Profiler, Session } from "node:inspector/promises";

/** Names the folder for profiles; set for the processes of a profiled run. */
export const PROFILE_FOLDER_VARIABLE = "BENCH_PROFILE_FOLDER";
export const PROFILE_INTERVAL_US = 200;

let session: Session | null = null;

export async function startProfile(): Promise<void> {
  session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: PROFILE_INTERVAL_US });
  await session.post("Profiler.start");
}

export async function stopProfile(): Promise<Profiler.Profile> {
  const { profile } = await session!.post("Profiler.stop");
  session!.disconnect();
  session = null;
  return profile;
}
