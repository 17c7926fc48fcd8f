// A step is a sentence, and its outcome is another one. A step that fails is told and the next one comes.

export type Step = {
  (title: string, run: () => Promise<string>): Promise<boolean>;
  readonly failed: () => boolean;
};

export function steps(): Step {
  let failures = 0;
  const step = async (title: string, run: () => Promise<string>): Promise<boolean> => {
    const startMs = performance.now();
    const took = (): string =>
      `${((performance.now() - startMs) / 1_000).toFixed(1)} s`.padStart(8);
    try {
      const outcome = await run();
      console.log(`ok    ${took()}  ${title}: ${outcome}`);
      return true;
    } catch (error) {
      failures += 1;
      const why = error instanceof Error ? error.message : String(error);
      console.log(`WRONG ${took()}  ${title}: ${why}`);
      return false;
    }
  };
  return Object.assign(step, { failed: () => failures > 0 });
}
