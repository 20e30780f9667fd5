import pytest

from app.utils.summarise import summarise, summarise_tools, tool_name

KOREAN = "... (총 {count}자)"


def test_a_text_of_ten_thousand_characters_is_cut_and_its_length_told():
    assert summarise("a" * 10_000, KOREAN) == "a" * 1_000 + "... (총 10000자)"
    assert summarise("가" * 12_345) == "가" * 1_000 + "... (12345 characters in all)"


def test_a_text_below_ten_thousand_characters_stays():
    text = "a" * 9_999
    assert summarise(text) is text


def test_an_image_in_a_url_is_cut_earlier():
    url = "data:image/png;base64," + "A" * 500
    assert summarise({"url": url}) == {"url": url[:64] + "... (522 characters in all)"}


def test_nested_values_are_walked_and_the_original_is_kept():
    value = {"messages": [{"content": "x" * 20_000}, {"content": "short"}]}
    short = summarise(value)
    assert short["messages"][0]["content"].endswith("... (20000 characters in all)")
    assert value["messages"][0]["content"] == "x" * 20_000
    assert short["messages"][1] is value["messages"][1]


def test_what_needs_no_change_is_not_copied():
    value = {"messages": [{"content": "short"}], "n": 1, "stop": None}
    assert summarise(value) is value


def test_tools_show_the_first_whole_and_the_others_by_name():
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {}}} for name in ("question", "bash", "read")
    ]
    assert summarise_tools(tools) == [tools[0], "bash", "read"]
    assert summarise_tools([]) == []


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ({"type": "function", "function": {"name": "bash"}}, "bash"),
        ({"name": "bash", "parameters": {}}, "bash"),
        ({"type": "web_search"}, "web_search"),
        ({"function": {"name": 5}}, "?"),
        ({}, "?"),
        (None, "None"),
    ],
)
def test_tool_name(tool, name):
    assert tool_name(tool) == name
