// Every way to a Kafka of somebody else, and everything for which it cannot be used, with its words.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { missing } from "@stampede/launcher/testing";
import { openAccess } from "../../../src/engines/kafka/access.ts";
import type { KafkaAccess } from "../../../src/engines/kafka/access.ts";
import { readLog } from "../../support/kafka-queue.ts";
import { batchOf, claimAndRead, nameOf, open, ownKafkaOfSuite } from "./foreign-kafka.ts";
import { missingOpenssl, signedInAs } from "./own-kafka.ts";

describe("a Kafka of somebody else", { skip: missing("kafka") || missingOpenssl() }, () => {
  const own = ownKafkaOfSuite(["clerk"]);
  const tls = (): NonNullable<KafkaAccess["tls"]> => ({ ca: own().pem.ca, client: null });

  const ways: readonly (readonly [way: string, () => readonly [string, KafkaAccess]])[] = [
    ["PLAIN", () => [own().brokers.sasl, signedInAs("admin", "PLAIN")]],
    ["SCRAM-SHA-256", () => [own().brokers.sasl, signedInAs("admin")]],
    ["SCRAM-SHA-512", () => [own().brokers.sasl, signedInAs("admin", "SCRAM-SHA-512")]],
    ["TLS with an authority of its own", () => [own().brokers.tls, { sasl: null, tls: tls() }]],
    [
      "TLS by a name",
      () => [own().brokers.tls.replace("127.0.0.1", "localhost"), { sasl: null, tls: tls() }],
    ],
    [
      "TLS with a client certificate",
      () => [own().brokers.mtls, { sasl: null, tls: { ...tls(), client: own().pem } }],
    ],
    [
      "SCRAM over TLS",
      () => [own().brokers.sasltls, { ...signedInAs("admin", "SCRAM-SHA-512"), tls: tls() }],
    ],
    ["IPv6", () => [own().brokers.six, openAccess]],
  ];
  for (const [way, how] of ways) {
    // Red when one of the connections (to ask, to append, to read) does not sign in.
    test(`is claimed from by ${way}`, async (t) => {
      const { kafka, told } = await open(t, ...how());
      assert.deepEqual(told.errors, []);
      assert.equal(kafka.isUp(), true);
      await claimAndRead(kafka, 3);
    });
  }

  test("is claimed from while its sessions end and are begun anew", async (t) => {
    const { kafka, told } = await open(t, own().brokers.session, signedInAs("admin"));
    const log = await kafka.createLog(nameOf());
    const writer = kafka.openWriter(log.topic, () => undefined);
    // Three sessions of a second and a half.
    for (let n = 0; n < 50; n += 1) {
      assert.equal(await writer.append(batchOf(n)), n);
      await pause(90);
    }
    assert.equal((await readLog(kafka, log)).length, 50);
    assert.deepEqual(told.errors, []);
  });

  const refusals: readonly (readonly [
    what: string,
    how: () => readonly [string, KafkaAccess],
    words: RegExp,
  ])[] = [
    [
      "that wants sign-in",
      () => [own().brokers.sasl, openAccess],
      /wants sign-in by SASL, and offers PLAIN, SCRAM-SHA-\d+, SCRAM-SHA-\d+\. Set KAFKA_SASL/,
    ],
    [
      "that is a controller",
      () => [own().brokers.controller, openAccess],
      /a controller answers there, and no broker\. Name the port of a Kafka broker/,
    ],
    [
      "that does not know the password",
      () => [own().brokers.sasl, signedInAs("admin", "SCRAM-SHA-256", "wrong")],
      /SASL_AUTHENTICATION_FAILED: .*invalid credentials.*Check KAFKA_USERNAME, KAFKA_PASSWORD/,
    ],
    [
      "that offers another mechanism",
      () => [own().brokers.scram, signedInAs("admin")],
      /UNSUPPORTED_SASL_MECHANISM: it offers SCRAM-SHA-512/,
    ],
    [
      "that knows no sign-in",
      () => [own().brokers.plain, signedInAs("admin")],
      /ILLEGAL_SASL_STATE\. There is no sign-in at this port/,
    ],
    [
      "that speaks TLS only",
      () => [own().brokers.tls, openAccess],
      /: it requires TLS\. Set KAFKA_TLS=on/,
    ],
    [
      "that wants sign-in over TLS",
      () => [own().brokers.sasltls, openAccess],
      /: it requires TLS\. Set KAFKA_TLS=on/,
    ],
    [
      "that speaks no TLS",
      () => [own().brokers.plain, { sasl: null, tls: tls() }],
      /TLS handshake failed.*There is no TLS at this port/,
    ],
    [
      "whose authority is not known",
      () => [own().brokers.tls, { sasl: null, tls: { ca: null, client: null } }],
      /unable to verify the first certificate.*Set KAFKA_CA/,
    ],
    [
      "that wants a client certificate",
      () => [own().brokers.mtls, { sasl: null, tls: tls() }],
      /: (?:ssl\/tls|tlsv13) alert (?:bad certificate|certificate required)\. .*set KAFKA_CERT/,
    ],
    [
      "whose name is not known",
      () => ["broker.invalid:9092", openAccess],
      /ENOTFOUND broker\.invalid\. Check the name in KAFKA_BROKERS/,
    ],
    ["that is not there", () => ["127.0.0.1:1", openAccess], /ECONNREFUSED 127\.0\.0\.1:1\. Start/],
    [
      "whose advertised address leads nowhere",
      () => [own().brokers.lost, openAccess],
      /sends its clients to 127\.0\.0\.1:1, which cannot be reached: .*ECONNREFUSED.*advertised/,
    ],
    [
      "that allows this user nothing",
      () => [own().brokers.sasl, signedInAs("clerk")],
      /not the right Write .* nor Read .* nor Create .* nor DescribeConfigs .* nor Delete .*docs\/engines\.md/,
    ],
  ];
  for (const [what, how, words] of refusals) {
    test(`${what} is down, and the reason is told once`, async (t) => {
      const { kafka, told } = await open(t, ...how());
      assert.equal(kafka.isUp(), false);
      await kafka.probe();
      await kafka.probe();
      assert.equal(told.errors.length, 1, told.errors.join("\n"));
      assert.match(told.errors[0] ?? "", /^Kafka cannot be used, and v3 takes no claims: /);
      assert.match(told.errors[0] ?? "", words);
      assert.ok(!told.errors.join().includes("wrong"), "the password is in no line");
    });
  }
});

describe("a port that is no Kafka's", () => {
  const strangers: readonly (readonly [who: string, answer: (socket: Socket) => void, RegExp])[] = [
    [
      "a web server",
      (socket) => socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      /something else than Kafka answers there: "HTTP\/1\.1 400 Bad Request"\. Name the port/,
    ],
    [
      "a silent one",
      () => undefined,
      /does not answer within 2000 ms\. Check that this machine may/,
    ],
    [
      "a Kafka that takes tokens only",
      (socket) => socket.on("data", (question: Buffer) => answerAsTokenKafka(socket, question)),
      /offers OAUTHBEARER, none of which is spoken here\. Use a listener that takes PLAIN or SCRAM/,
    ],
    [
      "an old Kafka, which ends the connection and tells its versions when it is asked for them",
      (socket) => socket.on("data", (question: Buffer) => answerAsOldKafka(socket, question)),
      /this Kafka is too old: .*it speaks Metadata 0 to 9, and 12 is needed.*Use Kafka 3\.3/,
    ],
  ];
  for (const [who, answer, words] of strangers) {
    test(`is told as that of ${who}`, async (t) => {
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        answer(socket);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const { kafka, told } = await open(t, `127.0.0.1:${port}`, openAccess);
      assert.equal(kafka.isUp(), false);
      assert.match(told.errors.join("\n"), words);
    });
  }
});

/** As Kafka 2.5 does: only ApiVersions is answered, with what it spoke. */
function answerAsOldKafka(socket: Socket, question: Buffer): void {
  if (question.readInt16BE(4) !== API_VERSIONS) socket.destroy();
  else socket.write(spoken(question, [8, 11, 5, 9, 5, 4, 3, 2]));
}

/** As a Kafka whose only listener takes tokens: it answers before sign-in what every Kafka does. */
function answerAsTokenKafka(socket: Socket, question: Buffer): void {
  const key = question.readInt16BE(4);
  if (key === API_VERSIONS) socket.write(spoken(question, [12, 17, 10, 13, 7, 6, 5, 4]));
  else if (key === SASL_HANDSHAKE) {
    const UNSUPPORTED = "\0\u0021";
    socket.write(answerTo(question, Buffer.from(`${UNSUPPORTED}\0\0\0\u0001\0\u000bOAUTHBEARER`)));
  } else socket.destroy();
}

const API_VERSIONS = 18;
const SASL_HANDSHAKE = 17;

/** Of Produce, Fetch, ListOffsets, Metadata, topics made and deleted, InitProducerId, DescribeConfigs. */
function spoken(question: Buffer, versions: readonly number[]): Buffer {
  const keys = [0, 1, 2, 3, 19, 20, 22, 32];
  const body = Buffer.alloc(6 + keys.length * 6);
  body.writeInt32BE(keys.length, 2);
  keys
    .flatMap((key, n) => [key, 0, versions[n] ?? 0])
    .forEach((number, n) => body.writeInt16BE(number, 6 + n * 2));
  return answerTo(question, body);
}

function answerTo(question: Buffer, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length);
  head.writeInt32BE(question.readInt32BE(8), 4);
  return Buffer.concat([head, body]);
}
