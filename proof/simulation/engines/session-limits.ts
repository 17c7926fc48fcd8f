import type {
  Answer,
  Asking,
  Begin,
  Statement,
} from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import type { Limits } from "./database.ts";
import { SAFE_SERVER } from "./sql.ts";
import { list } from "./sql-step.ts";

/** To open a session and to begin it are one exchange of messages here, with a server that is safe. */
export async function limitsBegunWith(begin: Begin): Promise<Limits> {
  let own = new Map<unknown, unknown>();
  const query = async (statement: Statement): Promise<Answer<Record<string, string>>> => {
    const [names, values] = typeof statement === "string" ? [] : statement.values;
    own = new Map(list(names).map((name, index) => [name, list(values)[index]]));
    return { rows: [SAFE_SERVER], command: "SELECT" };
  };
  await begin({ query: query as Asking["query"] });
  const limitOf = (name: string): number => {
    const ms = /^(?<ms>\d+)ms$/.exec(String(own.get(name)))?.groups?.["ms"];
    return ms === undefined ? Infinity : Number(ms);
  };
  return {
    lockMsMax: limitOf("lock_timeout"),
    statementMsMax: limitOf("statement_timeout"),
    idleInTransactionMsMax: limitOf("idle_in_transaction_session_timeout"),
    idleMsMax: limitOf("idle_session_timeout"),
  };
}
