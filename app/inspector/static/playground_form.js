// The form of the playground: model, prompts, numbers, tools as JSON, and the key where the gateway wants one.

import { button, fill, h } from "./dom.js";
import { hasKey, listModels, setKey } from "./gateway.js";
import { t } from "./language.js";
import { oneLine } from "./visible.js";

const EXAMPLE = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Tell the weather of a city.",
      parameters: {
        type: "object",
        properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
        required: ["city"],
      },
    },
  },
];

/** Draw the form with `values`. Returns {element, body, prompt, system, values, set, busy, askForKey, focusPrompt}. */
export function form(values, { onSend, onStop, onNew }) {
  const model = h("select", { id: "play-model", required: true });
  const system = area("play-system", 3);
  const prompt = area("play-prompt", 6);
  const temperature = h("input", { id: "play-temperature", type: "number", min: "0", max: "2", step: "0.1" });
  const max = h("input", { id: "play-max", type: "number", min: "1", step: "1" });
  const tools = h("textarea", {
    id: "play-tools",
    rows: "8",
    spellcheck: "false",
    class: "mono",
    "aria-describedby": "tools-problem",
  });
  const stream = h("input", { id: "play-stream", type: "checkbox", checked: true });
  const problem = h("p", { class: "problem", role: "alert", id: "tools-problem" });
  const keyPlace = h("div", { class: "key-place", hidden: true });
  const note = h("p", { class: "problem", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" }, t("play.send"));
  const stop = button(t("play.stop"), onStop, { hidden: true });
  const example = button(
    t("play.example"),
    () => {
      tools.value = JSON.stringify(EXAMPLE, null, 2);
      readTools();
    },
    { class: "quiet" },
  );

  function readTools() {
    problem.textContent = "";
    tools.removeAttribute("aria-invalid");
    if (!tools.value.trim()) return [];
    try {
      const value = JSON.parse(tools.value);
      if (!Array.isArray(value)) throw new Error(t("play.notAList"));
      return value;
    } catch (error) {
      problem.textContent = `${t("play.badTools")} ${oneLine(error.message, 200)}`;
      tools.setAttribute("aria-invalid", "true");
      return null;
    }
  }

  let asked = 0;
  let wantedWithKey;

  async function loadModels(wanted) {
    const mine = ++asked;
    try {
      const names = await listModels();
      if (mine !== asked) return; // what was asked later, perhaps with another key, counts
      note.textContent = "";
      keyPlace.hidden = true;
      const all = wanted && !names.includes(wanted) ? [wanted, ...names] : names;
      fill(
        model,
        all.map((name) => h("option", { value: name }, oneLine(name, 100))),
      );
      if (wanted) model.value = wanted;
    } catch (error) {
      if (mine !== asked) return;
      if (error.status === 401) askForKey(wanted);
      if (error.status !== 401 || hasKey()) note.textContent = oneLine(error.message, 300);
    }
  }

  function askForKey(wanted = model.value || values.model) {
    wantedWithKey = wanted;
    keyPlace.hidden = false;
    if (keyPlace.firstChild) return; // what is being typed there stays
    const input = h("input", { type: "password", id: "play-key", autocomplete: "off", spellcheck: "false" });
    const use = button(
      t("play.useKey"),
      () => {
        setKey(input.value);
        loadModels(wantedWithKey);
      },
      { class: "primary" },
    );
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      use.click();
    });
    fill(
      keyPlace,
      h("label", { for: "play-key" }, t("play.key")),
      h("div", { class: "row" }, input, use),
      h("p", { class: "hint" }, t("play.keyHint")),
    );
    input.focus();
  }

  const set = (next) => {
    if (next.model) loadModels(next.model);
    system.value = next.system ?? "";
    prompt.value = next.prompt ?? "";
    temperature.value = next.temperature ?? "";
    max.value = next.max ?? "";
    tools.value = next.tools ?? "";
    if (tools.value) more.open = true;
    if (next.stream !== undefined) stream.checked = next.stream;
  };
  const more = h("details", { class: "play-tools" }, h("summary", null, t("play.tools")), tools, problem, example);
  const element = h(
    "form",
    {
      class: "play-form",
      "aria-label": t("nav.playground"),
      on: {
        submit: (event) => {
          event.preventDefault();
          onSend();
        },
      },
    },
    keyPlace,
    field("play-model", "play.model", model),
    field("play-system", "play.system", system),
    field("play-prompt", "play.prompt", prompt),
    h(
      "div",
      { class: "row" },
      field("play-temperature", "play.temperature", temperature),
      field("play-max", "play.max", max),
      h("label", { class: "check", for: "play-stream" }, stream, t("play.stream")),
    ),
    more,
    note,
    h("div", { class: "row" }, submit, stop, button(t("play.new"), onNew, { class: "quiet" })),
  );
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onSend();
  });
  tools.addEventListener("input", readTools);
  loadModels(values.model);
  set({ ...values, model: "" });

  const number = (input) => (input.value === "" ? undefined : Number(input.value));
  return {
    element,
    askForKey: () => askForKey(),
    focusPrompt: () => prompt.focus(),
    set,
    system: () => system.value,
    values: () => ({
      model: model.value,
      system: system.value,
      prompt: prompt.value,
      temperature: temperature.value,
      max: max.value,
      tools: tools.value,
      stream: stream.checked,
    }),
    /** The prompt as a message, which leaves the field; null where there is none. */
    prompt() {
      const content = prompt.value;
      if (!content.trim() || readTools() === null) return null;
      prompt.value = "";
      return { role: "user", content };
    },
    /** The request without its messages, or null where the form is not right. */
    body() {
      const offered = readTools();
      if (offered === null || !model.value) return null;
      const body = {
        model: model.value,
        stream: stream.checked,
        temperature: number(temperature),
        max_tokens: number(max),
      };
      if (stream.checked) body.stream_options = { include_usage: true };
      if (offered.length) body.tools = offered;
      return body;
    },
    busy(on) {
      submit.disabled = on;
      stop.hidden = !on;
    },
  };
}

function area(id, rows) {
  return h("textarea", { id, rows });
}

function field(id, label, control) {
  return h("div", { class: "field" }, h("label", { for: id }, t(label)), control);
}
