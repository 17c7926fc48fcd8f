/** What embed.js says. `kept` stands before the others for whoever is in line; a time, a number or the code may follow. */

const ENGLISH = {
  code: "en",
  claim: "Get a coupon",
  kept: "Your place is kept.",
  open: "",
  busy: "One moment …",
  scheduled: "Opens:",
  queued: "You are in line. Ahead of you:",
  stalled: "The line stands still until the shop acts.",
  issued: "Your coupon:",
  "sold-out": "Sold out.",
  closed: "This sale is over.",
  voided: "The shop ended this sale. No more coupons are given out.",
  paused: "Paused. Try again soon.",
  unavailable: "Not available now. Try again soon.",
  lost: "No connection. Trying again.",
  none: "Your claim did not arrive. Claim again: nobody gets two.",
  unauthenticated: "Sign in to get a coupon.",
  "no-such-event": "There is no such sale.",
};

/** @type {typeof ENGLISH} */
const KOREAN = {
  code: "ko",
  claim: "쿠폰 받기",
  kept: "순번은 그대로 유지됩니다.",
  open: "",
  busy: "잠시만 기다려 주세요 …",
  scheduled: "시작 시각:",
  queued: "대기 중입니다. 앞선 신청 수:",
  stalled: "대기열이 멈췄습니다. 판매자가 조치할 때까지 기다려 주세요.",
  issued: "쿠폰 코드:",
  "sold-out": "매진되었습니다.",
  closed: "종료된 이벤트입니다.",
  voided: "판매자가 이 이벤트를 종료했습니다. 쿠폰은 더 이상 발급되지 않습니다.",
  paused: "일시 중지되었습니다. 잠시 후 다시 시도하세요.",
  unavailable: "지금은 받을 수 없습니다. 잠시 후 다시 시도하세요.",
  lost: "연결이 끊겼습니다. 다시 연결하고 있습니다.",
  none: "신청이 도착하지 않았습니다. 다시 신청해도 쿠폰은 한 장만 발급됩니다.",
  unauthenticated: "로그인하면 쿠폰을 받을 수 있습니다.",
  "no-such-event": "없는 이벤트입니다.",
};

/** @type {(language: string) => Readonly<Record<string, string>>} */
export const wordsIn = (language) => (language.startsWith("ko") ? KOREAN : ENGLISH);
