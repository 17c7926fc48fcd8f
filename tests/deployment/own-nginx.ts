import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "@stampede/launcher";
import { readFile } from "./compose-model.ts";
import {
  findProgram,
  missingProgram,
  ownFolder,
  replacedExactly,
  start,
  type Cleanup,
} from "./processes.ts";

/** For `skip`. */
export const nginxMissing: string | false = missingProgram(
  "nginx",
  "install nginx (Debian: apt-get install nginx-light)",
);

/**
 * nginx on deploy/nginx/nginx.conf, started as compose.cluster.yaml starts it. Only addresses differ:
 * its own port, and where the two processes are.
 */
export async function startNginx(
  t: Cleanup,
  doors: { readonly app: string; readonly api2: string },
  {
    change = (text) => text,
    local = {},
  }: {
    /** For seeing a test fail, and for limits that a test can reach. */
    readonly change?: (text: string) => string;
    /** What somebody has put into deploy/nginx/local, by name. */
    readonly local?: Readonly<Record<string, string>>;
  } = {},
): Promise<string> {
  const folder = ownFolder(t);
  mkdirSync(join(folder, "local"));
  for (const [name, content] of Object.entries(local)) {
    writeFileSync(join(folder, "local", name), content);
  }
  const port = await freePort();
  const text = replacedExactly(readFile("deploy/nginx/nginx.conf"), [
    ["listen 8080 ", `listen 127.0.0.1:${port} `, 1],
    ["server app:3000 ", `server ${doors.app} `, 1],
    ["server api-2:3000 ", `server ${doors.api2} `, 1],
  ]);
  const path = join(folder, "nginx.conf");
  writeFileSync(path, change(text));
  await start(t, {
    title: "nginx",
    command: findProgram("nginx") ?? "nginx",
    args: ["-p", `${folder}/`, "-c", path, "-e", "stderr"],
    folder,
    environment: {},
    isReady: () => listens(port),
  });
  return `http://127.0.0.1:${port}`;
}

/** Not by a request: nginx would count a process that does not answer yet as a failure. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const answer = (open: boolean) => (): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", answer(true)).once("error", answer(false));
  });
}
