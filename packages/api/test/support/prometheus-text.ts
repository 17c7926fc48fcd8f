// Reads Prometheus' text format, version 0.0.4, and refuses what is not of it.
import assert from "node:assert/strict";

export type Sample = {
  /** With the suffix of a histogram's or summary's part. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export type Family = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
};

const TYPES = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);
const PARTS: Readonly<Record<string, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
};
const SAMPLE =
  /^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<labels>.*)\})? (?<value>[-+]?(?:Inf|NaN|[0-9.]+(?:e[-+]?[0-9]+)?))$/i;
const LABEL = /^(?<label>[a-zA-Z_][a-zA-Z0-9_]*)="(?<text>(?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;

/** The families in their order. Fails on any line that a Prometheus would not read. */
export function parsePrometheus(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let help = { name: "", text: "" };
  let family: Family = { name: "", type: "", help: "", samples: [] };
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, word, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (word === "HELP") {
      help = { name, text: rest };
    } else if (word === "TYPE") {
      assert.ok(help.name === name, `the help of ${name} stands before its type`);
      assert.ok(TYPES.has(rest), `${name} has type ${rest}`);
      assert.ok(!families.has(name), `${name} stands once`);
      family = { name, type: rest, help: help.text, samples: [] };
      families.set(name, family);
    } else {
      const sample = parseSample(line);
      const { name: own, type } = family;
      const ownNames = (PARTS[type] ?? [""]).map((part) => own + part);
      assert.ok(ownNames.includes(sample.name), `${line} stands under "${own}"`);
      const identity = `${sample.name} ${identityOf(sample.labels)}`;
      assert.ok(!series.has(identity), `${identity} stands once`);
      series.add(identity);
      family.samples.push(sample);
    }
  }
  return families;
}

function identityOf(labels: Sample["labels"]): string {
  const names = Object.keys(labels).toSorted((one, other) => one.localeCompare(other));
  return names.map((name) => `${name}=${JSON.stringify(labels[name])}`).join();
}

function parseSample(line: string): Sample {
  const { name, labels = "", value } = SAMPLE.exec(line)?.groups ?? {};
  assert.ok(name !== undefined && value !== undefined, `not a sample: ${line}`);
  const found: Record<string, string> = {};
  for (let rest = labels; rest !== "";) {
    const match = LABEL.exec(rest);
    const { label, text } = match?.groups ?? {};
    assert.ok(match !== null && label !== undefined && text !== undefined, `labels of ${line}`);
    assert.ok(!(label in found), `${label} stands once in ${line}`);
    found[label] = text;
    rest = rest.slice(match[0].length);
  }
  return { name, labels: found, value: numberOf(value) };
}

function numberOf(text: string): number {
  if (/^[-+]?inf$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}
