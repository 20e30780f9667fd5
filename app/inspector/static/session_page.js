// One agent's conversation turn by turn: of each request only what is new in it, then the answer; grows live, also a turn
// that still runs.

import { getPart, getTraces } from "./api.js";
import { button, fill, h, isSelecting } from "./dom.js";
import { answersOf, conversation, messagesOf } from "./conversation.js";
import { canonical } from "./json_diff.js";
import { countRepairs, fullTime, health, isRunning, moment, seconds, short, statusText } from "./format.js";
import { subscribe } from "./live.js";
import { t } from "./language.js";
import { hashOf } from "./router.js";
import { oneLine } from "./visible.js";

const PAGE = 50;
const KEPT_BODIES = 16;
const LOOK_BACK = 4; // earlier turns among which the one that this turn goes on from is looked for

/** Draw the session that `route` names. */
export function sessionPage(host, route, setPageKeys) {
  const session = route.path[0] ?? "";
  const turns = []; // oldest first: {row, element, …}: isSeen, isWhole (all of it is drawn), body and what is said in it
  const spoken = new Map(); // id -> promise of a request's body, of those looked at last
  let cursor = null;
  const earlier = button(t("session.earlier"), () => load(), { hidden: true });
  const list = h("ol", { class: "turns" });
  const note = h("p", { class: "hint" }, t("loading"));
  const page = h(
    "div",
    { class: "page session" },
    h("h2", null, t("session.title"), " ", h("code", null, oneLine(session, 80))),
    h("p", null, h("a", { href: hashOf("requests", [], { session }) }, t("session.asList"))),
    earlier,
    list,
    note,
  );
  host.append(page);

  const sight = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        sight.unobserve(target);
        show(turns.find((turn) => turn.element === target));
      }
    },
    { root: host, rootMargin: "600px" },
  );

  function requestOf(row) {
    if (!spoken.has(row.id))
      spoken.set(
        row.id,
        getPart(row.id, "client_request").catch(() => void spoken.delete(row.id)), // of one that runs it may come yet
      );
    if (spoken.size > KEPT_BODIES) spoken.delete(spoken.keys().next().value);
    return spoken.get(row.id);
  }

  async function load() {
    earlier.hidden = true;
    try {
      const page = await getTraces({ session }, cursor, PAGE);
      cursor = page.next;
      earlier.hidden = !cursor;
      note.textContent = page.traces.length || turns.length ? "" : t("session.empty");
      for (const row of page.traces) turns.unshift(makeTurn(row));
      list.prepend(...turns.slice(0, page.traces.length).map((turn) => turn.element));
    } catch (error) {
      note.textContent = oneLine(error.message, 300);
    }
  }

  function makeTurn(row) {
    const turn = { row, element: h("li", { class: "turn" }) };
    drawHead(turn);
    sight.observe(turn.element);
    return turn;
  }

  function drawHead(turn) {
    const { row } = turn;
    const made = countRepairs(row.repairs);
    const head = h(
      "header",
      { class: "turn-head" },
      h("time", { title: fullTime(row.started) }, moment(row.started)),
      h("span", { class: `status ${health(row)}` }, statusText(row)),
      h("a", { href: hashOf("request", [row.id, "conversation"], { session }) }, oneLine(row.model ?? row.path, 60)),
      h("span", null, isRunning(row) ? "" : seconds(row.duration)),
      h("span", null, `${short(row.prompt_tokens)} → ${short(row.completion_tokens)}`),
      made
        ? h(
            "a",
            { class: "badge", href: hashOf("request", [row.id, "timeline"], { session }) },
            t("session.repairs", { n: made }),
          )
        : null,
      row.error ? h("span", { class: "error-line" }, oneLine(row.error, 200)) : null,
    );
    turn.element.firstChild ? turn.element.firstChild.replaceWith(head) : turn.element.append(head);
  }

  /** Draw what a turn said; of one that runs what it said by now, and again when there is more of it. */
  async function show(turn) {
    if (!turn || turn.isWhole) return;
    turn.isSeen = turn.isStale = true;
    if (turn.isBusy) return;
    turn.isBusy = true;
    turn.isStale = false;
    const over = !isRunning(turn.row);
    if (!turn.body) turn.element.append((turn.body = h("div", { class: "turn-body hint" }, t("loading"))));
    const [body, answer] = await Promise.all([
      requestOf(turn.row),
      getPart(turn.row.id, "answer").catch(() => undefined),
    ]);
    if (body === undefined) fill(turn.body, t(over ? "part.absent" : "request.running"));
    else if (over || !isSelecting(turn.body)) await drawBody(turn, messagesOf(body), answer);
    turn.isWhole = over;
    turn.isBusy = false;
    if (turn.isStale) await show(turn);
  }

  async function drawBody(turn, messages, answer) {
    const said = canonical(answer ?? null);
    if (said === turn.said) return; // what is unfolded or chosen in it stays so
    const known = await commonWith(turn, messages);
    const fresh = messages.slice(known);
    while (known && fresh[0]?.role === "assistant") fresh.shift(); // the last answer, sent back
    const drawn = h(
      "div",
      { class: "turn-body" },
      known ? h("p", { class: "hint" }, t("session.goesOn", { n: known })) : null,
      conversation(fresh, {
        answers: answersOf(answer),
        first: messages.length - fresh.length,
        history: messages,
      }),
    );
    turn.body.replaceWith(drawn);
    turn.body = drawn;
    turn.said = said;
  }

  /** How many messages at the beginning of this turn some earlier turn had as well. */
  async function commonWith(turn, messages) {
    const texts = messages.map(canonical);
    const index = turns.indexOf(turn);
    let most = 0;
    for (const before of turns.slice(Math.max(0, index - LOOK_BACK), index).reverse()) {
      const others = messagesOf(await requestOf(before.row)).map(canonical);
      let same = 0;
      while (same < others.length && same < texts.length && others[same] === texts[same]) same++;
      most = Math.max(most, same);
      if (same && same === others.length) break; // a whole history: this is where it goes on from
    }
    return most === 1 && messages[0].role === "system" ? 0 : most; // a system prompt alone makes no history
  }

  const stop = subscribe(({ row }) => {
    if (!row || row.session !== session) return;
    const known = turns.find((turn) => turn.row.id === row.id);
    const atEnd = host.scrollTop + host.clientHeight > host.scrollHeight - 80;
    if (known) {
      known.row = { ...known.row, ...row };
      drawHead(known);
      if (known.isSeen) show(known).then(() => atEnd && toEnd());
    } else {
      const turn = makeTurn(row);
      turns.push(turn);
      list.append(turn.element);
      note.textContent = "";
    }
    if (atEnd) toEnd();
  });

  function toEnd() {
    host.scrollTop = host.scrollHeight;
  }

  const jump = (step) => {
    const top = host.getBoundingClientRect().top;
    const places = turns.map((turn) => turn.element.getBoundingClientRect().top - top);
    const target = step > 0 ? places.findIndex((place) => place > 12) : places.findLastIndex((place) => place < -12);
    turns[target]?.element.scrollIntoView({ block: "start" });
  };
  setPageKeys([
    {
      title: t("session.title"),
      keys: {
        j: { label: t("keys.nextTurn"), run: () => jump(1) },
        k: { label: t("keys.previousTurn"), run: () => jump(-1) },
        Escape: { label: t("keys.close"), run: () => history.back() },
      },
    },
  ]);
  load();
  return {
    destroy() {
      stop();
      sight.disconnect();
    },
  };
}
