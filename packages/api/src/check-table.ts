/** One line of what was looked at; the shape of infrastructure's `Finding`. */
type CheckLine = {
  readonly engine: string;
  readonly what: string;
  readonly found: string;
  readonly verdict: "right" | "warning" | "refused";
  readonly advice: string;
};

const TITLES: Readonly<Record<string, string>> = {
  postgres: "PostgreSQL",
  redis: "Redis",
  kafka: "Kafka",
};

/** What --check prints: a line for each finding, below it what to do, and at the end what it comes to. */
export function checkTable(findings: readonly CheckLine[]): string {
  const cells = findings.map(({ engine, what, verdict }) => [
    TITLES[engine] ?? engine,
    what,
    verdict,
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  const lines = findings.flatMap(({ found, advice }, index) => {
    const row = cells[index]?.map((cell, column) => cell.padEnd(widths[column] ?? 0)) ?? [];
    return [
      [...row, oneLine(found)].join("  "),
      ...(advice === "" ? [] : [`    -> ${oneLine(advice)}`]),
    ];
  });
  return [...lines, "", sumOf(findings), ""].join("\n");
}

/** Whether a start would use all of them. */
export function areUsable(findings: readonly CheckLine[]): boolean {
  return findings.every(({ verdict }) => verdict !== "refused");
}

function sumOf(findings: readonly CheckLine[]): string {
  const refused = findings.filter(({ verdict }) => verdict === "refused");
  if (refused.length === 0) return "Stampede runs on these engines.";
  const engines = [...new Set(refused.map(({ engine }) => TITLES[engine] ?? engine))];
  return `Stampede does not run on these engines as they are: ${engines.join(", ")} is refused above.`;
}

/** An engine's own words may have lines, and characters that a terminal would obey. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
}
