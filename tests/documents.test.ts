// What the documents point at is there. Red when a page, a heading or a test moves and a link or a
// quoted path to it does not.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const pages = globSync(["*.md", "docs/**/*.md", "proof/**/*.md"], {
  cwd: root,
  exclude: (path) => path.includes("node_modules"),
});

test("every link of the documents leads to a page that exists, and to a heading of it", () => {
  assert.ok(pages.length > 20);
  const dead = pages.flatMap((page) =>
    linksOf(textOf(page))
      .filter((link) => !leadsSomewhere(page, link))
      .map((link) => `${page}: ${link}`),
  );
  assert.deepEqual(dead, []);
});

test("every npm script that the documents name exists", () => {
  const { scripts } = JSON.parse(textOf("package.json"));
  const unknown = pages
    .filter((page) => !page.includes("decisions") && page !== "CHANGELOG.md")
    .flatMap((page) =>
      Array.from(textOf(page).matchAll(/\bnpm run (?:-s )?(?<name>[a-z][a-z:]*)/g), (found) => {
        const name = found.groups?.["name"] ?? "";
        return name in scripts ? [] : [`${page}: npm run ${name}`];
      }).flat(),
    );
  assert.deepEqual(unknown, []);
});

test("every document of docs is reached from its reading roads", () => {
  const roads = new Set(linksOf(textOf("docs/README.md")).map((link) => link.replace(/#.*$/, "")));
  const lonely = globSync("docs/*.md", { cwd: root })
    .map((page) => relative("docs", page))
    .filter((page) => page !== "README.md" && !roads.has(page));
  assert.deepEqual(lonely, []);
});

function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** Relative ones; what stands in code is no link. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/```.*?```/gs, "").replaceAll(/`[^`\n]*`/g, "");
  return Array.from(
    prose.matchAll(/\]\((?<to>[^)\s]+)\)/g),
    (found) => found.groups?.["to"] ?? "",
  ).filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", heading] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return false;
  if (heading === undefined) return true;
  return target.endsWith(".md") && headingsOf(textOf(target)).includes(heading);
}

/** As GitHub makes anchors of headings. */
function headingsOf(text: string): string[] {
  return Array.from(text.matchAll(/^#{1,6} (?<title>.+)$/gm), (found) =>
    (found.groups?.["title"] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
