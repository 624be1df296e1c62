"""A chat answers in the language it is asked in, whatever its documents are written in."""

from __future__ import annotations

import pytest

from agents.chat import ACROSS_NOTE, build_chat
from agents.contract import ChatInput, ChatResult, Message

ENGLISH = (
    "Customers may return unused items within 30 days of delivery. Opened software of type SX-9 is excluded from "
    "returns. We do not refund the cost of shipping."
)
GERMAN = "Wie viele Tage habe ich Zeit, um einen Artikel zurückzugeben?"
QUERY = "How many days do I have to return an item?"
RIGHT = (
    'Unbenutzte Artikel können innerhalb von 30 Tagen zurückgegeben werden. [1] "return unused items within 30 days"'
)
SHOWN = "Unbenutzte Artikel können innerhalb von 30 Tagen zurückgegeben werden. [1]"


def _ask(question: str) -> ChatInput:
    return ChatInput(messages=[Message(role="user", content=question)])


@pytest.fixture
def chat(model, run, passage, shelf):
    """Asks a German question of an English passage; gives the result, the model and the shelf."""

    def go(*answers, question=GERMAN, text=ENGLISH, kept=None):
        scripted, books = model(*answers), shelf(passage(text))
        result, _ = run(build_chat(scripted, books, checkpoints=kept), _ask(question))
        assert isinstance(result, ChatResult)
        return result, scripted, books

    return go


def test_the_question_is_looked_up_in_the_documents_language_and_answered_in_its_own(chat) -> None:
    result, scripted, books = chat(QUERY, RIGHT)
    assert books.queries == [GERMAN, QUERY]
    assert (result.text, result.band) == (SHOWN, "answered")
    assert ACROSS_NOTE in result.notes
    assert any(QUERY in note for note in result.notes), "how it was looked up is said"
    assert "German" in scripted.prompts[1][0].text
    (citation,) = result.citations
    assert citation.quote == ENGLISH[citation.start : citation.end] == "return unused items within 30 days"
    assert result.text[citation.answer_start : citation.answer_end] == SHOWN
    assert result.usage.completion_tokens > len(RIGHT.split()), "the translation of the question is counted too"


WRONG = {
    "words that the passage does not have": 'Artikel können zurückgegeben werden. [1] "items can be sent back freely"',
    "a changed number": RIGHT.replace("30 Tagen", "60 Tagen"),
    "a changed code": 'Software vom Typ SX-7 ist ausgeschlossen. [1] "Opened software of type SX-9 is excluded"',
    "a dropped not": 'Wir erstatten die Kosten für den Versand. [1] "We do not refund the cost of shipping."',
    "an added not": 'Artikel können nicht zurückgegeben werden. [1] "Customers may return unused items"',
    "a passage that is not there": 'Artikel können zurückgegeben werden. [4] "Customers may return unused items"',
    "no quotation": "Unbenutzte Artikel können zurückgegeben werden. [1]",
    "one word quoted": 'Unbenutzte Artikel können zurückgegeben werden. [1] "items"',
    "much more than was quoted": "Artikel können zurückgegeben werden, und außerdem "
    + "bekommen alle Kunden einen Gutschein und ein Geschenk zum Geburtstag " * 3
    + '[1] "Customers may return unused items"',
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG.keys())
def test_a_sentence_that_does_not_render_its_quotation_is_never_shown(chat, line) -> None:
    alone, _, _ = chat(QUERY, line)
    assert (alone.band, alone.citations) == ("abstained", [])
    among, _, _ = chat(QUERY, f"{RIGHT}\n{line}\n{RIGHT}")
    assert among.text == f"{SHOWN} {SHOWN}"
    assert any(note.startswith("1 sentence of the model") for note in among.notes)


def test_quotation_marks_and_line_breaks_of_any_kind_do_not_matter(chat) -> None:
    text = ENGLISH.replace("unused items", "“unused”\nitems")
    line = RIGHT.replace('"return unused items within 30 days"', "„return 'unused' items within 30 days“")
    assert chat(QUERY, line.replace("'unused'", '"unused"'), text=text)[0].text == SHOWN


def test_an_answer_in_a_wrong_language_is_asked_for_again_before_anything_is_shown(chat) -> None:
    wrong = "Customers may return unused items within 30 days of delivery [1]."
    result, scripted, _ = chat(QUERY, wrong, RIGHT)
    assert result.text == SHOWN
    assert "another language" in scripted.prompts[2][-1].text
    assert not any("asked twice" in note for note in result.notes)


def test_a_language_that_stays_wrong_is_flagged_and_the_sentences_still_checked(chat) -> None:
    wrong = "Customers may return unused items within 30 days of delivery [1]. Whales sing in the deep sea [1]."
    result, scripted, _ = chat(QUERY, wrong, wrong)
    assert result.text == "Customers may return unused items within 30 days of delivery [1]."
    assert len(scripted.prompts) == 3
    assert any(note.startswith("The model answered in English, not in German") for note in result.notes)


def test_a_wrong_language_is_noticed_too_where_question_and_documents_have_the_same(chat) -> None:
    right = "Customers may return unused items within 30 days of delivery [1]."
    result, scripted, books = chat(RIGHT, right, question=QUERY)
    assert (result.text, len(scripted.prompts), books.queries) == (right, 2, [QUERY])


def test_the_next_attempt_of_a_job_goes_on_with_the_second_call(chat, kept) -> None:
    chat(QUERY, "Customers may return unused items within 30 days of delivery [1].", RIGHT, kept=kept)
    result, scripted, _ = chat(RIGHT, kept=kept)
    assert (result.text, len(scripted.prompts)) == (SHOWN, 1)


@pytest.mark.parametrize("question", ["Returns?", "SX-9", "30 Tage?"])
def test_a_question_too_short_to_tell_is_answered_as_ever(chat, question) -> None:
    right = "Customers may return unused items within 30 days of delivery [1]."
    result, _, books = chat(right, question=question)
    assert (result.text, books.queries) == (right, [question])


def test_without_a_usable_translation_the_question_is_looked_up_as_it_is(chat) -> None:
    result, _, books = chat("", RIGHT)
    assert (books.queries, result.text) == ([GERMAN], SHOWN)
    assert any("could not be translated" in note for note in result.notes)


def test_a_quotation_that_no_passage_has_is_not_shown(model, run, passage, shelf) -> None:
    right = 'The terms say "return unused items within 30 days" [1].'
    said = f'{right} The terms say "items return unused 30 days within" [1].'
    result, _ = run(build_chat(model(said), shelf(passage(f"The terms say: {ENGLISH}"))), _ask("Returns?"))
    assert result.text == right


def test_two_words_that_changed_places_are_seen(model, run, passage, shelf) -> None:
    text = "The buyer pays the seller within 30 days. Pears and apples are in stock."
    said = "The seller pays the buyer within 30 days [1]. Apples and pears are in stock [1]."
    result, _ = run(build_chat(model(said), shelf(passage(text))), _ask("Who pays?"))
    assert result.text == "Apples and pears are in stock [1]."
