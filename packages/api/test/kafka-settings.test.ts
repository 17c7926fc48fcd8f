import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { rootCertificates } from "node:tls";
import { readConfig } from "../src/config.ts";

const environment = { DATABASE_URL: "postgres://localhost/stampede", KAFKA_BROKERS: "a:9092" };
const signIn = { KAFKA_SASL_MECHANISM: "SCRAM-SHA-256", KAFKA_USERNAME: "ana" };

describe("KAFKA_BROKERS", () => {
  test("takes names, IPv4 and IPv6 addresses", () => {
    const text = "kafka-1.shop:9092, 10.0.0.1:1 ,[::1]:65535";
    const reading = readConfig({ ...environment, KAFKA_BROKERS: text });
    assert.ok(reading.ok);
    const brokers = ["kafka-1.shop:9092", "10.0.0.1:1", "[::1]:65535"];
    assert.deepEqual(reading.config.kafkaBrokers, brokers);
    assert.deepEqual(reading.config.kafkaAccess, { sasl: null, tls: null });
  });

  const refused: readonly (readonly [brokers: string, fault: RegExp])[] = [
    ["a", /must be host:port, an IPv6 address as \[::1\]:9092, .* not "a"$/],
    ["a:", /must be host:port/],
    [":9092", /must be host:port/],
    ["a b:9092", /must be host:port/],
    ["::1:9092", /an IPv6 address as \[::1\]:9092/],
    ["a:0", /must have ports from 1 to 65535, not 0$/],
    ["a:65536", /must have ports from 1 to 65535, not 65536$/],
    ["a:9092,", /has a comma too many/],
    ["a:9092,,b:9092", /has a comma too many/],
    ["a:9092;b:9092", /must be host:port/],
    ["a:9092, a:9092", /names a:9092 twice$/],
    ["SASL_SSL://a:9092", /host:port without what stands before :\/\/, not "SASL_SSL:\/\/a:9092"$/],
    ["ana:secret@a:9092", /must be host:port/],
  ];
  for (const [brokers, fault] of refused) {
    test(`does not take ${brokers}`, () => {
      assert.deepEqual(
        faultsOf({ KAFKA_BROKERS: brokers }).map((text) => fault.test(text)),
        [true],
      );
    });
  }
});

describe("the way to Kafka", () => {
  test("is sign-in and TLS together", (t) => {
    const ca = rootCertificates[0] ?? "";
    const KAFKA_CA = fileWith(t, ca);
    const reading = readConfig({
      ...environment,
      ...signIn,
      KAFKA_PASSWORD: "a secret: with =;, in it",
      KAFKA_TLS: "on",
      KAFKA_CA,
    });
    assert.ok(reading.ok);
    assert.deepEqual(reading.config.kafkaAccess, {
      sasl: { mechanism: "SCRAM-SHA-256", username: "ana", password: "a secret: with =;, in it" },
      tls: { ca, client: null },
    });
  });

  const refused: readonly (readonly [
    what: string,
    settings: Readonly<Record<string, string>>,
    ...faults: readonly RegExp[],
  ])[] = [
    ["sign-in without a password", signIn, /^KAFKA_PASSWORD is not set/],
    [
      "sign-in without a user",
      { ...signIn, KAFKA_USERNAME: "", KAFKA_PASSWORD: "x" },
      /^KAFKA_USERNAME is not set/,
    ],
    [
      "a user without a way to sign in",
      { KAFKA_USERNAME: "ana", KAFKA_PASSWORD: "x" },
      /^KAFKA_SASL_MECHANISM is not set: .*PLAIN, SCRAM-SHA-256, SCRAM-SHA-512$/,
    ],
    [
      "another mechanism",
      { ...signIn, KAFKA_SASL_MECHANISM: "GSSAPI", KAFKA_PASSWORD: "x" },
      /^KAFKA_SASL_MECHANISM must be one of PLAIN/,
    ],
    ["TLS that is neither on nor off", { KAFKA_TLS: "yes" }, /^KAFKA_TLS must be on or off$/],
    [
      "files without TLS",
      { KAFKA_CA: "ca.pem", KAFKA_CERT: "a", KAFKA_KEY: "b" },
      /^KAFKA_CA is set, and KAFKA_TLS is not on$/,
      /^KAFKA_CERT is set/,
      /^KAFKA_KEY is set/,
    ],
    [
      "a file that is not there",
      { KAFKA_TLS: "on", KAFKA_CA: "/nowhere/ca.pem" },
      /^KAFKA_CA: \/nowhere\/ca\.pem: cannot be read \(ENOENT\)$/,
    ],
    [
      "ways to a Kafka that is off",
      { KAFKA_BROKERS: "", KAFKA_TLS: "on" },
      /^KAFKA_BROKERS is not set, although/,
    ],
  ];
  for (const [what, settings, ...faults] of refused) {
    test(`is not ${what}`, () => {
      const told = faultsOf(settings);
      assert.equal(told.length, faults.length, told.join("\n"));
      faults.forEach((fault, n) => assert.match(told[n] ?? "", fault));
    });
  }

  test("is no file without a certificate, and no certificate with the key of another", (t) => {
    const certificate = fileWith(t, rootCertificates[0] ?? "");
    const { privateKey } = generateKeyPairSync("ed25519");
    const key = fileWith(t, privateKey.export({ format: "pem", type: "pkcs8" }));
    const cipher = { cipher: "aes-256-cbc", passphrase: "x" };
    const sealed = privateKey.export({ format: "pem", type: "pkcs8", ...cipher });
    const on = { KAFKA_TLS: "on" };
    assert.match(faultsOf({ ...on, KAFKA_CA: key }).join(), /holds no certificate in PEM form$/);
    assert.match(faultsOf({ ...on, KAFKA_CERT: certificate }).join(), /go together/);
    const pair = { ...on, KAFKA_CERT: certificate };
    assert.match(faultsOf({ ...pair, KAFKA_KEY: key }).join(), /the key is not the certificate's/);
    assert.match(
      faultsOf({ ...pair, KAFKA_KEY: fileWith(t, sealed) }).join(),
      /wants a passphrase/,
    );
  });
});

function faultsOf(settings: Readonly<Record<string, string>>): readonly string[] {
  const reading = readConfig({ ...environment, ...settings });
  return reading.ok ? [] : reading.faults;
}

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-kafka-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "file.pem");
  writeFileSync(path, text);
  return path;
}
