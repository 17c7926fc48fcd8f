import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { arrivalTimes, parseLabOptions, scenarioOf, scenarios } from "@stampede/lab/compare";
import fc from "fast-check";

const people = 10;
const limit = 5;

test("the scenarios that come along are all readable and say what they are", () => {
  const names = scenarios().map(({ name }) => name);
  const expected = ["everyone-wins", "late-crowd", "paced-queue", "resting-queue"];
  expected.push("retry-storm", "rush", "steady");
  assert.deepEqual(names, expected);
  for (const { description } of scenarios()) assert.ok(description.length > 20);
});

describe("a scenario", () => {
  test("is a crowd at one instant where it says nothing else", () => {
    const { scenario, mechanisms } = scenarioOf("own", { people, limit });
    assert.equal(scenario.claimsPerPerson, 1);
    assert.equal(scenario.perSecond, null);
    assert.deepEqual(
      arrivalTimes(scenario),
      Array.from({ length: people }, () => 0),
    );
    assert.equal(mechanisms, null);
  });

  test("can be changed by the command line", () => {
    const { scenario } = scenarioOf("own", { people, limit }, { people: 7, limit: null, seed: 3 });
    assert.deepEqual([scenario.people, scenario.limit, scenario.seed], [7, limit, 3]);
  });

  test("has as many earlier people as there are coupons at least", () => {
    const { scenario } = scenarioOf("own", { people, limit: 50, earlierPeople: 20 });
    assert.equal(scenario.earlierPeople, 50);
  });

  for (const [file, fault] of [
    [{ people }, /"limit" is missing/],
    [{ people: 0, limit }, /"people" is an integer from 1/],
    [{ people, limit, colour: "red" }, /"colour" is no field/],
    [{ people, limit, pace: 5 }, /"pace" is for a queue/],
    [{ people, limit, mechanisms: [] }, /"mechanisms" is a list of/],
    [{ people: 1_000, limit, perSecond: 1 }, /comes after more than 20 s/],
  ] as const) {
    test(`is refused when ${fault.source}`, () => {
      assert.throws(() => scenarioOf("own", file), fault);
    });
  }
});

describe("arrivals at a rate", () => {
  test("are the same for the same seed and others for another", () => {
    const times = (seed: number): readonly number[] =>
      arrivalTimes({ people: 50, perSecond: 100, seed });
    assert.deepEqual(times(1), times(1));
    assert.notDeepEqual(times(1), times(2));
  });

  test("start at once, never go back, and keep the rate whatever the seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (seed) => {
        const times = arrivalTimes({ people: 4_000, perSecond: 1_000, seed });
        assert.equal(times[0], 0);
        assert.ok(times.every((atMs, index) => atMs >= (times[index - 1] ?? 0)));
        // The time of 4,000 arrivals has a standard deviation of 1.6 %: six of them are 10 %.
        assert.ok(Math.abs((times.at(-1) ?? 0) - 4_000) < 400);
      }),
      { numRuns: 50 },
    );
  });

  test("have gaps like those of people who do not know each other", () => {
    const times = arrivalTimes({ people: 20_000, perSecond: 1_000, seed: 7 });
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    // Of exponential gaps a share of 1/e is longer than the mean.
    const long = gaps.filter((gapMs) => gapMs > 1).length / gaps.length;
    assert.ok(Math.abs(long - Math.exp(-1)) < 0.02, String(long));
  });
});

describe("the command line", () => {
  test("compares a rush in five rounds after two warm-ups where nothing is said", () => {
    const options = parseLabOptions(["compare"]);
    assert.ok("command" in options && options.command === "compare");
    assert.equal(options.scenario, "rush");
    assert.equal(options.rounds, 5);
    assert.equal(options.warmUps, 2);
    assert.equal(options.sameAgainstSame, null);
    assert.equal(options.mechanisms, null);
  });

  test("is a rush of one round for a person, by the same options", () => {
    const options = parseLabOptions(["rush", "--users", "500", "--repeat", "3"]);
    assert.ok("command" in options && options.command === "compare");
    const { scenario, rounds, warmUps, people } = options;
    assert.deepEqual(
      { scenario, rounds, warmUps, people },
      {
        scenario: "rush",
        rounds: 3,
        warmUps: 1,
        people: 500,
      },
    );
    const plain = parseLabOptions(["rush"]);
    assert.ok("command" in plain && plain.command === "compare");
    assert.deepEqual([plain.rounds, plain.people, plain.streams], [1, null, 0]);
  });

  test("takes mechanisms by either name and pairs by theirs", () => {
    const options = parseLabOptions([
      "compare",
      "--mechanism",
      "v3,row-lock",
      "--same-against-same",
      "ceiling,v1",
    ]);
    assert.ok("command" in options && options.command === "compare");
    assert.deepEqual(options.mechanisms, ["v3", "row-lock"]);
    assert.deepEqual(options.sameAgainstSame, ["ceiling", "v1"]);
  });

  test("can have no pairs, or the empty handler's alone", () => {
    const pairs = (value: string): unknown => {
      const options = parseLabOptions(["compare", "--same-against-same", value]);
      return "command" in options && options.command === "compare" && options.sameAgainstSame;
    };
    assert.deepEqual(pairs("none"), []);
    assert.deepEqual(pairs("ceiling"), ["ceiling"]);
  });

  test("opens a port for Prometheus only when asked, of the rush too", () => {
    const rush = (args: readonly string[]): unknown => {
      const options = parseLabOptions(["rush", ...args]);
      if ("faults" in options) return options.faults.join();
      return options.command === "compare" ? options.metricsPort : options.command;
    };
    assert.equal(rush([]), null);
    assert.equal(rush(["--metrics-port", "9464"]), 9_464);
    assert.match(String(rush(["--metrics-port", "0"])), /--metrics-port is an integer from 1/);
  });

  test("measures a thousand events beside each other, or as many as one says", () => {
    const sizes = { events: 1_000, coupons: 1_000_000, watchers: 10_000 };
    const usual = { command: "many", ...sizes, parts: null, out: null };
    assert.deepEqual(parseLabOptions(["many"]), usual);
    const fewer = parseLabOptions(["many", "--events", "50", "--parts", "large,rest"]);
    assert.deepEqual(fewer, { ...usual, events: 50, parts: ["rest", "large"] });
  });

  for (const [args, fault] of [
    [["compare", "--colour", "red"], /Unknown option '--colour'/],
    [["compare", "--rounds", "0", "--people", "x"], /--rounds is .*\n--people is /],
    [["compare", "rush"], /--scenario rush\?/],
    [["compare", "--mechanism", "v1,,v2"], /--mechanism takes names with commas, not ""/],
    [["rush", "--users", "5", "--people", "5"], /are the same: give one of them/],
    [["compare", "--url", "https://example.org"], /plain HTTP/],
    [["report"], /needs one file/],
    [["race"], /"race" is no command/],
    [["many", "--parts", "rest,all"], /--parts: all is none of rest, queues/],
    [["many", "--events", "5"], /--events is an integer from 10/],
  ] as const) {
    test(`refuses ${args.join(" ")}`, () => {
      const options = parseLabOptions(args);
      assert.ok("faults" in options);
      assert.match(options.faults.join("\n"), fault);
    });
  }
});
