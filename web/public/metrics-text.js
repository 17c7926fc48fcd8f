/**
 * Reads Prometheus' text format as /metrics writes it. Pure: no browser, no clock.
 *
 * A metric can be published without a single sample (nobody has claimed yet), and that is something
 * else than a server that does not know it; so the names under `# TYPE` are kept beside the samples.
 */

/** @typedef {{ labels: Readonly<Record<string, string>>, value: number }} Sample */
/**
 * @typedef {{ published: ReadonlySet<string>, samples: ReadonlyMap<string, readonly Sample[]> }} Metrics
 */

const SAMPLE = /^(?<name>[A-Za-z_:][\w:]*)(?:\{(?<labels>.*)\})?\s+(?<value>\S+)(?:\s+-?\d+)?$/;
const LABEL = /(?<name>[A-Za-z_]\w*)="(?<value>(?:[^"\\]|\\.)*)"/g;
const TYPE = /^# TYPE (?<name>\S+) /;

/** Lines that are no metrics are left out: a proxy's error page gives nothing at all. */
/** @param {string} text @returns {Metrics} */
export function parseMetrics(text) {
  /** @type {Set<string>} */
  const published = new Set();
  /** @type {Map<string, Sample[]>} */
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) {
      const name = TYPE.exec(line)?.groups?.["name"];
      if (name !== undefined) published.add(name);
      continue;
    }
    const { name, labels = "", value = "" } = SAMPLE.exec(line.trim())?.groups ?? {};
    const number = numberOf(value);
    if (name === undefined || number === null) continue;
    published.add(name);
    const series = samples.get(name) ?? [];
    series.push({ labels: labelsOf(labels), value: number });
    samples.set(name, series);
  }
  return { published, samples };
}

/** @param {string} text @returns {Record<string, string>} */
function labelsOf(text) {
  const pairs = Array.from(text.matchAll(LABEL), ({ groups }) => [
    String(groups?.["name"]),
    unescaped(String(groups?.["value"])),
  ]);
  return Object.fromEntries(pairs);
}

/** @param {string} text @returns {string} */
function unescaped(text) {
  return text.replaceAll(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
}

/** A bucket's bound, which may be infinite. */
/** @param {string | undefined} text @returns {number | null} */
export function boundOf(text = "") {
  return text === "+Inf" ? Infinity : numberOf(text);
}

/** Only what can be drawn and added up: a NaN or an infinite value is no reading. */
/** @param {string} text @returns {number | null} */
function numberOf(text) {
  const number = text === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}
