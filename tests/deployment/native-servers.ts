import { freePort, serverEnvironment } from "@stampede/launcher";
import { fieldsOf, readFile, root } from "./compose-model.ts";
import type { Deployment } from "./compose-model.ts";
import { instructionsOf, stageOf } from "./image-rules.ts";
import { environmentOf, type Engines, type Values } from "./native-engines.ts";
import { start, type Cleanup, type Running } from "./processes.ts";

export type Server = { readonly url: string; readonly running: Running };

/**
 * The service `name` as a plain process: the image's command, and the environment that compose passes
 * with the addresses of here. `port` brings it back where it was.
 */
export async function nativeServer(
  t: Cleanup,
  deployment: Deployment,
  plan: {
    readonly name: string;
    readonly engines: Engines;
    readonly values: Values;
    readonly port?: number;
  },
): Promise<Server> {
  const { name, engines, values } = plan;
  const port = plan.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const passed = environmentOf(deployment.services[name] ?? {}, values);
  const command = stageOf(instructionsOf(readFile("deploy/Dockerfile")), "app").find(
    (instruction) => instruction.name === "CMD",
  );
  const [, ...args]: string[] = JSON.parse(command?.text ?? "[]");
  const running = await start(t, {
    title: name,
    command: process.execPath,
    args,
    folder: root,
    environment: {
      ...serverEnvironment,
      ...passed,
      HOST: "127.0.0.1",
      PORT: String(port),
      DATABASE_URL: engines.postgres,
      REDIS_URL: engines.redis,
      // Their addresses hold the passwords, and the volumes of compose are not here.
      DATABASE_PASSWORD_FILE: "",
      REDIS_PASSWORD_FILE: "",
      ADMIN_TOKEN_FILE: "",
      ADMIN_TOKEN: values["ADMIN_TOKEN"] ?? "",
      KAFKA_BROKERS: engines.brokers.join(","),
    },
    isReady: () => allUp(url),
  });
  return { url, running };
}

/** Ready, and every engine reached: a test needs its mechanism. */
async function allUp(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const engines = Object.values(fieldsOf(fieldsOf(await answer.json())["engines"]));
    return answer.status === 200 && engines.every((state) => state === "up");
  } catch {
    // It does not listen yet.
    return false;
  }
}
