"""What is configured as a secret leaves the machine as stars, whatever stands around it, and nothing else changes."""

import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.machine_time import machine_time

from everest_system.io.logs import masking
from everest_system.io.logs.masking import AUTHORIZATION, ID_TOKENS, PASSWORDS, PIECE, Mask, Masker

KEY = Mask("key", ("key=",), r"key=(\w+)")


def masked(text: bytes, *masks: Mask, size: int = 1 << 20) -> bytes:
    masker = Masker(masks or (PASSWORDS, AUTHORIZATION, ID_TOKENS))
    return b"".join(masker.blocks(text[at : at + size] for at in range(0, len(text), size)))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (b"PUT ftp://user:se-cret@host/x", b"se-cret"),
        (b'{"location":"https://user:p@ss@host:443/x"}', b"p@ss"),
        (b"sftp://:onlypassword@host and on", b"onlypassword"),
        (b"Authorization: Basic dXNlcjpwYXNz", b"dXNlcjpwYXNz"),
        (b"> authorization: Bearer a.b-c_d\r", b"a.b-c_d"),
        (b"'Proxy-Authorization': 'Basic dXNlcg=='", b"dXNlcg=="),
        (b'Authorization: Digest username="u", response="r"', b'Digest username="u", response="r"'),
        (rb'"{\"Authorization\":\"Basic dXNlcg==\"}"', b"dXNlcg=="),
        (b'[2,"1","Authorize",{"idTag":"045918E24B4D80"}]', b"045918E24B4D80"),
        (b'"idToken":{"idToken":"04-59.18","type":"ISO14443"}', b"04-59.18"),
        (b'"id_token":{"value":"AABB","type":"x"}', b"AABB"),
        (b'"parentIdTag": "PARENT"', b"PARENT"),
        (rb'"{\"idTag\":\"ESCAPED\"}"', b"ESCAPED"),
    ],
)
def test_what_is_hidden(text, secret):
    """The secret becomes stars, as many as it had letters, and all around it stays."""
    assert masked(text) == text.replace(secret, b"*" * len(secret))


@pytest.mark.parametrize(
    "text",
    [
        b"https://host:8080/path and mail to me@host",
        b"getty@tty1.service: started",
        b"ftp://user@host/file",
        b"the authorization of the session",
        b"idTokenInfo Accepted",
        b"Waiting for authorization",
        b"\x00\xff\xfe binary \x80 @",
        b"",
    ],
)
def test_what_is_not(text):
    """Addresses without a password and mere words stay."""
    assert masked(text) == text


def test_it_is_counted_once():
    """Each secret counts, by its mask, also with two literals in its line; masks without a match count none."""
    masker = Masker((PASSWORDS, KEY, Mask("again", ("idT", "Tag"), "idTag=(.)")))
    text = b"".join(masker.blocks([b"ftp://a:b@c ftp://d:ef@g\nidTag=x\n"]))
    assert text == b"ftp://a:*@c ftp://d:**@g\nidTag=*\n"
    assert masker.counts == {"url_password": 2, "key": 0, "again": 1}


@settings(max_examples=examples(60))
@given(
    st.lists(st.sampled_from([b"key=SECRET", b"\n", b"x" * 30, b"k", b"key=", b" "]), max_size=60),
    st.integers(1, 50),
)
def test_wherever_blocks_end(pieces, size):
    """The same comes out wherever the blocks of a file begin and end."""
    text = b"".join(pieces)
    assert masked(text, KEY, size=size) == re.sub(rb"key=(\w+)", lambda found: b"key=" + b"*" * len(found[1]), text)


@pytest.mark.parametrize("noise", [b"k", b"kk y", b"key", b"k" * 500])
def test_a_literal_whose_rarest_byte_is_everywhere(noise):
    """It is found all the same, wherever the search gave up looking for that byte."""
    text = (noise * 7 + b" key=SECRET\n") * 20
    assert masked(text, KEY) == text.replace(b"SECRET", b"******")


@pytest.mark.parametrize("before", [0, 5, PIECE - 8, PIECE, 2 * PIECE - 3, 3 * PIECE + 1, 9 * PIECE - 9])
def test_lines_without_end(before):
    """In a line of any length a secret is hidden at any place, and counted once."""
    text = b" " * before + b"key=SECRET " + b"y" * (10 * PIECE)
    masker = Masker((KEY,))
    blocks = (text[at : at + 1000] for at in range(0, len(text), 1000))
    assert b"".join(masker.blocks(blocks)) == text.replace(b"SECRET", b"******")
    assert masker.counts == {"key": 1}


def test_a_secret_across_the_place_where_a_long_line_is_cut():
    """A literal behind the cut still hides what begins before it."""
    text = b" " * 2 * PIECE + b"ftp://user:" + b"s" * 1000 + b"@host"
    for size in (2 * PIECE + 11 + 500, 2 * PIECE + 8, 3 * PIECE + 100):
        assert b"s" * 10 not in masked(text, PASSWORDS, size=size)


def test_an_expression_without_end_hides_the_whole_line(monkeypatch):
    """Its lines are masked whole rather than let through, soon without trying, and the manifest can name it."""
    monkeypatch.setattr(masking, "PATIENCE_S", 0.05)
    monkeypatch.setattr(masking, "_TICK_S", 0.02)
    masker = Masker((Mask("endless", ("aaa",), r"(a+)+$"), KEY))
    line = b"a" * 40 + b"!"
    begin = machine_time()
    with masker.watch():
        text = b"".join(masker.blocks([b"\n".join([line] * 50) + b"\nkey=x\n"]))
    assert machine_time() - begin < 5
    assert text == b"\n".join([b"*" * len(line)] * 50) + b"\nkey=*\n"
    assert masker.slow == {"endless": 3}
    assert masker.counts == {"endless": 50, "key": 1}


def test_beside_the_main_thread_it_is_not_watched():
    """Signals go to the main thread alone; elsewhere masks work as they are."""
    masker, done = Masker((KEY,)), []

    def work():
        with masker.watch():
            done.append(b"".join(masker.blocks([b"key=x"])))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [b"key=*"]


@pytest.mark.parametrize(("literals", "pattern"), [((), "x"), (("",), "x"), (("x",), "("), (("x",), "x{99999999999}")])
def test_a_mask_that_is_none(literals, pattern):
    """It is refused before anything is collected."""
    with pytest.raises(ValueError, match=r"literal|regular expression"):
        Mask("m", literals, pattern)


def test_text_without_secrets_costs_next_to_nothing():
    """A block in which no literal stands is the very same block."""
    block = b"2026-11-22 09:30:00.000000 [INFO] evse_manager: all is well\n" * 1000
    assert next(Masker((PASSWORDS, AUTHORIZATION)).blocks([block])) == block
    assert next(Masker(()).blocks([block])) is block
