// Which metrics an expression of PromQL reads. Prometheus 2 has no way to ask for that, so this knows
// the language as far as the dashboards and rules use it, and no further.

const words = new Set(
  "and or unless bool offset by without on ignoring group_left group_right inf nan".split(" "),
);

/** The names of all metrics in the expression, each once. */
export function metricNames(expression: string): readonly string[] {
  const bare = expression
    .replace(/"(?:\\.|[^"\\])*"/g, '""')
    .replace(/'(?:\\.|[^'\\])*'/g, "''")
    .replace(/\{[^{}]*\}/g, " ")
    .replace(/\[[^[\]]*\]/g, " ")
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)/g, " ")
    .replace(/\boffset\s+-?\w+/g, " ");
  const found = Array.from(
    bare.matchAll(/(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()/g),
    ([name]) => name,
  );
  return [...new Set(found.filter((name) => !words.has(name.toLowerCase())))];
}

/** As Grafana sends it: all events, and a range of four scrapes of one second. */
export function substitute(expression: string): string {
  const text = expression
    .replaceAll("$__rate_interval", "4s")
    .replaceAll("$__interval", "1s")
    .replaceAll("$__range", "60s")
    .replaceAll("$event", ".*");
  if (text.includes("$")) throw new Error(`a variable that the test does not know: ${expression}`);
  return text;
}
