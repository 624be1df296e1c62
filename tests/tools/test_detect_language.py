# ruff: noqa: RUF001 -- other scripts are meant
from __future__ import annotations

import subprocess
import sys

import pytest

from tools.detect_language import LANGUAGES, alike, detect

SENTENCES = {
    "en": "Can customers return unused items?",
    "de": "Wie lange habe ich Zeit für die Rückgabe?",
    "fr": "Combien de temps ai-je pour renvoyer un article ?",
    "es": "¿Cuánto tiempo tengo para devolver un artículo?",
    "hr": "Koliko vremena imam za povrat artikla?",
    "nl": "Hoeveel kost de verzending?",
    "sv": "Hur mycket kostar frakten?",
    "ar": "كم تكلفة الشحن إلى ألمانيا؟",
    "he": "כמה עולה המשלוח לגרמניה?",
    "ja": "送料はいくらですか",
    "zh": "退货期限是多久",
    "ru": "Сколько дней есть у покупателя, чтобы вернуть купленный товар?",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_short_question_is_told_by_its_language(code) -> None:
    found = detect(SENTENCES[code])
    assert found.sure
    assert alike(found.language, code)


@pytest.mark.parametrize("text", ["Refund?", "API key", "wifi password", "PHIQ_REDIS_URL", "OK"])
def test_a_name_or_a_word_is_not_sure(text) -> None:
    assert not detect(text).sure


@pytest.mark.parametrize("text", ["", "1234 – 5", "!?"])
def test_what_has_no_letters_has_no_language(text) -> None:
    assert detect(text) == ("", False)


def test_serbian_in_latin_letters_is_named_as_croatian_which_is_written_in_them() -> None:
    assert detect("Koliko košta dostava do Beograda?").language == "hr"
    assert detect("Колико кошта достава до Београда и да ли је могуће платити на рате?").language == "sr"


def test_a_choice_of_languages_is_kept_to_and_the_next_call_knows_all_again() -> None:
    assert detect("Que horas abre?", among=["en", "es-MX"]).language == "es"
    assert detect("Wann öffnet der Support?", among=["xx"]).language == ""
    assert detect(SENTENCES["ja"]).language == "ja"


def test_languages_that_a_sentence_does_not_tell_apart_count_as_alike() -> None:
    assert alike("hr", "bs-Latn")
    assert alike("nb", "no")
    assert alike("pt-BR", "pt_PT")
    assert not alike("de", "nl")


def test_each_language_offered_is_known_to_the_model() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert set(LanguageIdentifier.from_model_file(MODEL_FILE).labels) >= LANGUAGES


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = "import sys, tools.detect_language; sys.exit('py3langid' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
