import type { Logger } from "pino";

/** Closes in reverse what was opened, one after another, and knows which of it is being closed. */
export class Closing {
  readonly #stack = new AsyncDisposableStack();
  #at = "";

  use<Value extends AsyncDisposable | Disposable>(value: Value, name: string): Value {
    this.defer(() => {
      if (Symbol.asyncDispose in value) return value[Symbol.asyncDispose]();
      return value[Symbol.dispose]();
    }, name);
    return value;
  }

  defer(close: () => PromiseLike<void> | void, name: string): void {
    this.#stack.defer(async () => {
      this.#at = name;
      await close();
    });
  }

  /** Resolves after `msMax` at the latest; true where everything was closed. */
  async closeAll(msMax: number, log: Logger): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => {
      const seconds = msMax / 1_000;
      log.error(
        { notClosed: this.#at },
        `the process ends after ${seconds} s although ${this.#at} is not closed: what was acknowledged is kept`,
      );
      resolve(false);
    }, msMax);
    const all = this.#stack.disposeAsync().then(
      () => true,
      (err: unknown) => {
        log.error({ err }, "something could not be closed; the process ends all the same");
        return false;
      },
    );
    const closed = await Promise.race([all, late]);
    clearTimeout(timer);
    return closed;
  }
}
