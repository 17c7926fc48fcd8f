import type { MechanismDescription } from "../mechanism.ts";
import { groupCommitIssuer } from "./issuer.ts";

export const groupCommit: MechanismDescription = {
  name: "group-commit",
  version: "v4",
  title: "Group commit",
  summary:
    "One lock and one commit in PostgreSQL decide all claims that arrived during the last one.",
  needs: ["postgres"],
  queues: false,
  batches: ["group-commit"],
  open({ decisions: postgres, directory, drawCode, stack }) {
    const issuer = stack.use(
      groupCommitIssuer({ postgres, directory, drawCode }),
      "the claims of v4",
    );
    return {
      issuer,
      preparation: null,
      available: () => postgres.isUp(),
      measures: [],
      resources: { "group-commit-line": () => issuer.saturation() },
      lines: () => issuer.lines(),
    };
  },
};
