"""What is private in text is found; what only looks like it stays."""

from __future__ import annotations

import pytest

from tools.private_text import card_holds, iban_holds, label_of, mask_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mail jane.roe@example.org now", "Mail [e-mail] now"),
        ("jane @ example.org", "[e-mail]"),
        ("call +44 20 7946 0018 today", "call [phone number] today"),
        ("(212) 555-0143", "[phone number]"),
        ("TEL:07-5547360", "TEL:[phone number]"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC", "IBAN [IBAN] BIC"),
        ("4111 1111 1111 1111 exp 12/27", "[card number] exp 12/27"),
        ("SSN 123-45-6789", "SSN [personal number]"),
        ("Date of birth: 3 May 1980", "Date of birth: [personal number]"),
        ("Name: Jane Roe  Order 5", "Name: [name]  Order 5"),
        ("Password = hunter2", "Password = [secret]"),
        ("api_key: abc-123", "api_key: [secret]"),
        ("Authorization: Bearer abcdefghijklmnop123", "Authorization: [secret]"),
        ("https://u:pw123@host/x", "https://u:[secret]@host/x"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "[secret]"),
        ("ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789", "[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----", "[secret]"),
    ],
)
def test_private(text: str, masked: str) -> None:
    found, counts = mask_text(text)
    assert found == masked
    assert sum(counts.values()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "order 1234 5678 9012 3456",
        "Invoice no: 20181225001",
        "total 1,234.56 on 2018-12-25 20:13:39",
        "4,111.00 5.00 6.00",
        "Version 10.2.3.4 build 2019",
        "Token expired. Please log in.",
        "The username is shown below",
        "@example and a.b.c",
        "192.168.1.1",
    ],
)
def test_not_private(text: str) -> None:
    assert mask_text(text) == (text, {})


def test_several_on_several_lines() -> None:
    text, counts = mask_text("From a@b.org to c@d.org\nPIN: 1234")
    assert text == "From [e-mail] to [e-mail]\nPIN: [secret]"
    assert counts == {"email": 2, "secret": 1}


def test_check_digits_and_labels() -> None:
    assert iban_holds("GB82 WEST 1234 5698 7654 32")
    assert not iban_holds("GB82 WEST 1234 5698 7654 33")
    assert card_holds("5500-0000-0000-0004")
    assert not card_holds("5500-0000-0000-0005")
    assert [label_of(text) for text in ("Name:", "Name", "Password", "Total:")] == ["name", None, "secret", None]
