from __future__ import annotations

import pytest

from agents.contract import SourceText, SummarizeInput
from agents.sections import sections
from agents.summarize import build_summarize

MEETING = (
    "Anna: We agreed to ship the release in 14 days. Ben: I will write the notes by Friday. "
    "Anna: The budget of 300 euros stays as it is."
)
MINUTES = (
    "Summary:\n- Anna and Ben planned the release.\n\n**Decisions:**\n- Ship the release in 14 days.\n\n"
    "Actions:\n- Ben: write the notes (Friday)\n- none"
)


def wish(*texts: str, **fields) -> SummarizeInput:
    return SummarizeInput(texts=[SourceText(text=text, name=f"t{n}") for n, text in enumerate(texts)], **fields)


def test_minutes_become_fields_with_their_places(model, run) -> None:
    scripted = model(MINUTES)
    result, chunks = run(build_summarize(scripted), wish(MEETING, form="minutes"))
    assert "'Decisions:'" in scripted.prompts[0][-1].text
    found = {section.heading: section.points for section in result.sections}
    assert list(found) == ["summary", "decisions", "actions"]
    (action,) = found["actions"]
    assert (action.who, action.when) == ("Ben", "Friday")
    assert all(result.text[p.start : p.end] == p.text for points in found.values() for p in points)
    assert "".join(chunk.delta for chunk in chunks) == result.text


def test_an_answer_without_headings_is_said_to_have_none(model, run) -> None:
    result, _ = run(build_summarize(model("They planned the release.")), wish(MEETING, form="handover"))
    assert result.sections == []
    assert any("headings" in note for note in result.notes)


@pytest.mark.parametrize("mark", ["-", "*", "1."])
def test_sections_take_any_mark_of_a_list(mark: str) -> None:
    (section,) = sections(f"## Next steps\n{mark} Call the customer back.")
    assert section.heading == "next_step"
    assert section.points[0].text == "Call the customer back."


def test_a_foreign_number_is_asked_for_again_and_the_better_answer_shown(model, run) -> None:
    scripted = model("- The release ships in 99 days.", "- The release ships in 14 days.")
    result, chunks = run(build_summarize(scripted), wish(MEETING, form="bullets"))
    assert result.text == "- The release ships in 14 days."
    assert result.issues == []
    assert "99 is not in the text" in scripted.prompts[1][-1].text
    assert "99" not in "".join(chunk.delta for chunk in chunks)


def test_a_foreign_number_that_stays_is_flagged_with_its_place(model, run) -> None:
    scripted = model("- The release ships in 99 days.", "- The release ships in 98 days.")
    result, _ = run(build_summarize(scripted), wish(MEETING, form="bullets"))
    (issue,) = result.issues
    assert result.text[issue.start : issue.end] == "99"
    assert len(scripted.prompts) == 2


def test_a_wrong_language_is_asked_for_again_once_then_flagged(model, run) -> None:
    english = "Anna and Ben planned the next release and talked about the notes."
    german = "Anna und Ben haben die nächste Version geplant und über die Notizen gesprochen."
    result, _ = run(build_summarize(model(english, german)), wish(MEETING, language="de"))
    assert result.text == german
    assert result.issues == []
    scripted = model(english, english)
    result, _ = run(build_summarize(scripted), wish(MEETING, language="de"))
    assert [issue.problem for issue in result.issues] == ["language"]
    assert len(scripted.prompts) == 2


def test_a_plain_paragraph_streams_and_is_only_flagged(model, run) -> None:
    scripted = model("The release ships in 99 days.")
    result, _ = run(build_summarize(scripted), wish(MEETING))
    assert [issue.problem for issue in result.issues] == ["number"]
    assert len(scripted.prompts) == 1


def test_each_texts_share_is_told_and_a_text_left_out_is_named(model, run) -> None:
    scripted = model("The parcel arrived broken.")
    result, _ = run(build_summarize(scripted), wish("The parcel arrived broken.", "Our invoice was paid twice."))
    assert [(one.name, one.kept) for one in result.sources] == [("t0", 1), ("t1", 0)]
    assert any("t1" in note for note in result.notes)
    assert "each text" in scripted.prompts[0][-1].text


def test_the_form_is_asked_for_at_the_end_and_its_matter_kept_on_the_way(model, run) -> None:
    def answer(messages) -> str:
        return "A part was told." if "This is a part" in messages[-1].text else MINUTES

    long = "\n\n".join(f"Anna: We agreed to ship release number {n} in 14 days, said Ben on Friday." for n in range(60))
    scripted = model(reply=answer, limit=500)
    result, _ = run(build_summarize(scripted), wish(long, form="minutes"))
    parts = [m for m in scripted.prompts if "This is a part" in m[-1].text]
    assert len(parts) == result.coverage.parts > 1
    assert all("every decision" in m[-1].text and "'Decisions:'" not in m[-1].text for m in parts)
    assert "'Decisions:'" in scripted.prompts[-1][-1].text
    assert result.sections


def test_length_goes_before_sentences_and_a_line_is_one() -> None:
    assert wish("a", length="long", sentences=3).about == 12
    assert wish("a", sentences=3).about == 3
    assert wish("a", form="line", length="long").about == 1
    assert wish("a").model_dump().keys() == {"texts", "focus", "sentences", "language"}
