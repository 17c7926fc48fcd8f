// What the process does is decided before anything of it is loaded: a primary needs no engine and no route.
import { runProgram } from "./program.ts";

await runProgram(process.env, async () => import("./serve.ts"), process.argv.slice(2));
