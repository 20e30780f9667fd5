// Reads a stream of server-sent events from a fetch answer; pure but for the reading.

/** Yield the data of each event of `body`. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parts = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      parts.push(done ? "\n\n" : value);
      if (!done && !value.includes("\n")) continue; // a long event: looked at once it may be whole
      const blocks = parts.join("").replace(/\r\n/g, "\n").split("\n\n");
      parts.length = 0;
      parts.push(blocks.pop());
      yield* blocks.map(dataOf).filter((data) => data !== null);
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have failed already, which its reader was told
  }
}

function dataOf(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  return lines.length ? lines.map((line) => line.slice(line[5] === " " ? 6 : 5)).join("\n") : null;
}

/** Put one chunk into `message` ({content, reasoning_content, tool_calls}); returns the text it added. */
export function take(message, chunk) {
  const choice = chunk.choices?.[0];
  if (chunk.usage) message.usage = chunk.usage;
  if (!choice) return { text: "", reasoning: "" };
  const delta = choice.delta ?? choice.message ?? {};
  const text = typeof delta.content === "string" ? delta.content : "";
  const reasoning = delta.reasoning_content ?? delta.reasoning ?? "";
  message.content += text;
  message.reasoning_content += reasoning;
  for (const call of delta.tool_calls ?? []) {
    const place = call.index ?? message.tool_calls.length;
    const known = (message.tool_calls[place] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
    known.id ||= call.id ?? "";
    known.function.name ||= call.function?.name ?? "";
    known.function.arguments += call.function?.arguments ?? "";
    if (call.extra_content) known.extra_content = call.extra_content;
  }
  if (choice.finish_reason) message.finish = choice.finish_reason;
  return { text, reasoning };
}
