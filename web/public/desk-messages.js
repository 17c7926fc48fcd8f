/**
 * Every sentence of the live desk, in English and Korean. The type of the English table makes a
 * sentence that is missing in Korean a type error.
 */

export const DESK_ENGLISH = {
  title: "Live desk",
  home: "Stampede",
  skip: "Skip to the charts",
  otherLanguage: "한국어",
  tagline: "What this process does, one reading a second, five minutes kept.",
  event: "Event",
  allEvents: "All events",
  eventOption: "{name} ({id})",
  window: "Show",
  "window.minute": "Last minute",
  "window.all": "Last five minutes",
  pause: "Pause",
  continue: "Continue",
  engines: "Engines",
  now: "Now",
  charts: "Charts",
  needsScript: "This page needs JavaScript. Without it: GET /metrics.",
  oneProcess:
    "This page reads /metrics of the one process that answers it. Behind several instances it shows only one of them: use Prometheus and Grafana there.",

  "status.starting": "Asking for the first reading …",
  "status.live": "Live. One reading a second.",
  "status.liveAfterGap": "Live. No readings from {fromMs} to {toMs}.",
  "status.slow": "Waiting for the server: it has not answered for more than {seconds} seconds.",
  "status.away":
    "The server cannot be reached since {timeMs}. Trying again every second; the gap stays in the charts.",
  "status.noMetrics":
    "Since {timeMs} the server answers without metrics (status {status}). Trying again every second.",
  "status.paused": "Paused. The charts stand still, the readings go on.",
  "status.several":
    "More than one process answers at this address, in turns: their counters cannot be compared. Use Prometheus and Grafana here.",

  "outcome.issued": "issued",
  "outcome.queued": "queued",
  "outcome.replayed": "had one already",
  "outcome.sold-out": "sold out",
  "outcome.refused": "refused otherwise",
  "outcome.failed": "failed or unknown",
  "engine.postgres": "PostgreSQL",
  "engine.redis": "Redis",
  "engine.kafka": "Kafka",
  "engineState.up": "up",
  "engineState.down": "down",
  "engineState.off": "off",
  "engineState.unknown": "not known",

  answers: "Answers per second",
  outcomes: "Outcomes per second",
  latency: "Latency",
  stock: "Coupons",
  line: "Waiting in line",
  "stock.remaining": "Remaining",
  "stock.issued": "Issued",
  stockChoice: "What to draw",
  allLines: "all lines together",
  quantile: "{mechanism} p{percent}",
  none: "–",
  at: "at {time}",
  milliseconds: "{value} ms",
  seconds: "{value} s",

  "tile.peak": "at most {peak} in view",
  "tile.latency": "p99 latency",
  "tile.median": "half within {p50}",
  "tile.noClaims": "no claims just now",
  "tile.remaining": "Remaining",
  "tile.ofLimit": "of {limit}",
  "tile.ofLimitIn": "of {limit} in {count} events",
  "tile.line": "In line",
  "tile.lineNote": "claims not decided yet",
  "tile.lineNone": "no line of this event is known",
  "tile.missing": "not published here",
  "tile.notInUse": "not in use",

  "summary.waiting": "No reading yet.",
  "summary.noAnswers": "No claims were answered in this time.",
  "summary.answers": "{now} answers a second now, {peak} at most, {total} in all.",
  "summary.outcomes": "In all: {list}.",
  "summary.share": "{share} {outcome} ({count})",
  "summary.latency": "{mechanism}: half within {p50}, 95 % within {p95}, 99 % within {p99}.",
  "summary.stock.remaining": "{name}: {count} of {limit} left.",
  "summary.stock.issued": "{name}: {count} of {limit} issued.",
  "summary.noEvents": "No event is in use.",
  "summary.notInUse": "This event is not in use: nobody has asked for it lately.",
  "summary.line": "{name}: {count} waiting, {peak} at most.",
  "summary.noLine": "Nobody waits in a line.",
  "summary.point": "{time}: {values}",

  "note.missing": "This server does not publish {metric}.",
  "note.allOfMechanism":
    "Counted by mechanism: all claims of {mechanism}, those of other events included.",
  "note.someEvents": "{shown} of {all} events: those that moved last. Choose one to see it alone.",
  "note.noLine": "This process knows of no line of this event.",
  "note.lagOnly": "This server tells all lines together only.",
};

/** @typedef {typeof DESK_ENGLISH} DeskMessages */
/** @typedef {keyof DeskMessages} DeskKey */

/** @type {DeskMessages} */
export const DESK_KOREAN = {
  title: "실시간 현황",
  home: "Stampede",
  skip: "차트로 건너뛰기",
  otherLanguage: "English",
  tagline: "이 프로세스의 상태를 1초마다 읽어 5분 동안 보관합니다.",
  event: "이벤트",
  allEvents: "모든 이벤트",
  eventOption: "{name} ({id})",
  window: "표시 구간",
  "window.minute": "최근 1분",
  "window.all": "최근 5분",
  pause: "일시 정지",
  continue: "계속",
  engines: "엔진",
  now: "현재",
  charts: "차트",
  needsScript: "이 페이지에는 JavaScript가 필요합니다. 없이 보려면: GET /metrics.",
  oneProcess:
    "이 페이지는 응답하는 프로세스 하나의 /metrics 만 읽습니다. 인스턴스가 여럿이면 그중 하나만 보이므로 Prometheus와 Grafana를 쓰세요.",

  "status.starting": "첫 측정값을 요청하는 중입니다 …",
  "status.live": "실시간입니다. 1초마다 읽습니다.",
  "status.liveAfterGap": "실시간입니다. {fromMs}부터 {toMs}까지는 측정값이 없습니다.",
  "status.slow": "서버를 기다리는 중입니다. {seconds}초 넘게 응답이 없습니다.",
  "status.away":
    "{timeMs}부터 서버에 연결할 수 없습니다. 1초마다 다시 시도하며, 빈 구간은 차트에 그대로 남습니다.",
  "status.noMetrics":
    "{timeMs}부터 서버가 지표 없이 응답합니다(상태 {status}). 1초마다 다시 시도합니다.",
  "status.paused": "멈췄습니다. 차트는 그대로 있고 측정은 계속됩니다.",
  "status.several":
    "이 주소에서 여러 프로세스가 번갈아 응답해 카운터를 비교할 수 없습니다. Prometheus와 Grafana를 쓰세요.",

  "outcome.issued": "발급",
  "outcome.queued": "대기열 등록",
  "outcome.replayed": "이미 보유",
  "outcome.sold-out": "매진",
  "outcome.refused": "그 밖의 거절",
  "outcome.failed": "실패 또는 불명",
  "engine.postgres": "PostgreSQL",
  "engine.redis": "Redis",
  "engine.kafka": "Kafka",
  "engineState.up": "정상",
  "engineState.down": "중단",
  "engineState.off": "사용 안 함",
  "engineState.unknown": "알 수 없음",

  answers: "초당 응답 수",
  outcomes: "초당 결과",
  latency: "응답 시간",
  stock: "쿠폰",
  line: "대기 중",
  "stock.remaining": "남은 수량",
  "stock.issued": "발급 수량",
  stockChoice: "표시할 값",
  allLines: "모든 대기열 합계",
  quantile: "{mechanism} p{percent}",
  none: "–",
  at: "{time} 시점",
  milliseconds: "{value} ms",
  seconds: "{value}초",

  "tile.peak": "표시 구간 최대 {peak}",
  "tile.latency": "p99 응답 시간",
  "tile.median": "절반은 {p50} 이내",
  "tile.noClaims": "지금은 신청이 없습니다",
  "tile.remaining": "남은 쿠폰",
  "tile.ofLimit": "전체 {limit}장",
  "tile.ofLimitIn": "이벤트 {count}개, 전체 {limit}장",
  "tile.line": "대기",
  "tile.lineNote": "아직 결정되지 않은 신청",
  "tile.lineNone": "이 이벤트의 대기열 정보가 없습니다",
  "tile.missing": "이 서버는 알려 주지 않습니다",
  "tile.notInUse": "사용 중이 아닙니다",

  "summary.waiting": "아직 측정값이 없습니다.",
  "summary.noAnswers": "이 구간에는 응답한 신청이 없습니다.",
  "summary.answers": "지금 초당 {now}건, 최대 {peak}건, 모두 {total}건 응답했습니다.",
  "summary.outcomes": "전체: {list}.",
  "summary.share": "{outcome} {share}({count}건)",
  "summary.latency": "{mechanism}: 절반은 {p50}, 95 %는 {p95}, 99 %는 {p99} 이내입니다.",
  "summary.stock.remaining": "{name}: {limit}장 중 {count}장 남았습니다.",
  "summary.stock.issued": "{name}: {limit}장 중 {count}장 발급했습니다.",
  "summary.noEvents": "사용 중인 이벤트가 없습니다.",
  "summary.notInUse": "사용 중이 아닌 이벤트입니다. 최근에 이 이벤트를 찾은 사람이 없습니다.",
  "summary.line": "{name}: {count}건 대기, 최대 {peak}건.",
  "summary.noLine": "대기 중인 신청이 없습니다.",
  "summary.point": "{time}: {values}",

  "note.missing": "이 서버는 {metric} 지표를 내지 않습니다.",
  "note.allOfMechanism": "방식별로 셉니다. 다른 이벤트를 포함한 {mechanism} 전체 신청입니다.",
  "note.someEvents":
    "이벤트 {all}개 중 최근에 움직인 {shown}개입니다. 하나만 보려면 이벤트를 고르세요.",
  "note.noLine": "이 프로세스가 아는 이 이벤트의 대기열이 없습니다.",
  "note.lagOnly": "이 서버는 모든 대기열의 합계만 알려 줍니다.",
};

/** @param {string | undefined} key @returns {key is DeskKey} */
export function isDeskKey(key) {
  return key !== undefined && key in DESK_ENGLISH;
}
