// `npm run containers` stands in for public images (proof/containers/stand-ins): under the very names that
// our own files ask for, or what is tried there is something else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { composeOf, fieldsOf, readFile } from "./compose-model.ts";
import { baseOf, instructionsOf } from "./image-rules.ts";

/** What no package registry has. */
const unseen = new Set(["grafana", "kafka-exporter"]);

test("stand-ins have the names of every public image that a deployment uses, and of no other", () => {
  const instructions = instructionsOf(readFile("deploy/Dockerfile"));
  const { services } = composeOf(["compose.yaml", "compose.cluster.yaml"]);
  const wanted = Object.entries(services)
    .filter(([name]) => !unseen.has(name))
    .map(([, service]) => {
      const { target } = fieldsOf(service["build"]);
      return typeof target === "string" ? baseOf(instructions, target) : service["image"];
    });
  const standIns = composeOf(["proof/containers/stand-ins/compose.yaml"]);
  const names = Object.values(standIns.services).map((service) => service["image"]);
  assert.deepEqual(new Set(names), new Set(wanted));
});
