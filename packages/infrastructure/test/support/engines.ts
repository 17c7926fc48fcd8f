// How a test of this package reaches the engines that `npm test` has started:
//
//   test("a sentence", { skip: missing("redis") }, async (t) => { ... testEngine("redis") ... });
//
// The code stands in src/embedded, where the tests of the other workspaces find it as well.
export { missing, testEngine } from "../../src/embedded/index.ts";
