// Where a service of a deployment finds the project's files: mounted, or in its own image.
import { fieldsOf, mountsOf, readFile } from "./compose-model.ts";
import type { Fields, Mount } from "./compose-model.ts";
import { copiesOf, instructionsOf, stageOf } from "./image-rules.ts";

/** What a service's own image holds of the project. */
function copiesFor(service: Fields): readonly Mount[] {
  const { target } = fieldsOf(service["build"]);
  if (typeof target !== "string") return [];
  const stage = stageOf(instructionsOf(readFile("deploy/Dockerfile")), target);
  return copiesOf(stage).map((copy) => ({ ...copy, mode: "ro" }));
}

/** The project's file or folder that a service finds at a path: mounted, or in its image. */
export function placedAt(service: Fields, path: string): string | null {
  const places = [
    ...mountsOf(service).filter(({ source }) => source.startsWith(".")),
    ...copiesFor(service),
  ];
  // The innermost first: one place may lie inside another one.
  const place = places
    .toSorted((a, b) => b.target.length - a.target.length)
    .find(({ target }) => path === target || path.startsWith(`${target}/`));
  return place === undefined ? null : place.source + path.slice(place.target.length);
}
