// Kafka's wire protocol, as far as the fault tests need it: they must not ask the client that the
// product uses whether the product is right. One request at a time on a connection of its own; the
// versions are ones that Kafka 4 speaks, and where there is one without tagged fields it is that one.
import { once } from "node:events";
import { connect } from "node:net";

const CLIENT = "fault-tests";
const ANSWER_MS_MAX = 15_000;

export type WireWriter = {
  readonly int8: (value: number) => WireWriter;
  readonly int16: (value: number) => WireWriter;
  readonly int32: (value: number) => WireWriter;
  readonly int64: (value: number) => WireWriter;
  readonly string: (value: string | null) => WireWriter;
  readonly bytes: (value: Buffer) => WireWriter;
  readonly array: <Value>(
    values: readonly Value[],
    write: (writer: WireWriter, value: Value) => void,
  ) => WireWriter;
  readonly raw: (value: Buffer) => WireWriter;
  readonly done: () => Buffer;
};

export function wireWriter(): WireWriter {
  const parts: Buffer[] = [];
  const fixed = (size: number, fill: (buffer: Buffer) => void): WireWriter => {
    const buffer = Buffer.alloc(size);
    fill(buffer);
    parts.push(buffer);
    return writer;
  };
  const writer: WireWriter = {
    int8: (value) => fixed(1, (buffer) => buffer.writeInt8(value)),
    int16: (value) => fixed(2, (buffer) => buffer.writeInt16BE(value)),
    int32: (value) => fixed(4, (buffer) => buffer.writeInt32BE(value)),
    int64: (value) => fixed(8, (buffer) => buffer.writeBigInt64BE(BigInt(value))),
    string(value) {
      if (value === null) return writer.int16(-1);
      const text = Buffer.from(value);
      return writer.int16(text.length).raw(text);
    },
    bytes: (value) => writer.int32(value.length).raw(value),
    array(values, write) {
      writer.int32(values.length);
      for (const value of values) write(writer, value);
      return writer;
    },
    raw(value) {
      parts.push(value);
      return writer;
    },
    done: () => Buffer.concat(parts),
  };
  return writer;
}

export type WireReader = {
  readonly int8: () => number;
  readonly int16: () => number;
  readonly int32: () => number;
  readonly int64: () => number;
  readonly string: () => string | null;
  readonly bytes: () => Buffer;
  readonly array: <Value>(read: () => Value) => Value[];
  readonly varint: () => number;
  readonly unsignedVarint: () => number;
  readonly take: (length: number) => Buffer;
  readonly left: () => number;
};

export function wireReader(buffer: Buffer): WireReader {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > buffer.length) throw new Error(`the answer ends at ${buffer.length}`);
    at += length;
    return buffer.subarray(at - length, at);
  };
  const unsignedVarint = (): number => {
    // In floating point: a length may have more than 31 bits on the way, and never more than 53.
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = take(1)[0]!;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  const reader: WireReader = {
    int8: () => take(1).readInt8(),
    int16: () => take(2).readInt16BE(),
    int32: () => take(4).readInt32BE(),
    int64: () => Number(take(8).readBigInt64BE()),
    string() {
      const length = reader.int16();
      return length < 0 ? null : take(length).toString();
    },
    bytes() {
      const length = reader.int32();
      return length < 0 ? Buffer.alloc(0) : take(length);
    },
    array: (read) => Array.from({ length: Math.max(0, reader.int32()) }, read),
    varint() {
      const zigzag = unsignedVarint();
      return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    },
    unsignedVarint,
    take,
    left: () => buffer.length - at,
  };
  return reader;
}

export type WireRequest = {
  readonly api: number;
  readonly version: number;
  readonly body: Buffer;
  /** The request and its answer carry tagged fields in their heads. */
  readonly flexible?: boolean;
};

/** Sends one request to "host:port" and gives its answer's body. */
export async function ask(broker: string, request: WireRequest): Promise<WireReader> {
  const { api, version, body, flexible = false } = request;
  const head = wireWriter().int16(api).int16(version).int32(1).string(CLIENT);
  if (flexible) head.int8(0);
  const message = Buffer.concat([head.done(), body]);
  const [host = "", port] = broker.split(":");
  const socket = connect({ host, port: Number(port) });
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  try {
    await once(socket, "connect", { signal });
    socket.write(wireWriter().bytes(message).done());
    let received = Buffer.alloc(0);
    while (received.length < 4 || received.length < 4 + received.readInt32BE()) {
      const [chunk] = await once(socket, "data", { signal });
      received = Buffer.concat([received, chunk]);
    }
    const reader = wireReader(received.subarray(4));
    reader.int32();
    if (flexible) reader.int8();
    return reader;
  } finally {
    socket.destroy();
  }
}

/** Fails with the protocol's number of an error, such as 3 for a topic that does not exist. */
export function noError(code: number, doing: string): void {
  if (code !== 0) throw new WireError(code, doing);
}

export class WireError extends Error {
  override readonly name = "WireError";
  readonly code: number;

  constructor(code: number, doing: string) {
    super(`${doing}: Kafka answered with error ${code}`);
    this.code = code;
  }
}
