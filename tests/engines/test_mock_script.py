import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines import mock_script
from app.errors import InvalidRequest

STEPS = {"turns": [{"text": "one"}, {"text": "two"}]}
SOURCE = json.dumps(STEPS)
USER, ANSWER, TOOL = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "tool"}


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    (
        ([], "it must be an object"),
        ("text", "it must be an object"),
        ({"turns": []}, "turns must be a list of at least one step"),
        ({"turns": {}}, "turns must be a list"),
        ({"turns": [{}], "loop": 1}, "loop is not known beside turns"),
        ({"turns": [{}, 3]}, "turns[1] must be an object"),
        ({"txet": "a"}, "txet is not known; known are text, reasoning"),
        ({"text": 1}, "text must be a string"),
        ({"turns": [{"tool_calls": {}}]}, "turns[0].tool_calls must be a list"),
        ({"turns": [{"tool_calls": [{}]}]}, "turns[0].tool_calls[0].name is missing"),
        ({"turns": [{"tool_calls": ["write"]}]}, "turns[0].tool_calls[0] must be an object"),
        ({"tool_calls": [{"name": "f", "arguments": 3}]}, "tool_calls[0].arguments must be an object or a string"),
        ({"finish_reason": 3}, "finish_reason must be a string or null"),
        ({"usage": True}, "usage must be an object or false"),
        ({"error": {"status": 200}}, "error.status must be a status from 400 to 599"),
        ({"error": {"status": True}}, "error.status must be a status"),
        ({"error": {"retry_after": -1}}, "error.retry_after must be a number of seconds"),
        ({"error": {"why": 1}}, "error.why is not known"),
        ({"error_after": -1}, "error_after must be a whole number from 0"),
        ({"cut_after": 1.5}, "cut_after must be a whole number"),
        ({"stall_after": True}, "stall_after must be a whole number"),
        ({"seconds": float("inf")}, "seconds must be a number"),
        ({"delay": "1"}, "delay must be a number"),
        ({"empty": 1}, "empty must be true or false"),
        ({"chunk": "line"}, "chunk must be word, char or whole"),
        ({"arguments_pieces": 0}, "arguments_pieces must be a whole number from 1"),
        ({"expect": []}, "expect must be a string"),
        ({"raw_chunks": [1]}, "raw_chunks must be a list of objects"),
        ({"raw_chunks": [[1]]}, "raw_chunks must be a list of objects"),
        ({"raw_answer": []}, "raw_answer must be an object"),
    ),
)
def test_a_bad_scenario_is_refused_where_it_is_bad(scenario, complaint):
    with pytest.raises(InvalidRequest) as refused:
        mock_script.parse_scenario(scenario)
    assert str(refused.value).startswith("mock scenario: " + complaint)
    assert refused.value.param == "mock"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(mock_script.STEP_RULES)), inner),
)


@given(JSON | st.fixed_dictionaries({"turns": st.lists(JSON)}))
def test_any_value_is_a_scenario_or_refused(value):
    try:
        assert mock_script.parse_scenario(value).turns
    except InvalidRequest as error:
        assert error.param == "mock"


@pytest.mark.parametrize(
    ("text", "rest"),
    (
        (f"mock-script: {SOURCE}", ""),
        (f"Write a file.\nmock-script: {SOURCE}\nThank you.", "Write a file.\n\nThank you."),
        (f"Hello ```mock-script\n{json.dumps(STEPS, indent=2)}\n``` you", "Hello  you"),
        (f"<task>\nmock-script:{SOURCE}\n</task>", "<task>\n\n</task>"),
        ("mock-script: " + json.dumps(STEPS, indent=2), ""),
        # `opencode run "…"` puts a prompt with spaces in quotes and escapes the quotes in it
        ('"Hi mock-script: ' + SOURCE.replace('"', '\\"') + ' there"', '"Hi  there"'),
    ),
)
def test_finds_a_scenario_in_a_text_and_cuts_it_out(text, rest):
    scenario, position = mock_script.scenario_in([user("Hello"), user(text), ANSWER, user("and now?")])
    assert [step.text for step in scenario.turns] == ["one", "two"]
    assert position == 1
    assert mock_script.without_scenario(text) == rest


def test_quotes_inside_of_strings_survive_a_shell_quoting_agent():
    source = json.dumps({"text": 'say "hi" \\ bye', "tool_calls": [{"name": "f", "arguments": '{"a": "b"}'}]})
    text = '"' + f"mock-script: {source} end".replace('"', '\\"') + '"'
    scenario, _ = mock_script.scenario_in([user(text)])
    assert scenario.turns[0].text == 'say "hi" \\ bye'
    assert scenario.turns[0].tool_calls[0]["arguments"] == '{"a": "b"}'
    assert mock_script.without_scenario(text) == '" end"'


def test_the_last_scenario_counts_in_any_prompt_role_and_in_parts():
    system = {"role": "system", "content": 'mock-script: {"text": "system"}'}
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": 'mock-script: {"text": "b"}'}],
    }
    assert mock_script.scenario_in([system, user("x")])[0].turns[0].text == "system"
    assert mock_script.scenario_in([system, parts])[0].turns[0].text == "b"


@pytest.mark.parametrize("role", ("assistant", "tool"))
def test_what_models_and_tools_say_is_no_scenario(role):
    assert mock_script.scenario_in([{"role": role, "content": f"mock-script: {SOURCE}"}]) is None


@pytest.mark.parametrize("text", ("mock-script: {broken", "```mock-script\n{,}\n```", 'mock-script: {"text": }\nmore'))
def test_a_marked_text_that_is_not_json_is_refused(text):
    with pytest.raises(InvalidRequest, match="is not JSON"):
        mock_script.scenario_in([user(text)])


@given(
    st.text() | st.builds("mock-script: {{{}".format, st.text()) | st.builds("```mock-script\n{}```".format, st.text())
)
def test_reading_any_text_finds_something_or_refuses(text):
    try:
        mock_script.scenario_in([user(text)])
    except InvalidRequest:
        pass
    assert len(mock_script.without_scenario(text)) <= len(text)


@pytest.mark.parametrize(
    ("messages", "expected"),
    (
        ([USER], "one"),
        ([USER, ANSWER], "two"),
        ([USER, ANSWER, TOOL, TOOL], "two"),
        ([USER, ANSWER, ANSWER, TOOL], "two"),  # a client that sends text and call of one answer apart
        ([USER, ANSWER, TOOL, ANSWER], None),
        ([USER, ANSWER, USER, ANSWER, USER], None),
    ),
)
def test_the_turn_is_the_number_of_answers(messages, expected):
    step = mock_script.step_for(mock_script.parse_scenario(STEPS), messages)
    assert (step and step.text) == expected


def test_answers_before_the_scenario_do_not_count():
    step = mock_script.step_for(mock_script.parse_scenario(STEPS), [USER, ANSWER, USER, ANSWER, TOOL], 2)
    assert step.text == "two"


def test_a_single_step_answers_every_turn_but_calls_tools_once():
    text = mock_script.parse_scenario({"text": "same"})
    tool = mock_script.parse_scenario({"tool_calls": [{"name": "f"}]})
    assert mock_script.step_for(text, [USER, ANSWER, USER]).text == "same"
    assert mock_script.step_for(tool, [USER]).tool_calls
    assert mock_script.step_for(tool, [USER, ANSWER, TOOL]) is None


@pytest.mark.parametrize(
    ("prompt", "folder"),
    (
        ("<env>\n  Working directory: /home/dev/proj\n  Is directory a git repo: yes", "/home/dev/proj"),
        ("4. Working Directory: /home/dev/my proj\n</env>", "/home/dev/my proj"),
        ("Current working directory: C:\\dev\\proj\n", "C:\\dev\\proj"),
        ("# Current Working Directory (/home/dev/proj) Files", "/home/dev/proj"),
        ("I'm currently working in the directory: /home/dev/proj\n", "/home/dev/proj"),
        ("the current working directory will be used", "."),
    ),
)
def test_reads_the_working_directory_from_the_prompts_of_agents(prompt, folder):
    assert mock_script.working_directory([{"role": "system", "content": prompt}, user("hi")]) == folder


def test_fills_placeholders_wherever_strings_are():
    messages = [
        user("Working directory: /p\n"),
        user('Do it mock-script: {"text": "x"}'),
        ANSWER,
        {"role": "tool", "content": [{"type": "text", "text": "done"}]},
    ]
    value = {"path": "{{cwd}}/a", "list": ["{{ last_tool }}", 3], "in": {"said": "{{last_user}}", "other": "{{what}}"}}
    assert mock_script.fill(value, messages) == {
        "path": "/p/a",
        "list": ["done", 3],
        "in": {"said": "Do it", "other": "{{what}}"},
    }
    assert mock_script.fill("{{cwd}} {{last_user}} {{last_tool}}", []) == ".  "


@pytest.mark.parametrize(
    ("content", "text"),
    (
        ("a\nb ", "a\nb "),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:…"}}], "a\n[image]"),
        ([{"type": "input_audio"}, {"type": "file"}, "plain", {"type": "odd"}, {}, 3], "[audio]\n[file]\nplain"),
    ),
)
def test_reads_parts_as_text(content, text):
    assert mock_script.last_user_text([{"role": "user", "content": content}]) == text
