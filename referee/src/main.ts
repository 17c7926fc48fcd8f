// `npm run judge -- FILE-OR-FOLDER ...`: judges saved runs again, for instance by a better referee.
// Ends with 0 where all are right, 1 where one is wrong, 2 where one cannot be judged.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { verdictText } from "./verdict-text.ts";
import { judge } from "./judge.ts";
import { readSavedRun, SavedRunFault } from "./saved-run.ts";

const usage = `npm run judge -- FILE-OR-FOLDER ...

Judges saved runs (JSON lines, as npm run rush -- --history FILE writes them); of a folder, every
file that ends with .jsonl. The rules are in docs/referee.md.
Exit status: 0 all right, 1 something is wrong (also where it is only not finished), 2 something cannot be judged.
`;

const right = 0;
const wrong = 1;
const notJudged = 2;

async function main(paths: readonly string[]): Promise<number> {
  if (paths.includes("--help")) {
    process.stdout.write(usage);
    return right;
  }
  if (paths.length === 0) {
    process.stderr.write(usage);
    return notJudged;
  }
  let worst = right;
  for (const path of paths) {
    try {
      for (const file of filesOf(path)) worst = Math.max(worst, await judgeFile(file));
    } catch (error) {
      process.stderr.write(`${path}: CANNOT BE JUDGED: ${reasonOf(error)}\n`);
      worst = notJudged;
    }
  }
  return worst;
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith(".jsonl"));
  if (names.length === 0) throw new SavedRunFault("the folder has no file that ends with .jsonl");
  return names.toSorted().map((name) => join(path, name));
}

async function judgeFile(file: string): Promise<number> {
  try {
    const run = await readSavedRun(file);
    const findings = judge(run);
    process.stdout.write(`${file}: ${verdictText(run, findings)}\n`);
    return findings.length === 0 ? right : wrong;
  } catch (error) {
    process.stderr.write(`${file}: CANNOT BE JUDGED: ${reasonOf(error)}\n`);
    return notJudged;
  }
}

function reasonOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return error instanceof SavedRunFault ? `it is no saved run: ${said}` : said;
}

process.exitCode = await main(process.argv.slice(2));
