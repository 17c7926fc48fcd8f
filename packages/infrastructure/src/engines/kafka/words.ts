// What went wrong with Kafka, in its own words and in ours.
import { EngineFault } from "@stampede/domain";
import { GenericError, ResponseError } from "@platformatic/kafka";

/** All that the error and its causes say, each once. */
export function kafkaReason(error: unknown): string {
  return [...new Set(kafkaWords(error))].join("; ");
}

function kafkaWords(error: unknown): readonly string[] {
  if (error instanceof EngineFault && error.cause !== undefined) return kafkaWords(error.cause);
  if (error instanceof ResponseError) return error.errors.map((one) => answered(one, error));
  // Of several brokers or addresses each has words of its own.
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.flatMap(kafkaWords);
  if (!(error instanceof Error)) return [String(error)];
  if (brokerErrorId(error) !== null) return [answered(error, null)];
  if (error.cause === undefined) return [plainly(error.message)];
  const about = error.message.replace(/\.$/, "");
  return kafkaWords(error.cause).map((cause) => `${about}: ${cause}`);
}

/** OpenSSL's line has a place in its source, and an end of line. */
function plainly(message: string): string {
  const alert = /:SSL routines:[^:]*:(?<words>[^:]+):/.exec(message)?.groups?.["words"];
  return alert ?? message.trim().replace(/\.$/, "");
}

/** The name of a protocol error; null where the broker did not answer with one. */
export function brokerErrorId(error: unknown): string | null {
  const id: unknown = error instanceof GenericError ? error["apiId"] : null;
  return typeof id === "string" ? id : null;
}

/** Whether a broker said it, and no connection broke: that there is no such topic, for example. */
export function isKafkaAnswer(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isKafkaAnswer);
  return brokerErrorId(error) !== null || (error instanceof Error && isKafkaAnswer(error.cause));
}

function answered(error: unknown, answer: ResponseError | null): string {
  const id = brokerErrorId(error) ?? String(error);
  const said: unknown = error instanceof GenericError ? error["serverErrorMessage"] : null;
  const words = typeof said === "string" && said !== "" ? [id, said] : [id];
  const offered: unknown = answer?.["response"]?.mechanisms;
  if (Array.isArray(offered) && offered.length > 0) words.push(`it offers ${offered.join(", ")}`);
  return words.join(": ");
}

const advices: readonly (readonly [words: RegExp, advice: string])[] = [
  [
    /one of its brokers is/,
    "Start it, or set its advertised.listeners to an address that leads to it from here",
  ],
  [/requires TLS/, "Set KAFKA_TLS=on, or name a port without TLS"],
  [
    /verify the broker supports TLS/,
    "There is no TLS at this port: name the port that has it, or leave KAFKA_TLS out",
  ],
  [
    /self.signed certificate|unable to (?:verify|get)|unable to get local issuer/i,
    "Set KAFKA_CA to a file with the certificate of the authority that signed the broker's",
  ],
  [/altnames|does not match certificate/, "Name the broker as its certificate does"],
  [
    /certificate has expired|not yet valid/,
    "Renew the broker's certificate, or set this machine's clock",
  ],
  [
    /certificate required|handshake failure|bad certificate|unknown ca/i,
    "The broker wants another client certificate: set KAFKA_CERT and KAFKA_KEY",
  ],
  [/SASL_AUTHENTICATION_FAILED/, "Check KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM"],
  [/UNSUPPORTED_SASL_MECHANISM/, "Set KAFKA_SASL_MECHANISM to one that the broker offers"],
  [/ILLEGAL_SASL_STATE/, "There is no sign-in at this port: leave KAFKA_SASL_MECHANISM out"],
  [/none of which is spoken/, "Use a listener that takes PLAIN or SCRAM"],
  [/wants sign-in/, "Set KAFKA_SASL_MECHANISM, KAFKA_USERNAME and KAFKA_PASSWORD"],
  [
    /something else than Kafka|controller answers|ends the connection instead/,
    "Name the port of a Kafka broker in KAFKA_BROKERS",
  ],
  [
    /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/,
    "Set max.message.bytes of the topics, and message.max.bytes of the brokers, to 1048588 or more",
  ],
  [/THROTTLING_QUOTA_EXCEEDED/, "Raise this user's quota, or make fewer events at a time"],
  [/POLICY_VIOLATION/, "Ask whoever runs this Kafka: a rule of theirs forbids it"],
  [/is too old/, "Use Kafka 3.3 or newer"],
  [
    /sends its clients to/,
    "Set advertised.listeners of the broker to an address that leads to it from here",
  ],
  [/ENOTFOUND|EAI_AGAIN/, "Check the name in KAFKA_BROKERS and the resolver of this machine"],
  [/ECONNREFUSED/, "Start Kafka, or correct the port in KAFKA_BROKERS"],
  [
    /timed out|does not answer|EHOSTUNREACH|ENETUNREACH/,
    "Check that this machine may reach Kafka: firewall, security group, network",
  ],
  [/AUTHORIZATION_FAILED/, "Give this user the rights that docs/engines.md lists"],
  [
    /NOT_ENOUGH_REPLICAS/,
    "Bring the other brokers back: fewer replicas are in sync than min.insync.replicas",
  ],
  [
    /INVALID_REPLICATION_FACTOR|INVALID_REPLICA/,
    "Three copies are wanted of a cluster that had three brokers: start them, or name in KAFKA_BROKERS only those that there are",
  ],
];

/** What to change; empty where nothing is known. */
export function kafkaAdvice(reason: string): string {
  return advices.find(([words]) => words.test(reason))?.[1] ?? "";
}

/** A sentence of both. */
export function withKafkaAdvice(reason: string): string {
  const advice = kafkaAdvice(reason);
  return advice === "" ? `${reason}.` : `${reason}. ${advice}.`;
}
