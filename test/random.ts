// Random numbers that come again with their seed (mulberry32).

export interface Random {
  /** 0..below-1. */
  below(below: number): number;
  /** A random int32. */
  word(): number;
  /** One of the values. */
  pick<T>(values: readonly T[]): T;
}

export function seeded(seed: number): Random {
  let state = seed | 0;
  const word = () => {
    state = (state + 0x6d2b79f5) | 0;
    let h = Math.imul(state ^ (state >>> 15), 1 | state);
    h = (h + Math.imul(h ^ (h >>> 7), 61 | h)) ^ h;
    return h ^ (h >>> 14);
  };
  const below = (limit: number) => (word() >>> 0) % limit;
  return { below, word, pick: (values) => values[below(values.length)]! };
}
