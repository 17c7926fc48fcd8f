// A lane runs cases one after the other, each as a test of node:test. Lanes that run at the same time
// take their turns from one list, so that none of them is left with all the long ones.
//
// STAMPEDE_FAULT_CASES says which cases there are to run: a level or names (test, unless told).
// STAMPEDE_FAULT_TURNS is the folder in which lanes note who has taken what, STAMPEDE_FAULT_REPORTS the
// file that gets the reports, STAMPEDE_FAULT_SEED the seed by which a case chooses its moments.
import { randomInt } from "node:crypto";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { Mechanism } from "./mechanisms.ts";
import { isLevel, turnsNamed, turnsOfLevel } from "./catalogue.ts";
import type { Turn } from "./catalogue.ts";
import { needs } from "./case.ts";
import type { Stage } from "./case.ts";
import { sellUnderFault } from "./course.ts";
import type { Watch } from "./neighbours.ts";
import { randomOf } from "../simulation/random.ts";
import { NeverHappened, openNotes } from "./notes.ts";
import type { CaseReport, NeighboursReport, Verdict } from "./notes.ts";
import { besideOf, openPlace } from "./places.ts";
import type { OpenPlace } from "./places.ts";
import { replayCommand } from "./summary.ts";
import { openEnds } from "./support/cleaning.ts";
import { engineMissing } from "./support/sale.ts";

const SEED_MAX = 0xffff_ffff;
/** The longest takes a minute and a half; a hang must not keep the lane. */
const CASE_MS_MAX = 5 * 60_000;

/**
 * From the first case of the catalogue or from the last: two lanes that begin at its ends meet somewhere in
 * it, and hardly ever open the same place.
 */
export async function runLane(from: "first" | "last"): Promise<void> {
  let place: OpenPlace | null = null;
  const leave = async (): Promise<void> => {
    const left = place;
    place = null;
    await left?.close();
  };
  const enter = async ({ of }: Turn): Promise<OpenPlace> => {
    if (of.fresh === true || of.place !== place?.name) await leave();
    place ??= await openPlace(of.place);
    return place;
  };
  const chosen = chosenTurns();
  const left = from === "first" ? [...chosen] : chosen.toReversed();
  for (let turn = takeNext(left, place); turn !== null; turn = takeNext(left, place)) {
    const skip = missingFor(turn);
    if (skip !== false) report(turn, { verdict: "not run", reason: skip });
    const { of, key } = turn;
    const reports: number[] = [];
    const next = turn;
    await test(`${key}: ${of.injects}: ${of.holds}`, { skip, timeout: CASE_MS_MAX }, async (t) => {
      const outcome = await play(t, next, enter);
      reports.push(report(next, outcome));
      // Whatever a failed case has left behind is not the next one's matter.
      if (outcome.verdict !== "right") await leave();
      if (outcome.verdict !== "right") throw outcome.failure;
    });
    if (skip === false && reports.length === 0) {
      report(turn, { verdict: "wrong", reason: "it did not come to its end" });
      await leave();
    }
  }
  // Not in a hook of the runner's: those wait for the process to be idle, which a running program keeps
  // it from.
  await leave();
}

function chosenTurns(): readonly Turn[] {
  const chosen = process.env["STAMPEDE_FAULT_CASES"] ?? "test";
  return isLevel(chosen) ? turnsOfLevel(chosen) : turnsNamed(chosen.split(" "));
}

/** The next turn of the place that is open, else the first one; null when all are taken. */
function takeNext(left: Turn[], place: OpenPlace | null): Turn | null {
  while (left.length > 0) {
    const here = left.findIndex(({ of }) => of.place === place?.name && of.fresh !== true);
    const [turn] = left.splice(Math.max(0, here), 1);
    if (turn !== undefined && take(turn)) return turn;
  }
  return null;
}

function take({ key }: Turn): boolean {
  const folder = process.env["STAMPEDE_FAULT_TURNS"];
  if (folder === undefined) return true;
  try {
    writeFileSync(join(folder, key), "", { flag: "wx" });
    return true;
  } catch (error) {
    // Another lane was quicker.
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

function missingFor({ of }: Turn): string | false {
  const reasons = (of.needs ?? []).map((need) => needs[need]);
  return engineMissing() || (reasons.find((reason) => reason !== false) ?? false);
}

type Outcome = {
  readonly verdict: Verdict;
  readonly reason?: string | null;
  readonly failure?: unknown;
  readonly seed?: number;
  readonly ms?: number;
  readonly neighbours?: NeighboursReport | null;
  readonly noted?: ReadonlyMap<Mechanism | "all", ReturnType<typeof openNotes>>;
};

async function play(
  t: TestContext,
  turn: Turn,
  enter: (turn: Turn) => Promise<OpenPlace>,
): Promise<Outcome> {
  const { of, mechanisms } = turn;
  const seed = Number(process.env["STAMPEDE_FAULT_SEED"] ?? randomInt(SEED_MAX));
  t.diagnostic(`The same again: ${replayCommand({ ...turn, seed })}`);
  const those = mechanisms.length === 0 ? (["all"] as const) : mechanisms;
  const noted = new Map(those.map((name) => [name, openNotes(expectedOf(turn, name))] as const));
  const ends = openEnds();
  const beside = besideOf(of);
  let startMs = performance.now();
  let failure: unknown = null;
  let watch: Watch | null = null;
  let neighbours: NeighboursReport | null = null;
  try {
    const place = await enter(turn);
    const { at } = place;
    watch = (await place.neighbours())?.begin(beside) ?? null;
    if (beside === "lost") place.forget();
    startMs = performance.now();
    const stage = stageOf({ t: { ...ends, diagnostic: (text) => t.diagnostic(text) }, at }, turn, {
      seed,
      noted,
    });
    // A case's place is its own: which one it is was said by its name.
    if (of.course !== undefined) await sellUnderFault(stage as never, of.course as never);
    else await of.run(stage as never);
  } catch (error) {
    failure = error;
  }
  await ends.run().catch((error: unknown) => (failure ??= error));
  try {
    if (failure !== null || beside === "lost") await watch?.leave();
    else neighbours = (await watch?.end()) ?? null;
  } catch (error) {
    failure = error;
  }
  const ms = Math.round(performance.now() - startMs);
  failure ??= voidReason(turn, noted);
  const verdict = failure === null ? "right" : failure instanceof NeverHappened ? "void" : "wrong";
  const reason = failure instanceof Error ? failure.message : null;
  return { verdict, reason, failure, seed, ms, neighbours, noted };
}

type Noted = NonNullable<Outcome["noted"]>;

function stageOf(
  here: Pick<Stage, "t" | "at">,
  { mechanisms }: Turn,
  { seed, noted }: { readonly seed: number; readonly noted: Noted },
): Stage {
  const random = randomOf(String(seed));
  const all = [...noted.values()].map(({ notes }) => notes);
  return {
    ...here,
    mechanisms,
    alone: chosenTurns().length === 1,
    random: random.next,
    pick: (from, to) => random.whole(from, to),
    // Sales beside the one that the case is for are noted with it.
    notes: (mechanism) => noted.get(mechanism)?.notes ?? all[0]!,
    injected: (times) => all.forEach((notes) => notes.injected(times)),
    met: (situation) => all.forEach((notes) => notes.met(situation)),
  };
}

function expectedOf({ of: { expects = [] } }: Turn, name: Mechanism | "all"): readonly string[] {
  if (typeof expects !== "function") return expects;
  return name === "all" ? [] : expects(name);
}

/** Green is not enough: the fault must have been there, and what the case is for. */
function voidReason({ key, of }: Turn, noted: Noted): NeverHappened | null {
  for (const [name, { counts, neverMet }] of noted) {
    const about = `${key} (${name})`;
    const never = neverMet();
    if (never.length > 0) return new NeverHappened(`${about} never met: ${never.join("; ")}`);
    if (of.id !== "none" && counts().faultsInjected === 0) {
      return new NeverHappened(`${about}: no fault was injected`);
    }
  }
  return null;
}

const nothing = openNotes([]).counts();

/** One line for each mechanism; gives how many. */
function report({ key, of, mechanisms }: Turn, outcome: Outcome): number {
  const path = process.env["STAMPEDE_FAULT_REPORTS"];
  const those = mechanisms.length === 0 ? (["all"] as const) : mechanisms;
  const reports = those.map((mechanism): CaseReport => {
    const { verdict, reason = null, seed = null, ms = 0, neighbours = null, noted } = outcome;
    const counts = noted?.get(mechanism)?.counts() ?? nothing;
    const about = { id: of.id, key, mechanism, injects: of.injects, verdict, reason };
    return { ...about, ...counts, neighbours, seed, ms };
  });
  if (path !== undefined) {
    appendFileSync(path, reports.map((one) => `${JSON.stringify(one)}\n`).join(""));
  }
  return reports.length;
}
