/**
 * Every sentence of the page, in English and Korean. `{name}` is filled in by `fill`. The type of
 * the English table makes a sentence that is missing in Korean a type error.
 */

export const ENGLISH = {
  tagline: "Limited coupons, first come, first served.",
  skip: "Skip to the events",
  otherLanguage: "한국어",
  you: "You are",
  signedInAs: "Signed in as",
  notSignedIn: "You are not signed in.",
  signIn: "Sign in",
  change: "Change",
  userIdLabel: "Your user id",
  userIdHint: "Development mode: no password. Whoever uses this id gets its coupons.",
  userIdWrong:
    "Use 1 to 255 characters: letters A-Z, digits and signs such as @ . | : but no spaces.",
  tokenLabel: "Your access token",
  tokenHint:
    "You get it from the shop's own sign-in. This tab keeps it, and forgets it when you close it.",
  tokenWrong: "This is no access token with a user id in it.",
  save: "Save",
  cancel: "Cancel",
  personChanged: "You are now {userId}.",
  events: "Events",
  loading: "Loading the events …",
  noEvents: "There are no events yet. An operator opens one with POST /events.",
  unreachable: "The server cannot be reached. Trying again; what you have is kept.",
  more: "Show more events",
  footer: "One coupon for each person. Asking twice never costs and never gains anything.",
  contract: "The HTTP contract",
  desk: "Live desk",

  "state.scheduled": "Scheduled",
  "state.open": "Open",
  "state.sold-out": "Sold out",
  "state.closed": "Closed",
  "state.paused": "Paused",
  left: "of {limit} left",
  leftBar: "Coupons left",
  opensIn: "Opens in",
  opensAt: "Opens {time}",
  closesAt: "Until {time}",
  days: "{days} d {clock}",

  "button.claim": "Get a coupon",
  "button.again": "Claim again",
  "button.look": "Look for my coupon",
  "button.early": "Not open yet",
  "button.busy": "One moment …",
  "button.wait": "Again in {seconds} s",
  "button.copy": "Copy the code",
  "button.copied": "Copied",
  "button.selected": "Selected: copy it now",

  aheadOne: "claim ahead of you",
  aheadMany: "claims ahead of you",
  progress: "Your way through the line",
  placeNumber: "Place {place} in the line",
  guaranteed: "Coupon guaranteed",
  guaranteedWhy: "{limit} coupons, and your place is {place}: whoever is before you, one is yours.",
  notGuaranteed: "Not guaranteed",
  notGuaranteedWhy:
    "{limit} coupons, and your place is {place}: you get one if enough claims before you are repeats.",
  estimateSoon: "A few seconds left",
  estimate: "About {duration} left",
  yourCode: "Your code",
  issuedAt: "Issued {time}",

  "place.issued": "Coupon {seq} of {limit} is yours.",
  "place.soldOut": "Sold out. Every coupon went to somebody else.",
  "place.voided": "The shop ended this sale. Your place was not decided, and you have no coupon.",
  "place.claiming": "Asking for your coupon …",
  "place.finding": "Finding your place in the line …",
  "place.waiting": "Your place is kept, also if you close this page.",
  "place.deciding": "Your turn. Fetching the result …",
  "place.connectionLost": "Connection lost. Your place is kept; trying again.",
  "place.signedOut":
    "The server does not accept your sign-in any more. Your place is kept: sign in again to get the result.",

  "event.scheduled": "The button works as soon as it opens, by the server's clock.",
  "event.open": "Open now.",
  "event.sold-out": "All coupons are gone.",
  "event.closed": "This event is over.",
  "event.voided": "The shop ended this sale. No more coupons are given out.",
  "event.paused": "Paused by the operator. Who is in line keeps their place.",
  "event.unavailable": "It takes no claims at the moment: a part of the service is down.",

  "unknown.outcome-unknown":
    "The server could not tell whether your claim went through. Asking again …",
  "unknown.pending": "A coupon is reserved for you and is being written. Asking again …",
  "unknown.stalled": "The line has stopped until the shop acts. Your place in it is kept.",
  "unknown.network": "No answer yet. Your claim may have gone through. Asking the server …",
  "unknown.server-error": "The server failed. Your claim may have gone through. Asking again …",
  "unknown.none":
    "The server knows of no claim of yours so far. Claim again: nobody ever gets two coupons.",
  none: "You have no coupon of this event.",
  lookFailed: "No answer came. Nothing has changed; try again.",

  "refused.not-open": "Too early by the server's clock. It opens {time}. Nothing is lost.",
  "refused.closed": "The event closed before your claim arrived.",
  "refused.paused": "The event is paused. Try again when it goes on.",
  "refused.wrong-mechanism": "The page used a wrong address and has corrected it. Try again.",
  "refused.unauthenticated": "The server does not know who you are. It wants a signed-in person.",
  "refused.forbidden": "The server knows you, but you may not do this.",
  "refused.no-such-event": "This event does not exist any more.",
  "refused.invalid-request": "The server did not accept the request. Check your user id.",
  "refused.too-many-requests": "Too many requests from you. Wait a moment, then try again.",
  "refused.unavailable": "The service is not available now. Your claim did not go through.",
  "refused.refused": "The server refused the claim. Nothing has changed.",

  "announce.waiting": "{name}: in line, {ahead} ahead of you.",
  "announce.guaranteed": "{name}: in line, {ahead} ahead of you. A coupon is guaranteed.",
  "announce.sentence": "{name}: {sentence}",
  "title.waiting": "{ahead} ahead · Stampede",
  "title.issued": "Your coupon · Stampede",
};

/** @typedef {typeof ENGLISH} Messages */
/** @typedef {keyof Messages} MessageKey */

/** @type {Messages} */
export const KOREAN = {
  tagline: "한정 쿠폰을 선착순으로 나눠 드립니다.",
  skip: "이벤트 목록으로 건너뛰기",
  otherLanguage: "English",
  you: "현재 사용자",
  signedInAs: "로그인한 사용자",
  notSignedIn: "로그인하지 않았습니다.",
  signIn: "로그인",
  change: "변경",
  userIdLabel: "사용자 ID",
  userIdHint: "개발 모드라 비밀번호가 없습니다. 이 ID를 쓰는 사람이 쿠폰을 받습니다.",
  userIdWrong: "영문자, 숫자와 @ . | : 같은 기호로 1~255자를 입력하세요. 공백은 쓸 수 없습니다.",
  tokenLabel: "액세스 토큰",
  tokenHint: "쇼핑몰에 로그인하면 받을 수 있습니다. 이 탭에만 보관되며 탭을 닫으면 사라집니다.",
  tokenWrong: "사용자 ID가 들어 있는 액세스 토큰이 아닙니다.",
  save: "저장",
  cancel: "취소",
  personChanged: "이제 사용자는 {userId}입니다.",
  events: "이벤트",
  loading: "이벤트를 불러오는 중입니다 …",
  noEvents: "아직 이벤트가 없습니다. 운영자가 POST /events 로 만들 수 있습니다.",
  unreachable: "서버에 연결할 수 없습니다. 다시 시도하고 있으며, 받은 쿠폰과 순번은 그대로입니다.",
  more: "이벤트 더 보기",
  footer: "쿠폰은 한 사람에 한 장입니다. 여러 번 눌러도 손해나 이득이 없습니다.",
  contract: "HTTP 규약",
  desk: "실시간 현황",

  "state.scheduled": "예정",
  "state.open": "진행 중",
  "state.sold-out": "매진",
  "state.closed": "종료",
  "state.paused": "일시 중지",
  left: "/ {limit}장 남음",
  leftBar: "남은 쿠폰",
  opensIn: "시작까지",
  opensAt: "{time} 시작",
  closesAt: "{time}까지",
  days: "{days}일 {clock}",

  "button.claim": "쿠폰 받기",
  "button.again": "다시 신청하기",
  "button.look": "내 쿠폰 확인하기",
  "button.early": "아직 시작 전",
  "button.busy": "잠시만요 …",
  "button.wait": "{seconds}초 후 다시",
  "button.copy": "코드 복사",
  "button.copied": "복사했습니다",
  "button.selected": "선택했습니다. 지금 복사하세요",

  aheadOne: "건의 신청이 앞에 있습니다",
  aheadMany: "건의 신청이 앞에 있습니다",
  progress: "대기열 진행 상황",
  placeNumber: "순번 {place}번",
  guaranteed: "쿠폰 확정",
  guaranteedWhy: "쿠폰은 {limit}장이고 순번은 {place}번입니다. 앞사람과 관계없이 한 장을 받습니다.",
  notGuaranteed: "쿠폰 미확정",
  notGuaranteedWhy:
    "쿠폰은 {limit}장이고 순번은 {place}번입니다. 앞에 중복 신청이 충분히 있으면 받을 수 있습니다.",
  estimateSoon: "몇 초 남았습니다",
  estimate: "약 {duration} 남았습니다",
  yourCode: "쿠폰 코드",
  issuedAt: "{time} 발급",

  "place.issued": "{limit}장 중 {seq}번째 쿠폰을 받았습니다.",
  "place.soldOut": "매진되었습니다. 쿠폰이 모두 다른 분들께 돌아갔습니다.",
  "place.voided": "판매자가 이 이벤트를 종료했습니다. 순번이 처리되지 않아 쿠폰을 받지 못했습니다.",
  "place.claiming": "쿠폰을 신청하는 중입니다 …",
  "place.finding": "내 순번을 찾는 중입니다 …",
  "place.waiting": "이 페이지를 닫아도 순번은 유지됩니다.",
  "place.deciding": "차례가 되었습니다. 결과를 가져오는 중입니다 …",
  "place.signedOut":
    "로그인이 더 이상 유효하지 않습니다. 순번은 그대로이니 다시 로그인하면 결과를 볼 수 있습니다.",
  "place.connectionLost": "연결이 끊겼습니다. 순번은 그대로이며 다시 연결하고 있습니다.",

  "event.scheduled": "서버 시계로 시작 시각이 되면 바로 누를 수 있습니다.",
  "event.open": "지금 받을 수 있습니다.",
  "event.sold-out": "쿠폰이 모두 소진되었습니다.",
  "event.closed": "종료된 이벤트입니다.",
  "event.voided": "판매자가 이 이벤트를 종료했습니다. 쿠폰은 더 이상 발급되지 않습니다.",
  "event.paused": "운영자가 일시 중지했습니다. 줄을 선 분의 순번은 그대로입니다.",
  "event.unavailable": "서비스 일부가 멈춰 지금은 신청을 받을 수 없습니다.",

  "unknown.outcome-unknown":
    "신청이 처리되었는지 서버가 확인하지 못했습니다. 다시 확인하고 있습니다 …",
  "unknown.pending": "쿠폰이 예약되어 기록되고 있습니다. 다시 확인하고 있습니다 …",
  "unknown.stalled": "대기열이 멈췄습니다. 판매자가 조치할 때까지 순번은 그대로 유지됩니다.",
  "unknown.network": "아직 응답이 없습니다. 신청이 처리되었을 수 있어 서버에 확인하고 있습니다 …",
  "unknown.server-error":
    "서버에 오류가 났습니다. 신청이 처리되었을 수 있어 다시 확인하고 있습니다 …",
  "unknown.none": "아직 확인된 신청이 없습니다. 다시 신청해도 쿠폰은 한 장만 발급되니 안전합니다.",
  none: "이 이벤트에서 받은 쿠폰이 없습니다.",
  lookFailed: "응답을 받지 못했습니다. 바뀐 것은 없으니 다시 시도하세요.",

  "refused.not-open": "서버 시계로는 아직 시작 전입니다. {time}에 시작합니다. 불이익은 없습니다.",
  "refused.closed": "신청이 도착하기 전에 이벤트가 종료되었습니다.",
  "refused.paused": "이벤트가 일시 중지되었습니다. 재개되면 다시 신청하세요.",
  "refused.wrong-mechanism": "페이지가 잘못된 주소를 써서 바로잡았습니다. 다시 시도하세요.",
  "refused.unauthenticated": "서버가 사용자를 확인하지 못했습니다. 로그인이 필요합니다.",
  "refused.forbidden": "이 작업을 할 권한이 없습니다.",
  "refused.no-such-event": "더 이상 존재하지 않는 이벤트입니다.",
  "refused.invalid-request": "서버가 요청을 받아들이지 않았습니다. 사용자 ID를 확인하세요.",
  "refused.too-many-requests": "요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
  "refused.unavailable": "지금은 서비스를 이용할 수 없습니다. 신청은 처리되지 않았습니다.",
  "refused.refused": "서버가 신청을 거절했습니다. 바뀐 것은 없습니다.",

  "announce.waiting": "{name}: 대기 중, 앞에 {ahead}건이 있습니다.",
  "announce.guaranteed": "{name}: 대기 중, 앞에 {ahead}건이 있습니다. 쿠폰이 확정되었습니다.",
  "announce.sentence": "{name}: {sentence}",
  "title.waiting": "앞에 {ahead}건 · Stampede",
  "title.issued": "쿠폰 발급 · Stampede",
};

/** @param {string | undefined} key @returns {key is MessageKey} */
export function isMessageKey(key) {
  return key !== undefined && key in ENGLISH;
}

/**
 * @param {string} template
 * @param {Readonly<Record<string, string>>} values
 * @returns {string}
 */
export function fill(template, values) {
  return template.replaceAll(/\{(\w+)\}/g, (hole, name) => values[String(name)] ?? hole);
}
