import { TIME_MS_MAX } from "../bounds.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";

/** What is wrong with a text that should be a time. */
export type TimeFault =
  | "lower-case"
  | "no-zone"
  | "no-offset-minutes"
  | "no-seconds"
  | "no-time-of-day"
  | "no-such-day"
  | "no-such-time"
  | "no-such-offset"
  | "hour-24"
  | "leap-second"
  | "out-of-range"
  | "other";

/** RFC 3339, and two forms of everyday tools: a space for T, and an offset without its colon. */
const FORM =
  /^(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)[T ](?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)(?:\.(?<fraction>\d+))?(?:Z|(?<sign>[+-])(?<offsetHour>\d\d):?(?<offsetMinute>\d\d))$/;

const DAYS_OF_MONTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAY_MS = 86_400_000;
const DAYS_TO_1970 = 719_162;

/** Epoch milliseconds of a time that names its zone; what is finer than a millisecond is left out. */
export function parseTime(text: string): Result<number, TimeFault> {
  const groups = FORM.exec(text)?.groups;
  if (groups === undefined) return refuse(faultOfForm(text));
  const part = (name: string): number => Number(groups[name] ?? 0);
  const [year, month, day] = [part("year"), part("month"), part("day")];
  const [hour, minute, second] = [part("hour"), part("minute"), part("second")];
  const [offsetHour, offsetMinute] = [part("offsetHour"), part("offsetMinute")];
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return refuse("no-such-day");
  if (hour > 24 || minute > 59 || second > 60) return refuse("no-such-time");
  if (hour === 24) return refuse("hour-24");
  if (second === 60) return refuse("leap-second");
  if (offsetHour > 23 || offsetMinute > 59) return refuse("no-such-offset");
  const offset = (groups["sign"] === "-" ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  const seconds = (hour * 60 + minute - offset) * 60 + second;
  const fractionMs = Number((groups["fraction"] ?? "").slice(0, 3).padEnd(3, "0"));
  const ms = daysSince1970(year, month, day) * DAY_MS + seconds * 1_000 + fractionMs;
  return ms < 0 || ms > TIME_MS_MAX ? refuse("out-of-range") : ok(ms);
}

function faultOfForm(text: string): TimeFault {
  if (FORM.test(text.toUpperCase())) return "lower-case";
  if (FORM.test(`${text}Z`)) return "no-zone";
  if (FORM.test(`${text}:00`)) return "no-offset-minutes";
  if (/^[+-]?\d{5,}-/.test(text)) return "out-of-range";
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return "no-time-of-day";
  return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:Z|[+-]|$)/.test(text) ? "no-seconds" : "other";
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysBefore(year: number, month: number): number {
  const leapDay = month > 2 && isLeapYear(year) ? 1 : 0;
  return DAYS_OF_MONTHS.slice(0, month - 1).reduce((sum, days) => sum + days, leapDay);
}

function daysOf(year: number, month: number): number {
  return daysBefore(year, month + 1) - daysBefore(year, month);
}

/** By the Gregorian calendar, as if it had been in use since year 1. */
function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  return before * 365 + leapDays + daysBefore(year, month) + day - 1 - DAYS_TO_1970;
}
