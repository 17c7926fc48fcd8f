import type { Comparison } from "../compare/result.ts";
import {
  cautions,
  findingsOf,
  findingText,
  judgementText,
  judgementTexts,
  publishingText,
  verdictOf,
  verdictSentence,
} from "./facts.ts";
import { unpublishable, type Judgement } from "./figures.ts";
import { headlineOf } from "./headline.ts";
import { markup, type Markup } from "./markup.ts";
import { namesOf } from "./names.ts";

/** What a claim costs and what each step gains, then every difference in a sentence with its noise. */
export function claimsSection(comparison: Comparison): Markup {
  const items = findingsOf(comparison).map((finding) => {
    const text = findingText(comparison, finding);
    return markup`<li>${text} ${mark(finding.judgement, judgementText(comparison, finding))}</li>
`;
  });
  const notes = cautions(comparison).map((text) => markup`<li>${text}</li>`);
  const publishable = unpublishable(comparison).length === 0 ? "beyond-noise" : "unpublishable";
  const verdict = verdictOf(comparison);
  return markup`<section aria-labelledby="claims">
<h2 id="claims">What may be claimed</h2>
<p class="lead"><span class="verdict ${verdict}">${verdict}</span> ${verdictSentence(comparison)}</p>
<p class="publishing ${publishable}">${publishingText(comparison)}</p>
${headlineTable(comparison)}
${items.length === 0 ? null : markup`<p class="meaning">Each ratio is the median of the rounds' own ratios, with the lowest and the highest round.</p><ul class="findings">${items}</ul>`}
<h3>How large is noise?</h3>
<ul class="cautions">${notes}</ul>
</section>
`;
}

function headlineTable(comparison: Comparison): Markup {
  const { heads, lines } = headlineOf(comparison);
  const rows = lines.map(({ subject, name, cells }) => {
    const own = cells.map(
      ({ middle, around, judgement }) =>
        markup`<td><b>${middle}</b><span class="around">${around}</span>${noiseMark(judgement)}</td>`,
    );
    return markup`<tr class="${namesOf(comparison, subject).tone}"><th scope="row">${name}</th>${own}</tr>
`;
  });
  return markup`<div class="wide-table" role="region" aria-label="The headline" tabindex="0"><table class="headline">
<thead><tr><th scope="col">Subject</th>${heads.map((head) => markup`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

/** A judgement beside a figure. What is beyond noise needs no mark in a narrow place. */
export function noiseMark(judgement: Judgement | null): Markup | null {
  if (judgement === null || judgement === "beyond-noise") return null;
  return mark(judgement, judgementTexts[judgement]);
}

function mark(judgement: Judgement, text: string): Markup {
  return markup`<span class="noise ${judgement}">${text}</span>`;
}
