/** Row locks and uncommitted keys: one owner each, and a line of those who wait. */
export type Owner = { readonly locks: Set<string>; waitsFor: string | null };

type Waiter = { readonly owner: Owner; readonly grant: () => void };

export class Locks {
  readonly #owners = new Map<string, Owner>();
  readonly #lines = new Map<string, Waiter[]>();

  /** True: it is the owner's now. False: `grant` is called when it will be. */
  take(key: string, owner: Owner, grant: () => void): boolean {
    const held = this.#owners.get(key);
    if (held === owner) return true;
    if (held === undefined) {
      this.#owners.set(key, owner);
      owner.locks.add(key);
      return true;
    }
    owner.waitsFor = key;
    const line = this.#lines.get(key) ?? [];
    line.push({ owner, grant });
    this.#lines.set(key, line);
    return false;
  }

  /** Whether this wait can never end. */
  isDeadlock(owner: Owner): boolean {
    for (let next = owner.waitsFor; next !== null;) {
      const holder = this.#owners.get(next);
      if (holder === undefined) return false;
      if (holder === owner) return true;
      next = holder.waitsFor;
    }
    return false;
  }

  giveUp(owner: Owner): void {
    const key = owner.waitsFor;
    if (key === null) return;
    owner.waitsFor = null;
    this.#lines.set(
      key,
      (this.#lines.get(key) ?? []).filter((waiter) => waiter.owner !== owner),
    );
  }

  releaseAll(owner: Owner): void {
    this.giveUp(owner);
    const keys = [...owner.locks];
    owner.locks.clear();
    for (const key of keys) {
      this.#owners.delete(key);
      const next = this.#lines.get(key)?.shift();
      if (next === undefined) {
        this.#lines.delete(key);
        continue;
      }
      this.#owners.set(key, next.owner);
      next.owner.locks.add(key);
      next.owner.waitsFor = null;
      next.grant();
    }
  }
}
