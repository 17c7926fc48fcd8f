// The plan as a file. That JMeter opens and runs it is what jmeter.test.ts shows.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const folder = join(import.meta.dirname, "..", "jmeter");
const plan = readFileSync(join(folder, "stampede.jmx"), "utf8");
const pom = readFileSync(join(folder, "pom.xml"), "utf8");

/** What keeps an XML text from being well-formed, as far as its tags go; null: nothing. */
function tagFault(xml: string): string | null {
  const open: string[] = [];
  const tags = xml
    .replaceAll(/<!--.*?-->|<\?.*?\?>/gs, "")
    .matchAll(/<(\/?)([\w:.]+)([^<>]*?)(\/?)>/g);
  for (const [whole, closing, name = "", attributes = "", empty] of tags) {
    if (!/^(?:\s+[\w:.]+="[^"<]*")*\s*$/.test(attributes)) return `attributes of ${whole}`;
    if (closing === "") {
      if (empty === "") open.push(name);
    } else if (open.pop() !== name) return `${whole} closes something else`;
  }
  if (/&(?!(?:amp|lt|gt|quot|apos|#\d+);)/.test(xml)) return "a bare ampersand";
  return open.length === 0 ? null : `${open.join(", ")} never closed`;
}

/** The inside of the first element with this test class. */
function element(testclass: string): string {
  const found = new RegExp(`<(\\w+)[^>]*testclass="${testclass}".*?</\\1>`, "s").exec(plan);
  assert.ok(found, `the plan has no ${testclass}`);
  return found[0];
}

test("the plan and its pom are well-formed, and a broken one is noticed", () => {
  assert.equal(tagFault(plan), null);
  assert.equal(tagFault(pom), null);
  assert.match(tagFault(plan.replace("</ThreadGroup>", "")) ?? "", /closes something else/);
});

test("everybody waits for all the people at a Synchronizing Timer, and not for ever", () => {
  assert.match(element("SyncTimer"), /name="groupSize">\$\{people\}</);
  assert.match(element("SyncTimer"), /name="timeoutInMs">\$\{deadline\}000</);
  assert.match(element("ThreadGroup"), /name="ThreadGroup.num_threads">\$\{people\}</);
  assert.match(plan, /\$\{__P\(people,\d+\)\}/);
});

test("no loop is endless", () => {
  const loops = plan.match(/(?:test|elementT)[a-z]*="LoopController"/g) ?? [];
  const ends = plan.match(/name="LoopController.continue_forever">false</g) ?? [];
  const counts = plan.match(/name="LoopController.loops">(?:1|\$\{deadline\})</g) ?? [];
  // The thread group's loop stands in an element with both attributes.
  assert.equal(loops.length, 3);
  assert.equal(ends.length, 2);
  assert.equal(counts.length, 2);
});

test("each value is a property with a default that fits npm start, so that the window can run it", () => {
  const properties = [...plan.matchAll(/\$\{__P\((\w+),([^()]*)/g)].map(([, name, value]) => [
    name,
    value,
  ]);
  assert.deepEqual(Object.fromEntries(properties), {
    version: "v1",
    event: "demo-row-lock",
    limit: "100",
    people: "200",
    crowd: "jmeter-${__time",
    host: "127.0.0.1",
    port: "3000",
    ramp: "2",
    deadline: "60",
  });
});

test("the pom pins JMeter and a plugin for Maven 3.8, and keeps what it makes out of git", () => {
  assert.match(pom, /<jmeterVersion>5\.6\.3<\/jmeterVersion>/);
  assert.match(pom, /<artifactId>jmeter-maven-plugin<\/artifactId>.*?<version>3\.7\.0<\/version>/s);
  assert.match(pom, /<stampede\.target>\$\{project\.basedir\}\/\.\.\/\.\.\/\.stampede\//);
  assert.match(pom, /<directory>\$\{stampede\.target\}<\/directory>/);
});
