// One command to a Redis, past the service: what the tests' workspace needs of a client is this little.
import { connect } from "node:net";

const ANSWER_MS_MAX = 5_000;

export type RedisReply = string | number | null | readonly RedisReply[];

/** Runs one command and gives its reply; rejects with what Redis says against it. */
export async function redisCommand(
  url: string,
  ...command: readonly string[]
): Promise<RedisReply> {
  const { hostname, port, password } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error("Redis does not answer")));
  const commands = password === "" ? [command] : [["AUTH", password], command];
  socket.write(commands.map(encode).join(""));
  let text = "";
  try {
    for await (const chunk of socket.setEncoding("latin1")) {
      text += chunk as string;
      const replies = readAll(text);
      if (replies.length < commands.length) continue;
      const refused = replies.find((reply) => reply instanceof Error);
      if (refused !== undefined) throw refused;
      return replies.at(-1) as RedisReply;
    }
    throw new Error(`Redis closed the connection on ${command[0]}`);
  } finally {
    socket.destroy();
  }
}

function encode(command: readonly string[]): string {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return `*${command.length}\r\n${parts.join("")}`;
}

type Read = { readonly value: RedisReply | Error; readonly next: number };

/** The whole replies at the start of the text. */
function readAll(text: string): (RedisReply | Error)[] {
  const replies: (RedisReply | Error)[] = [];
  for (let read = readOne(text, 0); read !== null; read = readOne(text, read.next)) {
    replies.push(read.value);
  }
  return replies;
}

/** The reply that starts at `from`; null while its end has not come. */
function readOne(text: string, from: number): Read | null {
  const end = text.indexOf("\r\n", from);
  if (end === -1) return null;
  const [kind, rest] = [text[from], text.slice(from + 1, end)];
  const next = end + 2;
  if (kind === "+") return { value: rest, next };
  if (kind === "-") return { value: new Error(rest), next };
  if (kind === ":") return { value: Number(rest), next };
  const size = Number(rest);
  if (size === -1) return { value: null, next };
  if (kind === "$") {
    const last = next + size;
    return text.length < last + 2 ? null : { value: text.slice(next, last), next: last + 2 };
  }
  return readList(text, next, size);
}

function readList(text: string, from: number, size: number): Read | null {
  const values: RedisReply[] = [];
  let next = from;
  while (values.length < size) {
    const item = readOne(text, next);
    if (item === null) return null;
    if (item.value instanceof Error) return item;
    values.push(item.value);
    ({ next } = item);
  }
  return { value: values, next };
}

/** All that Redis holds of an event. */
export async function keysOf(url: string, eventId: string): Promise<readonly string[]> {
  const keys = await redisCommand(url, "KEYS", `stampede:{${eventId}}:*`);
  if (!Array.isArray(keys)) throw new Error("KEYS answers a list");
  return keys.map(String);
}
