// Kafka's protocol, as far as the proxy needs it: a frame is its length and its content; a request
// begins with its api key, version and correlation id, a response with the correlation id alone.
//
// A broker tells its clients under which address it is to be reached, and they leave the proxy for
// it. So the reader writes the proxy's port over the broker's in every answer to Metadata: as long as
// the old one, hence nothing else in the frame moves, and a broker that others use serves as well.
import { frameSplitter } from "@stampede/launcher/testing";
import type { OpenReader, Ports } from "@stampede/launcher/testing";

const PRODUCE = 0;
const METADATA = 3;
const LENGTH_BYTES = 4;
/** Length, api key, version, correlation id. */
const REQUEST_HEAD_BYTES = 12;
const HOST = "127.0.0.1";

/** Counts the replies to Produce. */
export function readProduces(): OpenReader {
  return (ports) => {
    const splitRequests = frameSplitter(lengthOf);
    const splitReplies = frameSplitter(lengthOf);
    const asked = new Map<number, number>();
    return {
      request(chunk) {
        for (const frame of splitRequests(chunk)) {
          if (frame.length < REQUEST_HEAD_BYTES) continue;
          asked.set(frame.readInt32BE(8), frame.readInt16BE(LENGTH_BYTES));
        }
      },
      reply: (chunk) =>
        splitReplies(chunk).map((frame) => {
          const correlation = frame.readInt32BE(LENGTH_BYTES);
          const apiKey = asked.get(correlation);
          asked.delete(correlation);
          const bytes = apiKey === METADATA ? withProxyPort(frame, ports) : frame;
          return { bytes, counts: apiKey === PRODUCE };
        }),
    };
  };
}

function lengthOf(bytes: Buffer): number | null {
  return bytes.length < LENGTH_BYTES ? null : LENGTH_BYTES + bytes.readInt32BE(0);
}

/** An address in a response is the host, after its length, and four bytes of port. */
function withProxyPort(frame: Buffer, { engine, proxy }: Ports): Buffer {
  const changed = Buffer.from(frame);
  const [from, to] = [address(engine), address(proxy)];
  for (let at = changed.indexOf(from); at !== -1; at = changed.indexOf(from)) to.copy(changed, at);
  return changed;
}

function address(port: number): Buffer {
  const bytes = Buffer.alloc(HOST.length + 4);
  bytes.write(HOST, "latin1");
  bytes.writeInt32BE(port, HOST.length);
  return bytes;
}
