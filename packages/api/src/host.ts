import type { Registry } from "prom-client";
import type { DatabaseRoom } from "./listening.ts";

/** Who a server process reports to, and hears from when to listen and when to stop. */
export type Host = {
  readonly stopped: Promise<void>;
  /** Everything is open; resolves when people may come. */
  readonly mayListen: (room: DatabaseRoom) => Promise<void>;
  readonly listens: (where: string) => void;
  readonly cannotStart: (why: string) => Promise<void>;
  /** Reads what /metrics answers, where this process is not all there is. */
  readonly metricsReader: ((own: Registry) => () => Promise<string>) | null;
};
