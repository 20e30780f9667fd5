"""Headers of GGUF files: what is read, what is refused, and how little of a large file is touched."""

import io
import os
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.local_models import gguf_header
from app.local_models.gguf_header import GgufError, read_header, read_header_of
from tests.gguf_files import F16, F32, Q4_0, Q4_K, Typed, gguf, header_bytes

VALUES = {
    "general.architecture": "llama",
    "general.name": "Täst 모델",
    "general.file_type": 15,
    "llama.context_length": 131_072,
    "llama.rope.freq_base": 10_000.0,
    "llama.attention.head_count_kv": [8, 8, 4],
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.tokens": [f"token {number}" for number in range(3000)],
    "tokenizer.ggml.scores": [0.5] * 3000,
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS = {"token_embd.weight": ((256, 10), Q4_K), "norm": ((256,), F32), "blk.0.attn_q.weight": ((64, 2, 3), F16)}
WHOLE = header_bytes(VALUES, TENSORS)


class Counted(io.BytesIO):
    """A file in memory that counts the bytes taken out of it."""

    taken = 0

    def read(self, size=-1):
        data = super().read(size)
        self.taken += len(data)
        return data


class Holes:
    """A file of any size that holds `data` at its beginning, then zeros."""

    def __init__(self, data):
        self._data, self._at, self.taken = data, 0, 0

    def seek(self, at):
        self._at = at

    def read(self, size):
        data = self._data[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        self.taken += size
        return data


def of(data, size=None):
    return read_header_of(io.BytesIO(data), len(data) if size is None else size)


def refused(data, size=None):
    with pytest.raises(GgufError) as caught:
        of(data, size)
    return str(caught.value)


# --- what is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_header_is_read_in_both_byte_orders(version, order):
    header = of(header_bytes(VALUES, TENSORS, version, order), 10**6)
    assert (header.version, header.big_endian) == (version, order == ">")
    assert header.values["general.name"] == "Täst 모델"
    assert header.values["general.file_type"] == 15
    assert header.values["llama.context_length"] == 131_072
    assert header.values["tokenizer.ggml.add_bos_token"] is True
    assert header.values["tokenizer.chat_template"] == "{{ messages }}"
    assert header.numbers == {"llama.attention.head_count_kv": (8, 8, 4)}
    assert header.lengths == {"llama.attention.head_count_kv": 3, "tokenizer.ggml.tokens": 3000,
                              "tokenizer.ggml.scores": 3000}
    assert header.tensors.count == 3
    assert header.tensors.numbers == 2560 + 256 + 384
    assert header.tensors.by_type == {Q4_K: 2560, F32: 256, F16: 384}


@pytest.mark.parametrize(("kind", "value"), [
    (0, 255), (1, -3), (2, 65_535), (3, -300), (4, 2**32 - 1), (5, -2**31), (6, 0.5), (7, False), (8, "x"),
    (10, 2**64 - 1), (11, -2**63), (12, 0.1),
])
def test_every_type_of_value(kind, value):
    assert of(header_bytes({"a": Typed(kind, value), "b": "after"})).values == {"a": value, "b": "after"}


def test_missing_bytes_are_counted(tmp_path):
    path = gguf(tmp_path / "a.gguf", VALUES, TENSORS)
    assert read_header(path).missing == 0
    whole = path.stat().st_size
    os.truncate(path, whole - 32 - 1000)
    # The last tensor's data ends where it ends: what aligns the file is not missed.
    assert 1000 <= read_header(path).missing <= 1032


def test_text_that_is_not_utf_8_is_no_reason_to_refuse():
    assert of(header_bytes({"general.name": b"caf\xe9"})).values == {"general.name": "caf\ufffd"}


def test_very_long_text_is_passed_over():
    header = of(header_bytes({"long": "x" * (gguf_header.LONGEST_TEXT + 1), "after": 1}))
    assert header.values == {"after": 1}


def test_kept_text_is_limited_over_all_keys():
    header = of(header_bytes({f"k{number}": "x" * 1_000_000 for number in range(8)}))
    assert 1 < len(header.values) < 6


# --- what is refused ---------------------------------------------------------------------------------------------


def huge(count):
    return struct.pack("<Q", count)


@pytest.mark.parametrize(("data", "why"), [
    (b"", "is empty"),
    (b"GGUF", "truncated: only 4 bytes"),
    (b"GGML" + bytes(40), "is not a GGUF file"),
    (b"\0" * 40, "begins with zeros"),
    (b"<!DOCTYPE html><html>Not found</html>", "is not a GGUF file"),
    (b"GGUF" + struct.pack("<I", 1) + bytes(40), "version 1 is not supported"),
    (b"GGUF" + struct.pack(">I", 1) + bytes(40), "version 1 is not supported"),
    (b"GGUF" + struct.pack("<I", 4) + bytes(40), "version 4 is not supported"),
    (b"GGUF" + bytes(40), "version 0 is not supported"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "keys"),
    (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "tensors"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(2**62), "a key of"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<I", 13), "unknown type 13"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<IQ", 8, 2**63), "truncated"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<IIQ", 9, 8, 2**40), "an array of"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<IIQ", 9, 9, 1), "an array of type 9"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<IIQ", 9, 8, 10**6), "truncated"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no keys and no tensors"),
    (b"GGUF" + struct.pack("<IQQ", 3, 2, 3) + bytes(4096), "a key of 0 bytes"),
    (header_bytes({"a": 1}, {"": ((32, 4), F32)}), "a tensor's name of 0 bytes"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * (huge(1) + b"a" + struct.pack("<IB", 0, 7)), "twice"),
    (header_bytes({"general.alignment": 0}), "alignment"),
    (header_bytes({"general.alignment": 33}), "alignment"),
    (header_bytes({"general.alignment": "32"}), "alignment"),
    (header_bytes({}, {"t": ((2**60, 2**60, 2**60), F32)}), "impossibly large"),
    (header_bytes({}, {"t": ((1, 1, 1, 1, 1), F32)}), "5 dimensions"),
], ids=str)
def test_damaged_headers_are_refused_in_words(data, why):
    assert why in refused(data)


def test_a_header_that_never_ends_is_left_at_the_limit():
    endless = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge(1) + b"a" + struct.pack("<IIQ", 9, 8, 4_000_000)
    endless += huge(4_000) + bytes(4_000)
    with pytest.raises(GgufError, match="longer than"):
        read_header_of(Holes(endless * 20_000), 40 * 2**30)


def test_a_file_that_shrinks_while_it_is_read():
    with pytest.raises(GgufError, match="shorter"):
        of(WHOLE[:1000], len(WHOLE))


@pytest.mark.parametrize("make", [
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to(path.parent / "nowhere"),
    lambda path: path.symlink_to(path),
    lambda path: None,
], ids=["folder", "pipe", "dead link", "link to itself", "nothing"])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "a.gguf")
    before = open_files()
    with pytest.raises(GgufError):
        read_header(tmp_path / "a.gguf")
    assert open_files() == before


def open_files():
    """Count this process's open files; 0 where the system does not show them."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = gguf(tmp_path / "a.gguf")
    path.chmod(0)
    with pytest.raises(GgufError, match="ermission"):
        read_header(path)


@given(st.integers(0, len(WHOLE) - 1))
def test_any_truncation_is_refused(end):
    assert refused(WHOLE[:end]).startswith("truncated" if end else "is empty")


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise_anything_else(data, with_magic):
    try:
        of((b"GGUF\3\0\0\0" if with_magic else b"") + data)
    except GgufError:
        pass


@settings(max_examples=300)
@given(st.data())
def test_no_damage_raises_anything_else(data):
    small = bytearray(header_bytes({"general.architecture": "llama", "a": [1, 2], "b": ["x", "y"]}, TENSORS))
    for _ in range(data.draw(st.integers(1, 6))):
        small[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.sampled_from([0, 1, 8, 9, 127, 128, 255]))
    try:
        of(bytes(small), data.draw(st.sampled_from([len(small), 10**9])))
    except GgufError:
        pass


# --- how little is touched ---------------------------------------------------------------------------------------


def test_long_arrays_of_numbers_are_not_read():
    data = header_bytes({"a": Typed(9, [1.0] * 100_000), "after": 7})
    file = Counted(data)
    assert read_header_of(file, len(data)).values == {"after": 7}
    assert file.taken < 4 * gguf_header.WINDOW < len(data)


def test_long_strings_in_arrays_are_not_read():
    data = header_bytes({"a": ["x" * 200_000] * 50, "after": 7})
    file = Counted(data)
    assert read_header_of(file, len(data)).values == {"after": 7}
    assert file.taken < 60 * gguf_header.WINDOW < len(data)


def test_a_vocabulary_takes_little_memory():
    data = header_bytes({"tokenizer.ggml.tokens": ["abcdef"] * 150_000, "after": 7})
    file = io.BytesIO(data)
    tracemalloc.start()
    try:
        assert read_header_of(file, len(data)).values == {"after": 7}
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("values", [VALUES, {}], ids=["whole", "small"])
def test_of_forty_gigabytes_only_the_header_is_read(values):
    data = header_bytes(values, {"t": ((2**20, 10_000), F32)})
    file = Holes(data)
    header = read_header_of(file, 40 * 2**30)
    assert header.tensors.numbers == 10_000 * 2**20
    assert header.missing == 0
    assert file.taken <= len(data) + 2 * gguf_header.WINDOW


def test_blocks_are_rounded_up():
    assert gguf_header.bytes_of(Q4_0, 33) == 36
    assert gguf_header.bytes_of(9_999, 33) == 0
