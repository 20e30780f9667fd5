"""The table of types, checked against what can be derived."""

from app.local_models.gguf_types import FILE_TYPES, SCALARS, TENSOR_TYPES
from tests import gguf_files


def test_known_numbers_of_the_format():
    assert [FILE_TYPES[number] for number in (0, 1, 2, 7, 15, 17, 18, 30, 32, 38)] == [
        "F32", "F16", "Q4_0", "Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "BF16", "MXFP4_MOE"]
    assert [TENSOR_TYPES[number].name for number in (0, 1, 2, 8, 12, 14, 30, 39)] == [
        "F32", "F16", "Q4_0", "Q8_0", "Q4_K", "Q6_K", "BF16", "MXFP4"]
    assert SCALARS == gguf_files.FORMATS


def test_names_are_used_once():
    names = [kind.name for kind in TENSOR_TYPES.values()]
    assert len(set(names)) == len(names)
    assert len(set(FILE_TYPES.values())) == len(FILE_TYPES)


def test_a_block_takes_no_more_than_its_numbers_unpacked_and_no_less_than_a_bit_each():
    for kind in TENSOR_TYPES.values():
        assert kind.block / 8 <= kind.size <= kind.block * 8, kind
    for number, size in gguf_files.SIZES.items():
        assert TENSOR_TYPES[number][1:] == size
