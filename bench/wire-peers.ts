// The peers of the wire cases: what a user would pick instead, at the same concurrency. Each does
// the checks of a use and makes it durable, and leaves out what only we do.

import type { Run } from "./case.js";
import { PEER_CARDS, type PeerLoad } from "./peer.js";
import { POSTGRES_INSTALL, Postgres, postgresFolder } from "./postgres.js";
import { REDIS_INSTALL, Redis, redisInstalled } from "./redis.js";

/** More than either answers in a second here. */
const REDIS_PER_SECOND_MAX = 120_000;
const POSTGRES_PER_SECOND_MAX = 40_000;

const PEER_CARDS_MIN = 1000;

/** How a peer is loaded: connections, and uses in flight on each. */
export interface PeerShape {
  connections: number;
  inFlight: number;
}

/** Redis with the function, one measurement for each shape. */
export async function redisPeer(
  run: Run,
  shapes: readonly PeerShape[],
  seconds: number,
): Promise<void> {
  if (!redisInstalled()) {
    run.skip("redis", `not installed; ${REDIS_INSTALL}`);
    return;
  }
  run.say("starting Redis");
  const redis = await Redis.start(run.amount(PEER_CARDS, PEER_CARDS_MIN));
  try {
    let firstStan = 1;
    for (const shape of shapes) {
      const load = loadOf(shape, REDIS_PER_SECOND_MAX, seconds);
      run.say(`loading Redis, ${textOf(shape)}`);
      const value = await redis.load(load, firstStan);
      firstStan += load.usesMax;
      const text = `Redis, Lua function, fsync always, ${textOf(shape)}`;
      run.record({ name: `redis-${shape.inFlight}`, text, value, unit: "uses/s" });
    }
  } finally {
    await redis.stop();
  }
}

/** PostgreSQL with the function, one measurement for each shape. */
export async function postgresPeer(
  run: Run,
  shapes: readonly PeerShape[],
  seconds: number,
): Promise<void> {
  const binaries = postgresFolder();
  if (binaries === null) {
    run.skip("postgres", `not installed; ${POSTGRES_INSTALL}`);
    return;
  }
  run.say("starting PostgreSQL");
  const postgres = await Postgres.start(binaries, run.amount(PEER_CARDS, PEER_CARDS_MIN));
  try {
    let firstStan = 1;
    for (const shape of shapes) {
      const load = loadOf(shape, POSTGRES_PER_SECOND_MAX, seconds);
      run.say(`loading PostgreSQL, ${textOf(shape)}`);
      const value = await postgres.load(load, firstStan);
      firstStan += load.usesMax;
      const text = `PostgreSQL, PL/pgSQL function, a commit a use, ${textOf(shape)}`;
      run.record({ name: `postgres-${shape.inFlight}`, text, value, unit: "uses/s" });
    }
  } finally {
    await postgres.stop();
  }
}

function loadOf({ connections, inFlight }: PeerShape, perSecondMax: number, seconds: number) {
  const usesMax = Math.ceil(perSecondMax * seconds * 1.2);
  return { connections, inFlight, usesMax, seconds } satisfies PeerLoad;
}

function textOf({ connections, inFlight }: PeerShape): string {
  return `${connections} connections, ${inFlight} in flight on each`;
}
