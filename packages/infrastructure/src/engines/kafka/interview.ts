// Asks a broker what it is and what it wants, where the client only hears that a connection ended: a
// broker that wants sign-in, an old one and a web server all close it or say nothing.
//
// Two questions on a connection of its own, both of which every Kafka answers before sign-in: which
// requests it speaks (ApiVersions 0), and how people sign in (SaslHandshake 1, refused where they do not).
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV4,
  fetchV13,
  initProducerIdV4,
  listOffsetsV7,
  metadataV12,
  produceV9,
} from "@platformatic/kafka";
import type { Broker } from "@platformatic/kafka";
import { addressOf, saslMechanisms, serverNameOf, tlsOptionsOf } from "./access.ts";
import type { KafkaAccess } from "./access.ts";
import { kafkaReason } from "./words.ts";

const ANSWER_MS_MAX = 2_000;
const ANSWER_BYTES_MAX = 1_048_576;
const HEAD_BYTES = 8;
const API_VERSIONS = 18;
const SASL_HANDSHAKE = 17;
const ILLEGAL_SASL_STATE = 34;

const lacksRequest = (name: string): string => `it has no ${name}`;
const NO_PRODUCE = lacksRequest("Produce");

/** The requests that are sent; each in this version only. */
const needed = Object.entries({
  CreateTopics: createTopicsV7,
  DeleteTopics: deleteTopicsV6,
  DescribeConfigs: describeConfigsV4,
  Fetch: fetchV13,
  InitProducerId: initProducerIdV4,
  ListOffsets: listOffsetsV7,
  Metadata: metadataV12,
  Produce: produceV9,
}).map(([name, { api }]) => ({ name, key: api.key, version: api.version }));

/** What the client says when it was not told why, or not every time. */
const UNTOLD = /Connection closed|timed out|requires TLS/;

/** The reason why none of these brokers can be used, or a better one by asking them. */
export async function explain(
  reason: string,
  brokers: readonly Broker[],
  access: KafkaAccess,
): Promise<string> {
  if (!UNTOLD.test(reason)) return reason;
  for (const broker of brokers) {
    const trouble = await interview(broker, access);
    if (trouble !== null) return `${addressOf(broker)}: ${trouble}`;
  }
  return reason;
}

/** What keeps us from using this broker; null: nothing that these questions can see. */
export async function interview(broker: Broker, access: KafkaAccess): Promise<string | null> {
  const socket = open(broker, access);
  try {
    const missing = missingVersions(await ask(socket, request(API_VERSIONS, 0)));
    if (missing.includes(NO_PRODUCE)) return "a controller answers there, and no broker";
    if (missing.length > 0) return `this Kafka is too old: ${missing.join(", ")}`;
    if (access.sasl !== null) return null;
    const offered = mechanisms(await ask(socket, request(SASL_HANDSHAKE, 1, "PLAIN")));
    if (offered === null) return null;
    const knows = saslMechanisms.some((mechanism) => offered.includes(mechanism));
    const known = knows ? "" : ", none of which is spoken here";
    return `it wants sign-in by SASL, and offers ${offered.join(", ")}${known}`;
  } catch (error) {
    return kafkaReason(error);
  } finally {
    socket.destroy();
  }
}

function open({ host, port }: Broker, access: KafkaAccess): Socket {
  const tls = tlsOptionsOf(access);
  const socket =
    tls === null
      ? connect({ host, port })
      : connectTls({ ...tls, host, port, servername: serverNameOf(host) });
  socket.setTimeout(ANSWER_MS_MAX, () => {
    socket.destroy(new Error(`it does not answer within ${ANSWER_MS_MAX} ms`));
  });
  return socket;
}

/** A request with the first form of header; its number is its key. */
function request(key: number, version: number, text?: string): Buffer {
  const client = Buffer.from("stampede");
  const body = text === undefined ? Buffer.alloc(0) : Buffer.from(`\0\0${text}`);
  if (text !== undefined) body.writeInt16BE(text.length);
  const head = Buffer.alloc(14);
  head.writeInt32BE(10 + client.length + body.length);
  head.writeInt16BE(key, 4);
  head.writeInt16BE(version, 6);
  head.writeInt32BE(key, 8);
  head.writeInt16BE(client.length, 12);
  return Buffer.concat([head, client, body]);
}

/** What stands behind the answer's number. */
async function ask(socket: Socket, question: Buffer): Promise<Buffer> {
  const key = question.readInt16BE(4);
  const chunks: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const hear = (chunk: Buffer): void => {
    chunks.push(chunk);
    const heard = Buffer.concat(chunks);
    if (isTlsRecord(heard)) reject(new Error("it requires TLS"));
    if (heard.length < HEAD_BYTES) return;
    const bytes = heard.readInt32BE();
    if (bytes < 4 || bytes > ANSWER_BYTES_MAX || heard.readInt32BE(4) !== key) {
      reject(new Error(`something else than Kafka answers there: ${visible(heard)}`));
    } else if (heard.length >= bytes + 4) resolve(heard.subarray(HEAD_BYTES, bytes + 4));
  };
  socket.on("data", hear);
  socket.on("error", reject);
  socket.on("close", () => {
    reject(
      new Error(
        chunks.length > 0
          ? `something else than Kafka answers there: ${visible(Buffer.concat(chunks))}`
          : "it ends the connection instead of answering",
      ),
    );
  });
  socket.write(question);
  try {
    return await promise;
  } finally {
    socket.off("data", hear);
  }
}

function isTlsRecord(bytes: Buffer): boolean {
  return (bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 0x03;
}

/** The beginning, as far as it can be shown. */
function visible(bytes: Buffer): string {
  const line =
    bytes
      .subarray(0, 40)
      .toString("latin1")
      .split(/[\r\n]/, 1)[0] ?? "";
  return JSON.stringify(line.replace(/[^\x20-\x7e]/g, "?"));
}

/** ApiVersions 0: error, then key, lowest and highest version of each request. */
function missingVersions(answer: Buffer): readonly string[] {
  const spoken = new Map<number, { readonly min: number; readonly max: number }>();
  for (let n = 0; n < answer.readInt32BE(2); n += 1) {
    const at = 6 + n * 6;
    const bounds = { min: answer.readInt16BE(at + 2), max: answer.readInt16BE(at + 4) };
    spoken.set(answer.readInt16BE(at), bounds);
  }
  return needed.flatMap(({ name, key, version }) => {
    const bounds = spoken.get(key);
    if (bounds === undefined) return [lacksRequest(name)];
    const fits = bounds.min <= version && version <= bounds.max;
    return fits
      ? []
      : [`it speaks ${name} ${bounds.min} to ${bounds.max}, and ${version} is needed`];
  });
}

/** SaslHandshake 1: error, then the mechanisms. Null where nobody signs in. */
function mechanisms(answer: Buffer): readonly string[] | null {
  if (answer.readInt16BE() === ILLEGAL_SASL_STATE) return null;
  const names: string[] = [];
  let at = 6;
  for (let n = 0; n < answer.readInt32BE(2); n += 1) {
    const bytes = answer.readInt16BE(at);
    names.push(answer.toString("utf8", at + 2, at + 2 + bytes));
    at += 2 + bytes;
  }
  return names;
}
