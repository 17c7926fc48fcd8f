/** One line of JMeter's results (a JTL file in CSV): one request of one person. */
export type Sample = {
  /** The sampler's name in the plan. */
  readonly label: "Arrive" | "Claim" | "Status";
  readonly person: string;
  /** When it was sent, epoch milliseconds: JMeter's clock knows no less. */
  readonly sentMs: number;
  readonly elapsedMs: number;
  /** Null where there was no answer; then `fault` holds JMeter's words. */
  readonly status: number | null;
  readonly fault: string | null;
  readonly body: string;
  readonly url: string;
  /** What opening a connection took; 0 where the one from arriving was used. */
  readonly connectMs: number;
  /** Whether the plan's assertions held. */
  readonly success: boolean;
  readonly failureMessage: string;
};

const columns = [
  "timeStamp",
  "elapsed",
  "label",
  "responseCode",
  "success",
  "failureMessage",
  "URL",
  "Connect",
  "person",
  "body",
] as const;

type Column = (typeof columns)[number];

/** Reads a whole JTL; throws on one that is not of this plan. Lines stand in order of completion. */
export function readJtl(text: string): Sample[] {
  const [head, ...lines] = csvRecords(text);
  if (head === undefined) throw new Error("The JTL is empty: JMeter made no request.");
  const missing = columns.filter((name) => !head.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `The JTL has no column ${missing.join(", ")}: it was not made through lab/jmeter/pom.xml.`,
    );
  }
  const at = new Map(head.map((name, index) => [name, index]));
  return lines.map((fields, index) => {
    if (fields.length !== head.length) {
      throw new Error(
        `Record ${index + 1} of the JTL has ${fields.length} of ${head.length} fields.`,
      );
    }
    return sampleOf((name) => fields[at.get(name) ?? -1] ?? "");
  });
}

function sampleOf(field: (name: Column) => string): Sample {
  const label = field("label");
  if (label !== "Arrive" && label !== "Claim" && label !== "Status") {
    throw new Error(`The JTL has a sample "${label}", which is not of lab/jmeter/stampede.jmx.`);
  }
  const code = field("responseCode");
  const status = /^\d{3}$/.test(code) ? Number(code) : null;
  return {
    label,
    person: field("person"),
    sentMs: Number(field("timeStamp")),
    elapsedMs: Number(field("elapsed")),
    status,
    fault: status === null ? code : null,
    body: field("body"),
    url: field("URL"),
    connectMs: Number(field("Connect")),
    success: field("success") === "true",
    failureMessage: field("failureMessage"),
  };
}

/** The records of an RFC 4180 text: quoted fields may hold commas, line ends and doubled quotes. */
function csvRecords(text: string): string[][] {
  const records: string[][] = [];
  let fields: string[] = [];
  for (let at = 0; at < text.length;) {
    const { value, next } = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    fields.push(value);
    if (text[next] === ",") {
      at = next + 1;
      // A comma at the very end still announces a field, which is empty.
      if (at === text.length) fields.push("");
      continue;
    }
    records.push(fields);
    fields = [];
    at = text.startsWith("\r\n", next) ? next + 2 : next + 1;
  }
  if (fields.length > 0) records.push(fields);
  return records;
}

type Field = { readonly value: string; readonly next: number };

function plainField(text: string, from: number): Field {
  let next = from;
  while (next < text.length && !",\r\n".includes(text[next] ?? "")) next += 1;
  return { value: text.slice(from, next), next };
}

function quotedField(text: string, from: number): Field {
  let value = "";
  for (let at = from + 1; ;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) throw new Error("The JTL ends inside a field: JMeter was cut short.");
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { value, next: quote + 1 };
    value += '"';
    at = quote + 2;
  }
}
