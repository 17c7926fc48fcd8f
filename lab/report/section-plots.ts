import { markup, trusted, type Markup } from "./markup.ts";
import { amount, range } from "./numbers.ts";
import type { LinePlot } from "./plots.ts";
import { longName } from "./subjects.ts";

/** How a plot is introduced, and how its numbers are called and written. */
type Words = {
  readonly title: string;
  readonly meaning: string;
  readonly x: string;
  readonly y: string;
  readonly showX: (x: number) => string;
  readonly showY: (y: number) => string;
};

const words: Readonly<Record<LinePlot["id"], Words>> = {
  latency: {
    title: "Latency",
    meaning:
      "The share of answers that had come within a latency, from the intended time of each claim. Further left is faster; the horizontal scale is logarithmic.",
    x: "Latency, ms",
    y: "Share of answers, %",
    showX: amount,
    showY: (share) => share.toFixed(1),
  },
  "over-time": {
    title: "Answers over time",
    meaning:
      "Answers per second in each slice of the run. The same crowd each time: a lower curve lasts longer.",
    x: "Since the first claim, s",
    y: "Answers per second",
    showX: (ms) => (ms / 1_000).toLocaleString("en", { maximumSignificantDigits: 4 }),
    showY: amount,
  },
};

/** The place where the page's script draws, a legend, and the same numbers as a table. */
export function plotSection(id: LinePlot["id"], plot: LinePlot | null): Markup {
  const { title, meaning, x, y } = words[id];
  const head = markup`<h2 id="${id}">${title}</h2>
<p class="meaning">${meaning}</p>`;
  if (plot === null) {
    return markup`<section aria-labelledby="${id}">${head}<p>No right run measured it.</p></section>
`;
  }
  const names = plot.lines.map(({ subject }) => longName(subject)).join(", ");
  const label = `${title}: ${y.toLowerCase()} by ${x.toLowerCase()}, for ${names}. The table below holds the same numbers.`;
  return markup`<section aria-labelledby="${id}">${head}
<figure><p class="y-label" aria-hidden="true">${y}</p>
<div class="plot" role="img" aria-label="${label}" data-plot="${id}"></div>
<p class="x-label" aria-hidden="true">${x}</p>
${legend(plot)}
<figcaption class="meaning">Line: the median of the rounds. Band: from the lowest to the highest round.</figcaption>
<noscript><p>The plot needs JavaScript; its numbers do not.</p></noscript>
${plotTable(plot, words[id])}
</figure></section>
`;
}

function legend({ lines }: LinePlot): Markup {
  const items = lines.map(({ subject }) => {
    const line = trusted('<svg viewBox="0 0 36 8" aria-hidden="true"><path d="M1 4H35"/></svg>');
    return markup`<li class="${subject}">${line}${longName(subject)}<span class="at"></span></li>
`;
  });
  return markup`<ul class="legend">
${items}</ul>`;
}

function plotTable({ x, lines }: LinePlot, { title, x: xName, y, showX, showY }: Words): Markup {
  const heads = lines.map(({ subject }) => markup`<th scope="col">${longName(subject)}</th>`);
  const rows = x.map((at, index) => {
    const cells = lines.map(({ middle, low, high }) => {
      const [own, from, to] = [middle[index], low[index], high[index]].map((value) =>
        typeof value === "number" ? showY(value) : null,
      );
      if (!own || !from || !to) return markup`<td>–</td>`;
      return markup`<td>${own} <span class="around">${range(from, to)}</span></td>`;
    });
    return markup`<tr><th scope="row">${showX(at)}</th>${cells}</tr>
`;
  });
  return markup`<details class="numbers"><summary>The numbers: ${title}</summary>
<div class="wide tall" role="region" aria-label="${title}, all points" tabindex="0"><table><caption>${y}: median, lowest to highest round</caption>
<thead><tr><th scope="col">${xName}</th>${heads}</tr></thead><tbody>
${rows}</tbody></table></div></details>`;
}
