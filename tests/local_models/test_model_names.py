"""Names are unique, readable, and the first model keeps its own."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.local_models.local_model import LocalModel
from app.local_models.model_names import with_unique_names


def model(name, path="/m/x.gguf", *aliases, source="folder"):
    return LocalModel(name=name, path=Path(path), paths=(), size_bytes=1, source=source, aliases=aliases)


def names(*models):
    return [each.name for each in with_unique_names(models)]


def test_a_taken_name_gets_its_folder_its_source_or_a_number():
    assert names(
        model("a", "/one/a.gguf"),
        model("a", "/two/a.gguf"),
        model("a", "/x/two/a.gguf", source="lmstudio"),
        model("a", "/y/two/a.gguf", source="lmstudio"),
        model("a", "/z/two/a.gguf", source="lmstudio"),
        model("a", "/a/a.gguf"),
        model("a", "/hub/models--Org--A_Repo/snapshots/1/a.gguf"),
    ) == ["a", "a-two", "a-lmstudio", "a-2", "a-3", "a-folder", "a-org-a-repo"]


def test_aliases_give_way_to_names():
    first, second = with_unique_names([model("a", "/m/a", "b", "c", "c"), model("b", "/m/b", "a", "c", "d")])
    assert (first.aliases, second.aliases) == (("c",), ("d",))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["/a/x", "/b/x", "/x"]), st.sampled_from("abc"))))
def test_all_names_and_aliases_are_different(rows):
    found = with_unique_names([model(name, path, alias) for name, path, alias in rows])
    everything = [name for each in found for name in (each.name, *each.aliases)]
    assert len(set(everything)) == len(everything)
    assert len(found) == len(rows)
