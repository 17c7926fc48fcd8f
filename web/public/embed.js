// <stampede-coupon>, for a shop's page: docs/embedding.md.
import { wordsIn } from "./embed-words.js";

// The last two: a button that is off.
const BUTTON = ["open", "paused", "unavailable", "none", "unauthenticated", "busy", "scheduled"];
// Browsers open six connections to a host, and a stream keeps one.
let streams = 0;

function visit(host, root) {
  const of = (name) => host.getAttribute(name);
  const base = new URL(of("server") ?? ".", import.meta.url).href.replace(/\/?$/, "/");
  const at = `${base}events/${of("event")}`;
  const kept = `${at} ${of("user")}`;
  const words = wordsIn(host.closest("[lang]")?.lang || navigator.language);
  const [button, line, code] = ["button", "p", "code"].map((part) =>
    Object.assign(document.createElement(part), { part }),
  );
  line.role = "status";
  root.replaceChildren(button, line, code);
  let [turn, waits, skewMs, store] = [0, 0, 0, {}];
  let timer, looked, heard, path, stream;
  try {
    if (of("user")) store = localStorage;
  } catch {
    // A reload forgets.
  }

  const show = (state, value) => {
    const place = BUTTON.indexOf(state);
    button.textContent = words.claim;
    button.hidden = place < 0 || !path;
    button.disabled = place > 4;
    const told = (waits ? `${words.kept} ` : "") + words[state];
    // Not read out again.
    if (line.textContent !== told) line.textContent = told;
    code.textContent = value ?? "";
  };
  const next = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(look, ms + 999 * Math.random());
  };
  const end = () => {
    clearTimeout(timer);
    if (stream) streams -= 1;
    stream = stream?.close();
    turn = NaN;
  };
  const watch = () => {
    if (stream || streams > 1) return;
    streams += 1;
    stream = new EventSource(`${at}/stream`);
    stream.onerror = () => next(0);
    stream.addEventListener("progress", ({ data }) => {
      const { decided, state, voided, stalled } = JSON.parse(data);
      const ahead = store[kept] - decided;
      if (ahead < 0 || state === "sold-out" || voided) next(0);
      else show(stalled ? "stalled" : "queued", ahead);
    });
  };
  const ask = async (url, method) => {
    const mine = ++turn;
    let [state, body, waitMs] = ["lost", {}, 5e3];
    try {
      const token = (await host.token?.()) ?? of("token");
      const user = of("user");
      const headers = {};
      if (token) headers.authorization = `Bearer ${token}`;
      else if (user) headers["x-user-id"] = user;
      const answer = await fetch(url, { method, headers, signal: AbortSignal.timeout(3e4) });
      heard = true;
      skewMs = Date.parse(answer.headers.get("date")) - Date.now() || skewMs;
      waitMs = answer.headers.get("retry-after") * 1000 || waitMs;
      body = await answer.json();
      state = body.type?.split("/").pop() ?? body.status ?? body.state;
    } catch {
      const tell = () => {
        heard = !console.error(`Stampede: CORS_ORIGINS of ${base} must name ${location.origin}`);
      };
      if (!heard) void fetch(at, { mode: "no-cors" }).then(tell, () => {});
    }
    // The newest question counts.
    if (mine === turn) take(state, body, waitMs, method);
  };
  const look = () => {
    const ticket = store[kept] ? `?ticket=${store[kept]}` : "";
    void ask(waits || !looked ? `${at}/issues/me${ticket}` : at);
  };
  const take = (state, body, waitMs, claim) => {
    let value = body.ahead ?? body.code;
    next(Math.min(waitMs, 15e3));
    if (/issued|sold|voided/.test(state)) {
      end();
      waits = 0;
      host.dispatchEvent(new CustomEvent(`stampede-${state}`, { bubbles: true, detail: body }));
    } else if ((claim ? /queued|lost|unknown|internal/ : /queued|pending|stalled/).test(state)) {
      waits = 4;
      if (body.ticket >= 0) {
        store[kept] = body.ticket;
        watch();
      }
      if (stream?.readyState === 1) next(15e3);
    } else if (body.limit) {
      path = body.claim.slice(1);
      if (state === "open" && !body.available) state = "unavailable";
      if (state === "open" && body.paused) state = "paused";
      const ms =
        state === "scheduled" ? Date.parse(body.opensAt) - Date.now() - skewMs - 999 : 15e3;
      value = new Date(body.opensAt).toLocaleString(words.code);
      next(Math.min(ms, 15e3));
    } else if (state === "none" && waits) {
      waits -= 1;
      if (waits) state = "busy";
    } else if (!claim && !waits && /none|unauth/.test(state)) {
      looked = true;
      return look();
    }
    show(state in words ? state : waits ? "busy" : "unavailable", value);
  };
  button.onclick = () => {
    show("busy");
    clearTimeout(timer);
    void ask(base + path, "POST");
  };
  show("busy");
  timer = setTimeout(look);
  return end;
}

class Coupon extends HTMLElement {
  connectedCallback() {
    this.end?.();
    this.end = visit(this, this.shadowRoot ?? this.attachShadow({ mode: "open" }));
  }
  disconnectedCallback() {
    this.end?.();
  }
}
customElements.define("stampede-coupon", Coupon);
