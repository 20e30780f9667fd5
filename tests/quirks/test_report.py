from app.quirks.report import MAX_ENTRIES, Report


def test_counts_are_complete_and_entries_bounded():
    report = Report()
    for number in range(1000):
        report.note("tool.id", f"calls[{number}]", "", number)
    assert report.counts == {"tool.id": 1000}
    assert len(report.entries) == MAX_ENTRIES
    assert report.entries[0]._asdict() == {
        "rule": "tool.id", "where": "calls[0]", "before": "", "after": 0, "mode": "fix", "at": 0.0, "raw": 0,
    }  # fmt: skip


def test_headers():
    report = Report()
    assert (report.header(), report.dropped_header()) == ("", "")
    note = report.note_for("gemini.schema")
    note("tools[0]", 1, 2)
    note("tools[1]", 1, 2)
    report.note_for("tool.name", "warn")("tools[0]", "a", "b")
    report.dropped += ["store", "n"]
    assert report.header() == "gemini.schema=2,tool.name=1;warn"
    assert report.dropped_header() == "store,n"


def test_before_and_after_are_kept_by_reference():
    before: dict = {}
    report = Report()
    report.note("a.b", "x", before, None)
    assert report.entries[0].before is before
