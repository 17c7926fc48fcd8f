import type { Comparison } from "../compare/result.ts";
import {
  cautions,
  findingsOf,
  findingText,
  judgementText,
  judgementTexts,
  type Finding,
} from "./facts.ts";
import type { Judgement } from "./figures.ts";
import { markup, type Markup } from "./markup.ts";
import { range, ratio } from "./numbers.ts";
import { longName, shortName } from "./subjects.ts";

/** The gains in large figures, then every difference in a sentence with its noise. */
export function claimsSection(comparison: Comparison): Markup {
  const findings = findingsOf(comparison);
  const gains = findings.filter(({ pair }) => pair.base === "row-lock");
  const items = findings.map((finding) => {
    return markup`<li>${findingText(finding)} ${mark(finding.judgement, judgementText(comparison, finding))}</li>
`;
  });
  const notes = cautions(comparison).map((text) => markup`<li>${text}</li>`);
  return markup`<section aria-labelledby="claims">
<h2 id="claims">What may be claimed</h2>
<p class="meaning">Each ratio is the median of the rounds' own ratios, with the lowest and the highest round.</p>
${gains.length === 0 ? null : markup`<div class="cards">${gains.map(card)}</div>`}
${findings.length === 0 ? markup`<p>No two subjects have a right run in the same round: nothing may be claimed.</p>` : markup`<ul class="findings">${items}</ul>`}
<h3>How large is noise?</h3>
<ul class="cautions">${notes}</ul>
</section>
`;
}

/** A judgement beside a figure. What is beyond noise needs no mark in a narrow place. */
export function noiseMark(judgement: Judgement | null): Markup | null {
  if (judgement === null || judgement === "beyond-noise") return null;
  return mark(judgement, judgementTexts[judgement]);
}

function mark(judgement: Judgement, text: string): Markup {
  return markup`<span class="noise ${judgement}">${text}</span>`;
}

function card({ pair, what, spread, judgement }: Finding): Markup {
  const thing = what === "answers" ? "answers per second" : "coupons issued per second";
  return markup`<div class="card ${pair.subject}"><p class="who">${longName(pair.subject)}</p>
<p class="gain">${ratio(spread.median)}<span>×</span></p>
<p>the ${thing} of ${shortName(pair.base)}</p><p class="around">${range(ratio(spread.min), ratio(spread.max))} ${noiseMark(judgement)}</p></div>
`;
}
