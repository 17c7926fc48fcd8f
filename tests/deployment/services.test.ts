// What every service of a deployment has to keep; each rule is first seen to fail.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { serverNodeFlags } from "@stampede/launcher";
import { composeOf, root } from "./compose-model.ts";
import type { Deployment } from "./compose-model.ts";
import {
  dependencies,
  hardened,
  healthChecks,
  healthPastProxies,
  limits,
  literalSecrets,
  memoryHolds,
  mountedPaths,
  pinnedImages,
  portsOnce,
  portsOnLoopback,
  restartPolicies,
  rules,
  secretVolumes,
} from "./compose-rules.ts";
import type { Rule } from "./compose-rules.ts";
import { breaks, planted } from "./planting.ts";

const deployments = {
  "compose.yaml": composeOf(["compose.yaml"]),
  "compose.yaml with compose.cluster.yaml": composeOf(["compose.yaml", "compose.cluster.yaml"]),
};
const exists = (path: string): boolean => existsSync(join(root, path));

describe("a service", () => {
  const plantings: readonly (readonly [string, Rule, Deployment, RegExp])[] = [
    [
      "an image without a version",
      pinnedImages,
      planted("stampede-redis:0.1.0", "stampede-redis"),
      /redis/,
    ],
    [
      "an image of today",
      pinnedImages,
      planted("danielqsj/kafka-exporter:v1.9.0", "prom/x:latest"),
      /x/,
    ],
    [
      "half a health check",
      healthChecks,
      planted("      interval: 10s\n", ""),
      /app: it has no health check/,
    ],
    [
      "a health check that a proxy answers",
      healthPastProxies,
      planted("http_proxy= wget", "wget"),
      /health check asks a proxy/,
    ],
    [
      "a health check of Node's that a proxy answers",
      healthPastProxies,
      planted("process.env.no_proxy = '127.0.0.1'; ", ""),
      /app: its health check asks a proxy/,
    ],
    ["no restart policy", restartPolicies, planted("restart: unless-stopped", "tty: false"), /app/],
    [
      "no limit on memory",
      limits,
      planted('memory: "${APP_MEMORY:-2G}", ', ""),
      /app: it has no limit on memory/,
    ],
    [
      "a limit that the kernel kills at before the heap is full",
      memoryHolds(serverNodeFlags),
      planted("${APP_MEMORY:-2G}", "1536M"),
      /app: its limit of 1536M is below the 1920 MB/,
    ],
    ["a log without end", limits, planted("max-size: 10m, ", ""), /its log has no limit/],
    ["a writable root", hardened, planted("read_only: true", "tty: true"), /its root is writable/],
    ["capabilities", hardened, planted("cap_drop: [ALL]", "cap_drop: [KILL]"), /capabilities/],
    ["a way to more rights", hardened, planted("no-new-privileges:true", "x:y"), /privileges/],
    [
      "a port for everybody",
      portsOnLoopback,
      planted("127.0.0.1:${GRAFANA_PORT", "${GRAFANA_PORT"),
      /grafana: .* is open to other machines/,
    ],
    [
      "a port that is taken",
      portsOnce,
      planted("${GRAFANA_PORT:-3001}", "${PROMETHEUS_PORT:-9090}"),
      /published twice/,
    ],
    [
      "a dependency that is no service",
      dependencies,
      planted("redis: { condition: service_healthy }", "rediss: { condition: service_healthy }"),
      /app: it depends on rediss/,
    ],
    [
      "a dependency that is not waited for",
      dependencies,
      planted("app: { condition: service_healthy }", "app: { condition: service_started }"),
      /demo: it does not wait for app/,
    ],
    [
      "a mounted file that is not there",
      mountedPaths(exists),
      planted("./deploy/jwt", "./deploy/jot"),
      /app: .* does not exist/,
    ],
    [
      "a mounted file that it may change",
      mountedPaths(exists),
      planted("/etc/stampede/jwt:ro", "/etc/stampede/jwt"),
      /app: .* is mounted writable/,
    ],
    [
      "a volume that nobody declares",
      mountedPaths(exists),
      planted("- redis-data:/data", "- radish-data:/data"),
      /the volume radish-data is not declared/,
    ],
    [
      "a secret that stands in the file",
      literalSecrets,
      planted("__FILE: /secrets/grafana/password", ": admin"),
      /grafana: GF_SECURITY_ADMIN_PASSWORD/,
    ],
    [
      "a secret in its environment, where docker inspect shows it",
      literalSecrets,
      planted("ADMIN_TOKEN_FILE: /secrets/admin/token", "ADMIN_TOKEN: ${ADMIN_TOKEN:-}"),
      /app: ADMIN_TOKEN/,
    ],
    [
      "a secret with a default",
      literalSecrets,
      planted("${REDIS_PASSWORD:-}", "${REDIS_PASSWORD:-redis}"),
      /secrets: REDIS_PASSWORD/,
    ],
    [
      "a password in a URL",
      literalSecrets,
      planted("redis://redis:6379", "redis://:secret@redis:6379"),
      /app: a URL holds a password/,
    ],
    [
      "a password in a flag",
      literalSecrets,
      planted('--requirepass "$$(cat /secrets/redis/password)"', "--requirepass secret"),
      /redis: a flag holds a password/,
    ],
    [
      "a secret that it does not need",
      secretVolumes,
      planted('secret-exporter:/secrets/exporter:ro"]', 'secret-admin:/secrets/admin:ro"]'),
      /postgres-exporter: it sees the secret admin for nothing/,
    ],
    [
      "a secret that it could change",
      secretVolumes,
      planted("secret-redis:/secrets/redis:ro", "secret-redis:/secrets/redis"),
      /app: secret-redis is mounted writable/,
    ],
    [
      "a secret that is not there yet",
      secretVolumes,
      planted(
        "      secrets: { condition: service_completed_successfully, restart: true }\n      postgres",
        "      postgres",
      ),
      /app: it does not wait for its secrets/,
    ],
  ];
  for (const [what, rule, bad, expected] of plantings) {
    test(`may not have ${what}`, () => {
      breaks(rule(bad), expected);
    });
  }

  for (const [name, deployment] of Object.entries(deployments)) {
    test(`keeps every rule in ${name}`, () => {
      const all = [...rules, mountedPaths(exists), memoryHolds(serverNodeFlags)];
      assert.deepEqual(
        all.flatMap((rule) => rule(deployment)),
        [],
      );
    });
  }
});
