// Documents: the few named texts among the state (organisations, catalogue versions), kept as the
// bytes they came as. Values are never changed in place, so a checkpoint can hold on to them.

export class Documents {
  private readonly values = new Map<string, Uint8Array>();
  private changed = new Set<string>();

  get(key: string): Uint8Array | undefined {
    return this.values.get(key);
  }

  set(key: string, bytes: Uint8Array): void {
    this.values.set(key, bytes);
    this.changed.add(key);
  }

  /** Keys in code unit order, so that every run sees the same order. */
  keys(): string[] {
    return [...this.values.keys()].sort();
  }

  /** What changed since the last call, as it is now. */
  takeChanged(): [string, Uint8Array][] {
    const taken = [...this.changed].sort().map((key): [string, Uint8Array] => {
      return [key, this.values.get(key)!];
    });
    this.changed = new Set();
    return taken;
  }

  load(key: string, bytes: Uint8Array): void {
    this.values.set(key, bytes);
  }
}
