import type { Comparison, Run } from "../compare/result.ts";
import { outcomesText } from "../crowd/statistics.ts";
import { noiseMark } from "./section-claims.ts";
import { reasonsOf } from "./facts.ts";
import { markup, type Markup } from "./markup.ts";
import { measuresOf } from "./measures.ts";
import { written } from "./numbers.ts";
import { cellTexts, notMeasured, rowsOf, type Cell, type Row } from "./rows.ts";
import { verdictMark } from "./section-run.ts";
import { inLadderOrder, longName, namesOf } from "./names.ts";

/** The few figures that are looked for first, then all of them, then every run's own. */
export function tablesSection(comparison: Comparison): Markup {
  const rows = rowsOf(comparison);
  const missing = notMeasured(comparison);
  return markup`<section aria-labelledby="figures">
<h2 id="figures">The figures</h2>
<p class="meaning">Medians of the right runs, with the lowest and the highest. A dash: it does not apply, could not be measured, or there was no right run.</p>
${figureTable(comparison, {
  title: "The main figures",
  rows: rows.filter(({ key }) => key),
})}
<details><summary>All figures, with round trips and conditions</summary>
${figureTable(comparison, { title: "All figures", rows })}
${missing.length === 0 ? null : markup`<p class="meaning">Not measured here: ${missing.join(", ")}.</p>`}
</details>
<details><summary>Raw values of every run, in the order they ran</summary>
${rawTable(comparison)}
</details>
</section>
`;
}

type Figures = { readonly title: string; readonly rows: readonly Row[] };

function figureTable(comparison: Comparison, { title, rows }: Figures): Markup {
  const subjects = inLadderOrder(comparison);
  const heads = subjects.map((subject) => {
    const { tone, long } = namesOf(comparison, subject);
    return markup`<th scope="col" class="${tone}">${long}</th>`;
  });
  const groups = [...new Set(rows.map(({ group }) => group))].map((group) => {
    const own = rows.filter((row) => row.group === group).map(figureRow);
    return markup`<tbody><tr class="group"><th scope="rowgroup" colspan="${subjects.length + 1}">${group}</th></tr>
${own}</tbody>
`;
  });
  return markup`<div class="wide-table" role="region" aria-label="${title}" tabindex="0"><table class="figures">
<thead><tr><th scope="col">${title}</th>${heads}</tr></thead>
${groups}</table></div>
`;
}

function figureRow(row: Row): Markup {
  const unit = row.unit === "" ? null : markup` <span class="unit">${row.unit}</span>`;
  return markup`<tr><th scope="row">${row.name}${unit}<span class="meaning">${row.meaning}</span></th>${row.cells.map(
    (cell) => figureCell(row, cell),
  )}</tr>
`;
}

function figureCell(row: Row, { spread, judgement }: Cell): Markup {
  const { middle, around } = cellTexts(row, spread);
  return markup`<td>${middle}<span class="around">${around}</span>${noiseMark(judgement)}</td>`;
}

function rawTable(comparison: Comparison): Markup {
  const measures = measuresOf(comparison);
  const heads = measures.map(({ name, unit }) => {
    return markup`<th scope="col">${unit === "" ? name : `${name}, ${unit}`}</th>`;
  });
  const rows = comparison.runs.map((run) => {
    const cells = measures.map(({ kind, value }) => {
      const own = run.verdict.kind === "right" ? value(run) : null;
      return markup`<td>${own === null ? "–" : written(own, kind)}</td>`;
    });
    return markup`<tr><th scope="row">${longName(comparison, run.subject)}</th><td>${run.round}</td><td>${verdictMark(run)}${reasons(run)}</td><td class="text">${outcomesText(run.outcomes)}</td><td class="text"><code>${run.eventId}</code></td>${cells}</tr>
`;
  });
  return markup`<div class="wide-table tall" role="region" aria-label="Raw values of every run" tabindex="0"><table class="raw">
<thead><tr><th scope="col">Subject</th><th scope="col">Round</th><th scope="col">Verdict</th><th scope="col">Answers</th><th scope="col">Event</th>${heads}</tr></thead>
<tbody>${rows}</tbody></table></div>
`;
}

function reasons({ verdict }: Run): Markup | null {
  const texts = reasonsOf(verdict);
  return texts.length === 0 ? null : markup` <span class="reasons">${texts.join("; ")}</span>`;
}
