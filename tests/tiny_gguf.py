"""Write a tiny but *real* GGUF model (llama architecture, byte-level BPE vocab, ChatML template with tools).

Every engine built on llama.cpp loads it and generates from it.  Two kinds of weights:

* ``random``: Gaussian weights; the text is noise.  For load/unload, grammar and UTF-8 boundary tests.
* ``script``: the attention and FFN outputs are zero and the output matrix is a look-up table "token -> next
  token", so the model says the given text, word by word, whatever the prompt (any temperature up to ~2), then
  ends the turn - or starts over with ``loop=True``.  For streaming, stop, tool-call and abort tests.

Nothing but Python is needed; the bytes are those that llama.cpp's own writer would make:

    make(path, script="Hello from a tiny model.")                       # about 1.7 MB, 0.2 s
    make(path, script=TOOL_CALL_SCRIPT)
    make(path, mode="random", seed=7)
"""

import math
import random
import re
import struct
from array import array
from pathlib import Path

ALIGN = 32
# GGUF value types
U32, F32, BOOL, STR, ARR, I32 = 4, 6, 7, 8, 9, 5
# token types (llama.cpp: LLAMA_TOKEN_TYPE_*)
NORMAL, CONTROL = 1, 3

DEFAULT_SCRIPT = "Hello! I am a tiny test model, and this reply was scripted into my weights."
TOOL_CALL_SCRIPT = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
LOOP_SCRIPT = "one two three four five six seven eight nine ten "

CORPUS = (
    "the quick brown fox jumps over the lazy dog. this is a small text that a byte pair encoder can learn from; "
    "it has the common words of english: the and that have with this from they will would there their what about "
    "which when make like time just know take people into year your good some could them see other than then now "
    "look only come its over think also back after use two how our work first well way even new want because any "
    "these give day most us. def main(): return import class self for in range print if else while true false none"
)

CHAT_TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
{{- '# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with \
function signatures within <tools></tools> XML tags:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
{{- '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:\\n<tool_call>\\n{"name": <function-name>, "arguments": \
<args-json-object>}\\n</tool_call><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- for tool_call in message.tool_calls or [] %}
{%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
{%- if not loop.first or message.content %}{{- '\\n' }}{%- endif %}
{{- '<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' }}
{%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


# ---------------------------------------------------------------------------------------------- tokenizer
def _byte_chars() -> list[str]:
    """GPT-2's printable stand-in for each of the 256 bytes."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b], extra = chr(256 + extra), extra + 1
    return [table[b] for b in range(256)]


BYTE_CHARS = _byte_chars()


def encode_piece(text: str) -> str:
    return "".join(BYTE_CHARS[b] for b in text.encode("utf-8"))


def learn_merges(corpus: str, count: int) -> list[tuple[str, str]]:
    words: dict[tuple[str, ...], int] = {}
    for word in re.findall(r" ?\w+|[^\w\s]+|\s+", corpus):
        key = tuple(encode_piece(word))
        words[key] = words.get(key, 0) + 1
    merges = []
    for _ in range(count):
        pairs: dict[tuple[str, str], int] = {}
        for word, n in words.items():
            for pair in zip(word, word[1:], strict=False):
                pairs[pair] = pairs.get(pair, 0) + n
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        joined = {}
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    out.append(best[0] + best[1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            joined[tuple(out)] = joined.get(tuple(out), 0) + n
        words = joined
    return merges


def unique_pieces(script: str) -> list[str]:
    """Split the script at word starts, longer where a piece would occur twice (each needs one successor)."""
    pieces: list[str] = []
    for word in re.findall(r"\s?[\w']+|\s?[^\w\s]|\s", script):
        if pieces and pieces[-1] in pieces[:-1]:
            pieces[-1] += word
        else:
            pieces.append(word)
    while len(pieces) > 1 and pieces[-1] in pieces[:-1]:
        last = pieces.pop()
        pieces[-1] += last
    return pieces


# -------------------------------------------------------------------------------------------------- model
def build(
    mode="script",
    script=DEFAULT_SCRIPT,
    loop=False,
    seed=1,
    name="Tiny Test",
    n_embd=128,
    n_layer=2,
    n_head=4,
    n_head_kv=2,
    n_ff=256,
    n_ctx=4096,
    chat_template=CHAT_TEMPLATE,
):
    """Return (metadata, tensors): [(key, type, value)], [(name, shape, array('f'))]; shape is row-major."""
    merges = learn_merges(CORPUS, 200)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens, types = list(BYTE_CHARS), [NORMAL] * 256
    for left, right in merges:
        tokens.append(left + right)
        types.append(NORMAL)
    pieces = unique_pieces(script) if mode == "script" else []
    said = []
    index = {t: i for i, t in enumerate(tokens)}
    for piece in pieces:
        text = encode_piece(piece)
        if text not in index:
            index[text] = len(tokens)
            tokens.append(text)
            types.append(NORMAL)
        said.append(index[text])
    first_special = len(tokens)
    tokens += specials
    types += [CONTROL] * len(specials)
    eot = first_special + 2
    n_vocab = len(tokens)

    rng = random.Random(seed)
    flat = lambda n, std: array("f", (rng.gauss(0.0, std) for _ in range(n)))  # noqa: E731
    zeros, ones = (lambda n: array("f", bytes(4 * n))), (lambda n: array("f", [1.0]) * n)
    d_head = n_embd // n_head
    d_kv = d_head * n_head_kv

    if mode == "script":
        # embedding rows are random +-1 vectors (nearly orthogonal); output row r is the sum of the embeddings of the
        # tokens that r follows.  Tokens that are not in the script share the first half of their row, and the first
        # piece's output row contains that half: so any prompt leads to the first piece.
        follow = {t: (said[i + 1] if i + 1 < len(said) else (said[0] if loop else eot)) for i, t in enumerate(said)}
        scale, half = 25.0 / n_embd, n_embd // 2
        shared = [1.0 if j % 2 else -1.0 for j in range(half)]
        embd = array("f")
        for token in range(n_vocab):
            row = [rng.choice((-1.0, 1.0)) for _ in range(n_embd)]
            embd.extend(row if token in follow else shared + row[half:])
        output = zeros(n_vocab * n_embd)
        for token, nxt in follow.items():
            for j in range(n_embd):
                output[nxt * n_embd + j] += scale * embd[token * n_embd + j]
        for j in range(half):
            output[said[0] * n_embd + j] += 2 * scale * shared[j]
    elif mode == "random":
        embd = flat(n_vocab * n_embd, 1.0)
        output = flat(n_vocab * n_embd, 3.0 / math.sqrt(n_embd))
    else:
        raise ValueError(f"unknown mode {mode!r}")

    still = mode == "script"
    std = 1.0 / math.sqrt(n_embd)
    tensors = [
        ("token_embd.weight", (n_vocab, n_embd), embd),
        ("output_norm.weight", (n_embd,), ones(n_embd)),
        ("output.weight", (n_vocab, n_embd), output),
    ]
    for i in range(n_layer):
        p = f"blk.{i}."
        tensors += [
            (p + "attn_norm.weight", (n_embd,), ones(n_embd)),
            (p + "attn_q.weight", (n_embd, n_embd), flat(n_embd * n_embd, std)),
            (p + "attn_k.weight", (d_kv, n_embd), flat(d_kv * n_embd, std)),
            (p + "attn_v.weight", (d_kv, n_embd), flat(d_kv * n_embd, std)),
            (p + "attn_output.weight", (n_embd, n_embd), zeros(n_embd * n_embd) if still else flat(n_embd * n_embd, std)),
            (p + "ffn_norm.weight", (n_embd,), ones(n_embd)),
            (p + "ffn_gate.weight", (n_ff, n_embd), flat(n_ff * n_embd, std)),
            (p + "ffn_up.weight", (n_ff, n_embd), flat(n_ff * n_embd, std)),
            (p + "ffn_down.weight", (n_embd, n_ff), zeros(n_embd * n_ff) if still else flat(n_embd * n_ff, std)),
        ]
    meta = [
        ("general.architecture", STR, "llama"),
        ("general.type", STR, "model"),
        ("general.name", STR, name),
        ("general.size_label", STR, "0.5M"),
        ("general.license", STR, "cc0-1.0"),
        ("general.file_type", U32, 0),  # all F32
        ("general.quantization_version", U32, 2),
        ("llama.block_count", U32, n_layer),
        ("llama.context_length", U32, n_ctx),
        ("llama.embedding_length", U32, n_embd),
        ("llama.feed_forward_length", U32, n_ff),
        ("llama.attention.head_count", U32, n_head),
        ("llama.attention.head_count_kv", U32, n_head_kv),
        ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        ("llama.rope.dimension_count", U32, d_head),
        ("llama.rope.freq_base", F32, 10000.0),
        ("llama.vocab_size", U32, n_vocab),
        ("tokenizer.ggml.model", STR, "gpt2"),
        ("tokenizer.ggml.pre", STR, "gpt-2"),
        ("tokenizer.ggml.tokens", (ARR, STR), tokens),
        ("tokenizer.ggml.token_type", (ARR, I32), types),
        ("tokenizer.ggml.merges", (ARR, STR), [f"{a} {b}" for a, b in merges]),
        ("tokenizer.ggml.bos_token_id", U32, first_special),
        ("tokenizer.ggml.eos_token_id", U32, eot),
        ("tokenizer.ggml.padding_token_id", U32, first_special),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
    ]
    if chat_template is not None:
        meta.append(("tokenizer.chat_template", STR, chat_template))
    return meta, tensors


# --- the file
def write(path, meta, tensors):
    def text(s):
        raw = s.encode("utf-8")
        return struct.pack("<Q", len(raw)) + raw

    def scalar(kind, v):
        return text(v) if kind == STR else struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], v)

    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)))
    for key, kind, value in meta:
        out += text(key)
        if isinstance(kind, tuple):
            out += struct.pack("<IIQ", ARR, kind[1], len(value)) + b"".join(scalar(kind[1], v) for v in value)
        else:
            out += struct.pack("<I", kind) + scalar(kind, value)
    offset = 0
    for name, shape, data in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        out += struct.pack("<IQ", 0, offset)  # GGML_TYPE_F32
        offset += -(-len(data) * 4 // ALIGN) * ALIGN
    out += bytes(-len(out) % ALIGN)
    for _, _, data in tensors:
        raw = data.tobytes()
        out += raw + bytes(-len(raw) % ALIGN)
    Path(path).write_bytes(out)


def make(path, **options) -> Path:
    """Write a model to `path`; the options are those of `build`."""
    meta, tensors = build(**options)
    write(path, meta, tensors)
    return Path(path)
