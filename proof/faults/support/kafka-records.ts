// Kafka's record batches (format 2, uncompressed) as a foreign program writes and reads them.
import { wireReader, wireWriter } from "./kafka-wire.ts";
import type { WireReader } from "./kafka-wire.ts";

export type RawRecord = { readonly key: Buffer | null; readonly value: Buffer | null };

export type StoredRecord = RawRecord & { readonly offset: number };

const HEAD_BYTES = 21;
const NO_PRODUCER = -1;
const FORMAT = 2;
const COMPRESSION_BITS = 7;
/** Castagnoli's polynomial, its bits reversed. */
const CRC_POLYNOMIAL = 0x82f63b78;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = (value & 1) === 1 ? (value >>> 1) ^ CRC_POLYNOMIAL : value >>> 1;
  }
  return value;
});

/** One batch, from no producer that the broker would know again. */
export function encodeRecords(records: readonly RawRecord[]): Buffer {
  const now = Date.now();
  const tail = wireWriter()
    .int16(0)
    .int32(records.length - 1)
    .int64(now)
    .int64(now)
    .int64(NO_PRODUCER)
    .int16(NO_PRODUCER)
    .int32(NO_PRODUCER)
    .int32(records.length)
    .raw(Buffer.concat(records.map(encodeRecord)))
    .done();
  const fromEpoch = wireWriter()
    .int32(-1)
    .int8(FORMAT)
    .int32(crc32c(tail) | 0)
    .raw(tail)
    .done();
  return wireWriter().int64(0).int32(fromEpoch.length).raw(fromEpoch).done();
}

function encodeRecord({ key, value }: RawRecord, index: number): Buffer {
  const field = (bytes: Buffer | null): Buffer =>
    bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
  const attributes = Buffer.alloc(1);
  const parts = [attributes, varint(0), varint(index), field(key), field(value), varint(0)];
  const body = Buffer.concat(parts);
  return Buffer.concat([varint(body.length), body]);
}

/** All whole batches of a fetch; a broker may cut off the last one. */
export function decodeRecords(bytes: Buffer): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let at = 0; at + HEAD_BYTES < bytes.length;) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const reader = wireReader(bytes.subarray(at, end));
    const first = reader.int64();
    reader.take(4 + 4 + 1 + 4);
    const attributes = reader.int16();
    if ((attributes & COMPRESSION_BITS) !== 0) throw new Error(`batch ${first} is compressed`);
    reader.take(4 + 8 + 8 + 8 + 2 + 4);
    for (const record of reader.array(() => decodeRecord(reader))) {
      records.push({ ...record, offset: first + record.offset });
    }
    at = end;
  }
  return records;
}

function decodeRecord(reader: WireReader): StoredRecord {
  const body = wireReader(reader.take(reader.varint()));
  body.int8();
  body.varint();
  const offset = body.varint();
  const field = (): Buffer | null => {
    const length = body.varint();
    return length < 0 ? null : body.take(length);
  };
  return { offset, key: field(), value: field() };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value < 0 ? -value * 2 - 1 : value * 2;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc;
}
