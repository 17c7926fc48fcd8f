// The words of the project, one for each thing; docs/dictionary.md shows them.

export const words: readonly (readonly [word: string, meaning: string])[] = [
  [
    "event",
    "A coupon event: a sale of `limit` coupons in a window of time. What happens in the code is a *fact*.",
  ],
  ["limit", "How many coupons an event has; it may rise, and never falls."],
  ["claim", "One person asks for a coupon of an event. Claiming again is always safe."],
  [
    "attempt",
    "One HTTP request of a person, in a history: a claim, or a question what became of it.",
  ],
  ["coupon issue", "The durable record that a person has a coupon: its `seq`, `code` and time."],
  ["row", "A line of a table in PostgreSQL; without more, one of `coupon_issues`."],
  ["case", "A line of the fault matrix: who meets which fault, and what must hold."],
  ["promise", "S or L with a number: what is never wrong, and what is finished in time."],
  [
    "open",
    "The window of an event: from `opensAt` until `closesAt`. Functions that connect to something or build it are called `open...` as in Node; nothing else is open.",
  ],
  ["paused", "An operator lets nobody in for the moment, window or not."],
  ["door", "Where window and pause are judged: before a claim counts, and never afterwards."],
  [
    "mechanism",
    "How an event decides who wins: v1 row lock, v2 Redis counter, v3 Kafka queue, v4 group commit.",
  ],
  [
    "line",
    "Claims of one event that wait in a process for the next batch. In v3 also the people who wait for their decision.",
  ],
  ["batch", "Claims that share one transaction, one script call or one Produce."],
  ["ticket", "v3: the place of a claim in the log, which is its offset, counted from 0."],
  [
    "ahead",
    "v3: how many tickets are decided before this one: the ticket minus the mark, 0 at least.",
  ],
  ["mark", "v3: the next undecided offset of an event's log, in PostgreSQL."],
  ["epoch", "v3: the number that a decider takes when it starts; an older one commits nothing."],
  ["decider", "v3: the process that reads the log and makes its first persons winners."],
  ["pace", "v3: how many tickets are decided in a second, where an operator sets it."],
  ["halted", "v3: an event whose log cannot be trusted; nothing of it is decided any more."],
  ["code key", "v3: an event's secret in PostgreSQL, from which its coupons' codes follow."],
  ["voided", "v3: a halted event that an operator ended; whoever has no coupon of it gets none."],
  ["retired", "v3: a queue that is over and whose log is deleted."],
  ["log", "v3: the records of an event in Kafka, in order. What a process prints are *log lines*."],
  ["reservation", "v2: Redis has given a person a number, and their row is not committed yet."],
  [
    "finished",
    "An event that is sold out, or closed for a minute with nothing under way. v2: Redis holds nothing of it any more.",
  ],
  [
    "generation",
    "v2: a random value, the same in Redis and PostgreSQL while what Redis holds may count.",
  ],
  [
    "stamp",
    "v2: generation, run of the Redis server and scripts by which it counts. Redis keeps it in the field `open`; with any other stamp it does not count.",
  ],
  [
    "reconciler",
    "v2: one process of all, which writes rows of lost reservations and makes Redis forget what is finished.",
  ],
  [
    "guard",
    "The locked row and the constraints in PostgreSQL, by which each mechanism's rows are decided.",
  ],
  ["directory", "What a process knows of the events in use, read from PostgreSQL."],
  ["refused", "The rules say no, and nothing has changed."],
  ["unavailable", "Certainly not applied; an engine failed before anything was done."],
  ["unknown", "It may be applied: nobody knows until somebody asks. Never taken for *failed*."],
  ["history", "All attempts of a run with their answers and times, on one clock."],
  ["referee", "It judges a history with rows, log and Redis, and shares no code with the service."],
  [
    "right, wrong, void",
    "A run is *right*; *wrong* when a promise is broken; *void* when it is right and its figures are not the server's, or when its fault never happened.",
  ],
];
