// What a simulated PostgreSQL has committed, and its constraints.
export type EventRecord = {
  readonly id: string;
  readonly mechanism: string;
  readonly createdSeq: number;
  name: string;
  limit: number;
  issued: number;
  version: number;
  paused: boolean;
  pace: number | null;
  listed: boolean;
  opensAtMs: number;
  closesAtMs: number | null;
};

export type IssueRecord = {
  readonly eventId: string;
  readonly seq: number;
  readonly userId: string;
  readonly code: string;
  readonly issuedAtMs: number;
  readonly ticket: number | null;
  /** On the clock of the scheduler. */
  committedMs: number;
};

export type QueueRecord = {
  readonly topic: string;
  readonly topicId: string;
  readonly codeKey: string;
  epoch: number;
  nextOffset: number;
  lastWinningTicket: number | null;
  halted: string | null;
};

export class Tables {
  readonly events = new Map<string, EventRecord>();
  /** Of each event by `seq`, and by person. */
  readonly issues = new Map<string, Map<number, IssueRecord>>();
  readonly holders = new Map<string, Map<string, IssueRecord>>();
  readonly codes = new Set<string>();
  readonly queues = new Map<string, QueueRecord>();
  readonly generations = new Map<string, string>();
  readonly rejected = new Map<string, Map<number, string>>();

  issuesOf(eventId: string): IssueRecord[] {
    return [...(this.issues.get(eventId)?.values() ?? [])].sort((a, b) => a.seq - b.seq);
  }

  mine(eventId: string, userId: string): IssueRecord | undefined {
    return this.holders.get(eventId)?.get(userId);
  }

  addIssue(issue: IssueRecord): void {
    const rows = this.issues.get(issue.eventId) ?? new Map<number, IssueRecord>();
    const holders = this.holders.get(issue.eventId) ?? new Map<string, IssueRecord>();
    rows.set(issue.seq, issue);
    holders.set(issue.userId, issue);
    this.issues.set(issue.eventId, rows);
    this.holders.set(issue.eventId, holders);
    this.codes.add(issue.code);
  }
}

/** An error as the server answers it: `pg` gives its errors a SQLSTATE and a severity. */
export class ServerError extends Error {
  readonly code: string;
  readonly severity: "ERROR" | "FATAL";

  constructor(code: string, message: string, severity: "ERROR" | "FATAL" = "ERROR") {
    super(message);
    this.code = code;
    this.severity = severity;
  }
}
