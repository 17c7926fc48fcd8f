import type { Comparison, Run } from "../compare/result.ts";
import { outcomesText } from "../crowd/statistics.ts";
import { dirtyText, factsOf, reasonsOf, runName } from "./facts.ts";
import { roundsOf } from "./figures.ts";
import { markup, type Markup } from "./markup.ts";
import { inLadderOrder, longName } from "./names.ts";

const codeFacts = new Set(["Command", "Commit"]);

/** The scenario as a title, and everything that somebody needs to run it again. */
export function runHeader(comparison: Comparison): Markup {
  const { scenario, environment } = comparison;
  const facts = factsOf(comparison).filter(({ name }) => name !== "Scenario");
  const rows = facts.map(({ name, text }) => {
    const dirty = name === "Commit" && environment.dirty;
    const shown = codeFacts.has(name) ? markup`<code>${text}</code>` : markup`${text}`;
    const warning = dirty ? markup` <strong class="dirty">${dirtyText}</strong>` : null;
    return markup`<div><dt>${name}</dt><dd>${shown}${warning}</dd></div>
`;
  });
  return markup`<header>
<p class="brand">Stampede <span>lab report</span></p>
<h1>${scenario.name}</h1>
<p class="lead">${scenario.description}</p>
<dl class="facts">
${rows}</dl>
</header>
`;
}

/** Who was right in which round, and why a run that was not has no figures. */
export function verdictSection(comparison: Comparison): Markup {
  const subjects = inLadderOrder(comparison);
  const heads = subjects.map((subject) => {
    return markup`<th scope="col">${longName(comparison, subject)}</th>`;
  });
  const rows = roundsOf(comparison).map((round) => {
    const cells = subjects.map((subject) => {
      const runs = comparison.runs.filter((run) => run.round === round && run.subject === subject);
      return markup`<td>${runs.length === 0 ? "–" : null}${runs.map((run) => markup`${verdictMark(run)} `)}</td>`;
    });
    return markup`<tr><th scope="row">Round ${round}</th>${cells}</tr>
`;
  });
  const failed = comparison.runs.filter(({ verdict }) => verdict.kind !== "right");
  return markup`<section aria-labelledby="verdicts">
<h2 id="verdicts">Verdict of every run</h2>
<p class="meaning">Right: exactly the coupons there were, one per person, and nobody was told anything else than what is stored. Wrong: that was broken. Void: right, but the figures are not the server's. A twin is the second half of an A/A pair and in no median.</p>
${failed.length === 0 ? null : failures(comparison, failed)}
<div class="wide-table" role="region" aria-label="Verdicts by round" tabindex="0"><table class="verdicts">
<thead><tr><th scope="col">Round</th>${heads}</tr></thead>
<tbody>${rows}</tbody></table></div>
</section>
`;
}

export function verdictMark({ verdict, twin }: Run): Markup {
  return markup`<span class="verdict ${verdict.kind}">${verdict.kind}${twin ? " twin" : ""}</span>`;
}

function failures(comparison: Comparison, runs: readonly Run[]): Markup {
  const items = runs.map((run) => {
    const reasons = reasonsOf(run.verdict).map((reason) => markup`<li>${reason}</li>`);
    return markup`<li><p>${verdictMark(run)} <b>${runName(comparison, run)}</b>: ${outcomesText(run.outcomes)}</p><ul>${reasons}</ul></li>
`;
  });
  return markup`<ul class="failures">
${items}</ul>
`;
}
