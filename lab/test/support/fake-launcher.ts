// Stands in for `npm start`: writes what a launcher writes once it is ready, answers /healthz, ends
// on SIGINT. Arguments: what to do ("serve" or "fail"), then `--data FOLDER`.
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const [kind, , folder = ""] = process.argv.slice(2);
const { PORT, DATABASE_URL = null } = process.env;

if (kind === "fail") {
  console.log("Kafka needs Java 17: install it.");
  process.exit(1);
}
const server = createServer((_request, response) => response.end("{}"));
server.listen(Number(PORT), "127.0.0.1", () => {
  mkdirSync(folder, { recursive: true });
  const url = `http://127.0.0.1:${PORT}`;
  const write = (name: string, value: unknown): void => {
    writeFileSync(join(folder, name), JSON.stringify(value), { mode: 0o600 });
  };
  // A shell's DATABASE_URL must not reach a private program, or it would rush a real database.
  const databaseUrl = DATABASE_URL ?? "postgres://private";
  write("engines.json", { databaseUrl, pids: { launcher: process.pid, server: process.pid } });
  write("server.json", { url, adminToken: "token", pid: process.pid });
});
