/**
 * The rows of the matrix that no test produces, each with its reason. `npm run faults` prints them,
 * and fails for a row that is neither here nor reported, and for one that is both.
 */
export const notRun: Readonly<Record<string, string>> = {};
