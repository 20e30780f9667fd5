// Puts the chunks of one upstream read beside what was written for them: those that say the same stand in one row. Pure.

const WINDOW = 40; // raw chunks further on that are looked at for a partner

/** Return [[raw or undefined, emitted or undefined], …], both sides in their order. */
export function pair(raw, emitted) {
  if (raw.length <= 1 && emitted.length <= 1) return raw.length + emitted.length ? [[raw[0], emitted[0]]] : [];
  const said = raw.map(features);
  const rows = [];
  let [doneRaw, doneEmitted] = [0, 0];
  emitted.forEach((chunk, index) => {
    const wanted = features(chunk);
    let partner = doneRaw;
    const end = Math.min(raw.length, doneRaw + WINDOW);
    while (partner < end && !said[partner].some((feature) => wanted.includes(feature))) partner++;
    if (partner >= end) return;
    rows.push(...beside(raw.slice(doneRaw, partner), emitted.slice(doneEmitted, index)), [raw[partner], chunk]);
    doneRaw = partner + 1;
    doneEmitted = index + 1;
  });
  rows.push(...beside(raw.slice(doneRaw), emitted.slice(doneEmitted)));
  return rows;
}

/** Whether two chunks say the same thing. */
export function sayTheSame(one, other) {
  const said = features(one);
  return features(other).some((feature) => said.includes(feature));
}

/** What has no partner stands side by side, in order. */
function beside(raw, emitted) {
  return Array.from({ length: Math.max(raw.length, emitted.length) }, (_, index) => [raw[index], emitted[index]]);
}

/** What a chunk says, as texts to compare: its words, the arguments of its calls, that it ends the answer. */
function features({ data }) {
  if (typeof data !== "string") return [];
  if (data.trim() === "[DONE]") return ["done"];
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return [`text ${data}`];
  }
  const choices = Array.isArray(value?.choices) ? value.choices : [];
  if (!choices.length && value?.usage) return ["usage"];
  return choices.flatMap(choiceFeatures);
}

function choiceFeatures(choice) {
  const delta = choice?.delta ?? choice?.message ?? {};
  const found = [delta.content, delta.reasoning_content ?? delta.reasoning, choice?.text]
    .filter((text) => typeof text === "string" && text)
    .map((text) => `text ${text}`);
  for (const call of Array.isArray(delta.tool_calls) ? delta.tool_calls : []) {
    const given = call?.function?.arguments;
    if (typeof given === "string" && given) found.push(`arguments ${given}`);
    else if (call?.function?.name) found.push(`call ${call.function.name}`);
  }
  if (choice?.finish_reason) found.push("finish");
  return found;
}
