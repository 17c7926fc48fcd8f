// docs/dictionary.md: every id of the repository with its sentence and what shows it, and the words.
//
//   npm run dictionary [-- --check]
//
// Each id has one source: promises in referee/src/promises.ts, facts of the engines in proof/facts.ts,
// fault cases in proof/faults/catalogue.ts, planted bugs in the heads of proof/mutants/patches.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promises } from "@stampede/referee";
import { facts } from "./facts.ts";
import { catalogue } from "./faults/catalogue.ts";
import type { FaultCase } from "./faults/case.ts";
import { readBugs } from "./mutants/bugs.ts";
import type { PlantedBug } from "./mutants/bugs.ts";
import { words } from "./words.ts";

export type Entry = {
  readonly id: string;
  readonly sentence: string;
  /** Files as seen from the root, and commands. */
  readonly shownBy: readonly string[];
};

type Section = {
  readonly title: string;
  readonly about: string;
  readonly entries: readonly Entry[];
};

/** Of a case in more variants than this, the first are named; `npm run faults -- --list` has all. */
const VARIANTS_MAX = 4;

const LEVELS = { test: "`npm test`", proof: "`npm run proof`", all: "`npm run faults`" } as const;

const PARTS: readonly (readonly [letter: string, title: string])[] = [
  ["A", "Fault cases: the application"],
  ["P", "Fault cases: PostgreSQL"],
  ["R", "Fault cases: Redis"],
  ["K", "Fault cases: Kafka"],
  ["N", "Fault cases: clients and network"],
  ["T", "Fault cases: time"],
  ["O", "Fault cases: operations"],
];

export const sections: readonly Section[] = [
  {
    title: "Promises: never wrong",
    about:
      "The [referee](referee.md) judges them in every run; what it cannot see alone is shown by the tests beside it.",
    entries: promised("S"),
  },
  {
    title: "Promises: finished in time",
    about: "Times count from when the fault is gone.",
    entries: promised("L"),
  },
  {
    title: "Facts of the engines",
    about: "What the design rests on, reproduced on the real engine.",
    entries: facts,
  },
  ...PARTS.map(([letter, title]) => ({
    title,
    about:
      "What is done, and what holds nevertheless. The first command that runs a case is named.",
    entries: casesOf(letter),
  })),
  {
    title: "Planted bugs",
    about:
      "A patch breaks a copy of the tree, and its checks have to turn red: [planted-bugs.md](planted-bugs.md).",
    entries: [...Map.groupBy(readBugs(), ({ bug }) => bug)].map(bugEntry),
  },
];

export const entries: readonly Entry[] = sections.flatMap((section) => section.entries);

function promised(letter: "S" | "L"): readonly Entry[] {
  return Object.entries(promises)
    .filter(([id]) => id.startsWith(letter))
    .map(([id, { sentence, shownBy }]) => ({ id, sentence, shownBy }));
}

function casesOf(letter: string): readonly Entry[] {
  const cases = catalogue.filter(({ id }) => new RegExp(`^${letter}\\d`).test(id));
  const byId = [...Map.groupBy(cases, ({ id }) => id)];
  return byId
    .map(([id, same]) => ({ id, sentence: caseSentence(same), shownBy: [commandOf(id, same)] }))
    .toSorted((one, other) => Number(one.id.slice(1)) - Number(other.id.slice(1)));
}

function caseSentence(cases: readonly FaultCase[]): string {
  const byHold = [...Map.groupBy(cases, ({ holds }) => holds)];
  return byHold
    .map(([holds, same]) => {
      const injected = [...new Set(same.map(({ injects }) => injects))];
      const more = injected.length - VARIANTS_MAX;
      const named = injected.slice(0, more > 0 ? VARIANTS_MAX : undefined);
      if (more > 0) named.push(`and ${more} more of the kind`);
      return `${capitalised(named.join("; or "))}: ${holds}.`;
    })
    .join(" ");
}

function commandOf(id: string, cases: readonly FaultCase[]): string {
  const first = (["test", "proof", "all"] as const).find((level) =>
    cases.some(({ runs }) => runs === level),
  );
  const command = `npm run faults -- ${id}`;
  return first === undefined || first === "all" ? command : `${command}, in ${LEVELS[first]}`;
}

function bugEntry([id, bugs]: [string, readonly PlantedBug[]]): Entry {
  const files = [...new Set(bugs.flatMap(({ test }) => test?.file ?? []))];
  return {
    id,
    sentence: bugs.map(({ what }) => what).join(" "),
    shownBy: [`npm run planted -- ${id}`, ...files],
  };
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The page as it has to be. */
export function dictionaryPage(): string {
  const blocks = sections.map(({ title, about, entries: listed }) =>
    [
      `## ${title}`,
      "",
      about,
      "",
      "| id | what it says | shown by |",
      "|---|---|---|",
      ...listed.map(rowOf),
    ].join("\n"),
  );
  const vocabulary = words.map(([word, meaning]) => `| ${word} | ${meaning} |`);
  return `${[
    "# Dictionary",
    "",
    "Every id and every word of this project, with its meaning. `npm run dictionary` makes this page of the code; the architecture test fails when it is stale, or when an id stands anywhere that is not here.",
    "",
    "A letter says what an id is: S and L are promises, F facts of the engines, A, P, R, K, N, T and O cases of the fault matrix, B planted bugs.",
    "",
    "## Words",
    "",
    "| word | meaning |",
    "|---|---|",
    ...vocabulary,
    "",
    blocks.join("\n\n"),
  ].join("\n")}\n`;
}

function rowOf({ id, sentence, shownBy }: Entry): string {
  const shown = shownBy.map((text) => text.replace(/^[^,]+/, "`$&`")).join(", ") || "nothing";
  return `| ${id} | ${sentence.replaceAll("|", "\\|")} | ${shown} |`;
}

const page = join(import.meta.dirname, "..", "docs", "dictionary.md");

/** Null where the page is as it has to be, else what to do. */
export function staleDictionary(text: string): string | null {
  return text === dictionaryPage()
    ? null
    : "docs/dictionary.md is not what the code says: npm run dictionary";
}

if (import.meta.main) {
  if (process.argv.includes("--check")) {
    const stale = staleDictionary(readFileSync(page, "utf8"));
    if (stale !== null) {
      console.error(stale);
      process.exitCode = 1;
    }
  } else {
    writeFileSync(page, dictionaryPage());
  }
}
