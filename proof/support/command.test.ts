import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { text } from "node:stream/consumers";

test("a command ends with what it started when npm, or the shell above it, is killed", async (t) => {
  const module = new URL("command.ts", import.meta.url).href;
  const code = `import { runCommand } from ${JSON.stringify(module)};
    await runCommand(async (signal) => {
      console.log(process.pid);
      const alive = setInterval(() => undefined, 1_000);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      clearInterval(alive);
      console.log("ended in order");
      return 0;
    }, { what: "The test", msMax: 60_000 });`;
  const shell = spawn(
    "sh",
    ["-c", '"$0" --input-type=module --eval "$1" & wait', process.execPath, code],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  t.after(() => shell.kill("SIGKILL"));
  const said = text(shell.stdout);
  const [first] = await once(shell.stdout, "data");
  t.after(() => {
    try {
      process.kill(Number(String(first)), "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  });
  shell.kill("SIGKILL");
  assert.match(await said, /ended in order/);
});
