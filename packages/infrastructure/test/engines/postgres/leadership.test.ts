// One leader per duty, whatever becomes of it. Leaders may overlap for a moment (the duties' own
// fences make that harmless); what must not happen is that nobody leads. Each test names what turns
// it red.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { leadership } from "../../../src/engines/postgres/leadership.ts";
import type { Leadership } from "../../../src/engines/postgres/leadership.ts";
import { createTestDatabase, openSecondInstance } from "../../support/database.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { hearFacts } from "../../support/facts.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { openClient, untilRefusedLead } from "../../support/postgres.ts";

const DUTY = "a test's duty";
/** A leader that stopped speaking is ended after 3 s; the others try every second. */
const TAKEOVER_MS_MAX = 6_500;
/** Beyond every answer that is waited for. */
const CLOSED_MS_MAX = 10_000;

type Candidate = {
  readonly leadership: Leadership;
  /** Terms begun and ended so far, and those that followed upon another leader. */
  readonly terms: { begun: number; ended: number; takenOver: number };
  readonly givenBack: readonly string[];
};

async function openCandidate(
  t: TestContext,
  url: string,
  onTerm: () => void = () => undefined,
  isAble: () => boolean = () => true,
): Promise<Candidate> {
  const { postgres } = await openSecondInstance(t, url);
  const terms = { begun: 0, ended: 0, takenOver: 0 };
  const givenBack: string[] = [];
  const candidate = leadership(postgres, {
    duty: DUTY,
    lead: async (signal) => {
      terms.begun += 1;
      onTerm();
      const ended = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => ended.resolve());
      if (!signal.aborted) await ended.promise;
      terms.ended += 1;
    },
    isAble,
    onGivenBack: (message) => givenBack.push(message),
    onError: () => undefined,
    onTakeover: () => {
      terms.takenOver += 1;
    },
  });
  t.after(async () => candidate.close());
  return { leadership: candidate, terms, givenBack };
}

function leadersOf(candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter((candidate) => candidate.leadership.isLeader());
}

type LeaderProcess = {
  readonly said: () => string;
  readonly signal: (name: "SIGSTOP" | "SIGCONT") => void;
};

function startLeaderProcess(t: TestContext, url: string): LeaderProcess {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "leader-process.ts"), url, DUTY],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  t.after(async () => {
    // Also where it is paused.
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  return { said: () => said, signal: (name) => void child.kill(name) };
}

const holdsLock = `
  SELECT pid FROM pg_locks
   WHERE locktype = 'advisory' AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

// Red when a leader that reaches PostgreSQL and not the other engine of its duty keeps the lead.
test("gives the lead back when it cannot do its duty, and takes no lead before it can", async (t) => {
  const url = await createTestDatabase(t);
  let able = true;
  const first = await openCandidate(
    t,
    url,
    () => undefined,
    () => able,
  );
  await until(() => first.leadership.isLeader(), "the first one leads");
  const second = await openCandidate(t, url);
  able = false;
  await until(() => second.leadership.isLeader(), "the other one takes over", { msMax: 10_000 });
  assert.equal(first.givenBack.length, 1);
  assert.match(first.givenBack[0] ?? "", /gives back the lead of the a test's duty/);
  await second.leadership.close();
  // Nobody else is there, and still it does not take what it cannot do.
  const sinceMs = performance.now();
  await until(() => performance.now() - sinceMs > 1_500, "it has had the time");
  assert.equal(first.leadership.isLeader(), false);
  able = true;
  await until(() => first.leadership.isLeader(), "it leads again once it can");
});

describe("leadership", { skip: missing("postgres") }, () => {
  // Red when the lock's answer is not looked at (`tryLock`).
  test("belongs to one of several candidates, and to the next one when that steps down", async (t) => {
    const url = await createTestDatabase(t);
    const candidates = await Promise.all([1, 2, 3].map(async () => openCandidate(t, url)));
    await until(() => leadersOf(candidates).length === 1, "somebody leads");
    const [first] = leadersOf(candidates);
    assert.ok(first !== undefined);
    assert.equal(
      candidates.reduce((sum, { terms }) => sum + terms.begun, 0),
      1,
    );
    await first.leadership.close();
    assert.deepEqual(first.terms, { begun: 1, ended: 1, takenOver: 0 });
    await until(() => leadersOf(candidates).length === 1, "the next one leads", {
      msMax: TAKEOVER_MS_MAX,
    });
    assert.notEqual(leadersOf(candidates)[0], first);
    assert.equal(first.terms.begun, 1);
  });

  // Red when the first leader of all counts as one that took over, or a successor does not.
  test("counts as a takeover for the next leader, and not for the first", async (t) => {
    const url = await createTestDatabase(t);
    const observer = await openClient(t, url);
    const first = await openCandidate(t, url);
    await until(() => first.leadership.isLeader(), "the first one leads");
    const next = await openCandidate(t, url);
    await untilRefusedLead(observer);
    await first.leadership.close();
    await until(() => next.leadership.isLeader(), "the next one leads", { msMax: TAKEOVER_MS_MAX });
    assert.equal(first.terms.takenOver, 0);
    assert.equal(next.terms.takenOver, 1);
  });

  // Red when neither the session's end nor a failed word on it ends the term.
  test("passes on when the leader's session is ended, and the old leader learns of it", async (t) => {
    const url = await createTestDatabase(t);
    const observer = await openClient(t, url);
    const candidates = await Promise.all([1, 2].map(async () => openCandidate(t, url)));
    await until(() => leadersOf(candidates).length === 1, "somebody leads");
    await untilRefusedLead(observer);
    const [first] = leadersOf(candidates);
    const { rows } = await observer.query<{ pid: number }>(holdsLock);
    assert.equal(rows.length, 1);
    await observer.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
    await until(() => first!.terms.ended === 1, "the old leader stops", { msMax: TAKEOVER_MS_MAX });
    await until(() => leadersOf(candidates).length === 1, "somebody leads again", {
      msMax: TAKEOVER_MS_MAX,
    });
    // Whoever it is: the other one, or the same one that had lost it.
    const takeovers = candidates.reduce((sum, { terms }) => sum + terms.takenOver, 0);
    assert.equal(takeovers, 1);
  });

  // A8. Red when `idle_session_timeout` is not set: the lock of a leader that is paused, or cut off
  // without a word, would stay for as long as its session stands.
  test("passes on when the leader is paused although its session stands", async (t) => {
    const url = await createTestDatabase(t);
    const paused = startLeaderProcess(t, url);
    await until(() => paused.said().includes("leads"), "the first one leads");
    const other = await openCandidate(t, url);
    paused.signal("SIGSTOP");
    await until(() => other.leadership.isLeader(), "the other one leads", {
      msMax: TAKEOVER_MS_MAX,
    });
    paused.signal("SIGCONT");
    await until(() => paused.said().includes("led"), "the first one learns of it", {
      msMax: TAKEOVER_MS_MAX,
    });
    assert.equal(other.terms.ended, 0);
  });

  // Red when a failed word of the leader does not end its term (`keepSpeaking`).
  test("passes on when the leader's network falls silent", async (t) => {
    const url = await createTestDatabase(t);
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const silenced = await openCandidate(t, proxy.through(url));
    await until(() => silenced.leadership.isLeader(), "the first one leads");
    const other = await openCandidate(t, url);
    proxy.fallSilent();
    await until(() => other.leadership.isLeader(), "the other one leads", {
      msMax: TAKEOVER_MS_MAX,
    });
    await until(() => silenced.terms.ended === 1, "the silent one stops too", {
      msMax: TAKEOVER_MS_MAX,
    });
    proxy.comeBack();
    assert.equal(other.terms.ended, 0);
  });

  // Red when a refusal ends no term that had begun and is told to nobody, as PostgreSQL 13's of
  // `idle_session_timeout` was: nobody ever leads, and nobody knows why.
  test("that cannot come is heard of at each attempt, in PostgreSQL's own words", async (t) => {
    const heard = hearFacts(t);
    const { postgres } = await openSecondInstance(t, await createTestDatabase(t));
    const hopeless = leadership(
      {
        ...postgres,
        openSession: async (settings) =>
          postgres.openSession({ ...settings, unknown_in_this_version: "1" }),
      },
      { duty: DUTY, lead: async () => undefined, onError: (error) => t.diagnostic(String(error)) },
    );
    t.after(async () => hopeless.close());
    await until(() => heard.failures.length >= 2, "two attempts are heard of");
    assert.ok(heard.failures.every(({ part }) => part === "leadership"));
    assert.match(
      String(heard.failures[0]?.error),
      /refused: unrecognized configuration parameter "unknown_in_this_version"/,
    );
  });

  // Red when what `lead` throws ends the candidate, or keeps the lock.
  test("is given up by a leader whose duty fails, and tried again", async (t) => {
    const url = await createTestDatabase(t);
    const { postgres } = await openSecondInstance(t, url);
    const errors: unknown[] = [];
    let terms = 0;
    const failing = leadership(postgres, {
      duty: "a duty that fails",
      lead: async () => {
        terms += 1;
        throw new Error(`term ${terms} failed`);
      },
      onError: (error) => errors.push(error),
    });
    t.after(async () => failing.close());
    await until(() => terms >= 2, "a second term");
    assert.match(String(errors[0]), /term 1 failed/);
  });

  // Red when a term that begins just then does not look whether it may: it took the lock and led for
  // ever, and whoever closed it waited as long.
  test("steps down where it is closed while its session is being opened", async (t) => {
    const url = await createTestDatabase(t);
    const { postgres } = await openSecondInstance(t, url);
    const opened = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    let led = 0;
    const candidate = leadership(
      {
        ...postgres,
        async openSession(settings) {
          const session = await postgres.openSession(settings);
          opened.resolve();
          await mayGoOn.promise;
          return session;
        },
      },
      {
        duty: DUTY,
        lead: async (signal) => {
          led += 1;
          await once(signal, "abort");
        },
        onError: () => undefined,
      },
    );
    await opened.promise;
    const closing = candidate.close();
    mayGoOn.resolve();
    assert.equal(await endsIn(closing, CLOSED_MS_MAX), true);
    assert.equal(led, 0);
  });

  // Red when the end of a session waits for a server that says nothing any more.
  test("steps down although its server says nothing any more", async (t) => {
    const url = await createTestDatabase(t);
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const candidate = await openCandidate(t, proxy.through(url));
    await until(() => candidate.leadership.isLeader(), "it leads");
    proxy.fallSilent();
    assert.equal(await endsIn(candidate.leadership.close(), CLOSED_MS_MAX), true);
    proxy.comeBack();
  });
});

async function endsIn(closing: Promise<void>, msMax: number): Promise<boolean> {
  return Promise.race([closing.then(() => true), pause(msMax, false, { ref: false })]);
}
