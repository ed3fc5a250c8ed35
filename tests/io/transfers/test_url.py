"""URLs from outside: what passes the gate, and in which spelling."""

import pytest

from everest_system.fsm.errors import RequestError
from everest_system.io.transfers.url import (
    MAX_LENGTH,
    credentials,
    location,
    origin,
    redacted,
    redirect_target,
    upload_target,
    without_userinfo,
)

ALL = frozenset({"https", "http", "ftps", "ftp", "sftp"})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org/fw.bin", "https://example.org/fw.bin"),
        ("HTTPS://Example.ORG:8443/Fw.bin?a=b&c=%20d#part", "https://example.org:8443/Fw.bin?a=b&c=%20d"),
        ("http://example.org", "http://example.org"),
        ("http://example.org:?q", "http://example.org?q"),
        ("http://[2001:DB8::1]:80/x", "http://[2001:db8::1]:80/x"),
        ("http://bücher.example/größe?ü=ß", "http://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?%C3%BC=%C3%9F"),
        ('http://h/a"<>`{|}^b', "http://h/a%22%3C%3E%60%7B%7C%7D%5Eb"),
        ("ftp://us%40er:p:a@s%2Fs@my_host./d/f", "ftp://us%40er:p%3Aa%40s%2Fs@my_host./d/f"),
        ("sftp://ü:%ff@h/", "sftp://%C3%BC:%ff@h/"),
    ],
)
def test_good_url_comes_back_in_one_spelling(text, url):
    """A good URL comes back as ASCII, with its meaning kept."""
    assert location(text, ALL) == url
    assert location(url, ALL) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fw.bin",
        "/fw.bin",
        "https:example.org",
        "https:/example.org/x",
        "https://",
        "https:///fw.bin",
        "https://user@/x",
        "gopher://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://exa mple.org/",
        " https://example.org/",
        "https://example.org/a\nb",
        "https://example.org/a\tb",
        "https://example.org/\x00",
        "https://example.org/\x7f",
        "https://example.org/\ud800",
        "https://example.org/\u2028",
        "https://example.org\\@evil/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:80x/",
        "https://-x.example/",
        "https://a..b/",
        "https://" + "a" * 64 + ".example/",
        "https://ex%41mple.org/",
        "https://[::1/",
        "https://[fe80::1%eth0]/",
        "https://[::zz]/",
        "https://℀.example/",
        "https://us%0aer@h/",
        "https://u:p%00@h/",
        "ftp://h/a%0d%0aDELE%20b",
        "https://h/" + "x" * MAX_LENGTH,
    ],
)
def test_bad_url_is_refused_without_being_repeated(text):
    """What is no usable URL raises RequestError, in words that do not repeat it."""
    with pytest.raises(RequestError) as caught:
        location(text, ALL)
    assert "\n" not in str(caught.value)
    assert len(text) < 5 or text not in str(caught.value)


def test_scheme_must_be_allowed():
    """A scheme that is not configured is refused, and the message names those that are."""
    with pytest.raises(RequestError, match="https"):
        location("http://example.org/", frozenset({"https"}))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", "http://h/a%20b.tar.gz"),
        ("http://h?k=v", "http://h/a%20b.tar.gz?k=v"),
        ("http://h/", "http://h/a%20b.tar.gz"),
        ("ftp://u:p@h:2121/logs/", "ftp://u:p@h:2121/logs/a%20b.tar.gz"),
        ("http://h/logs/?k=v/", "http://h/logs/a%20b.tar.gz?k=v/"),
        ("http://h/logs", "http://h/logs"),
        ("http://h/logs?k=/", "http://h/logs?k=/"),
    ],
)
def test_folder_gets_the_file_name(url, target):
    """The file name is appended exactly where OCPP says so."""
    assert upload_target(url, "a b.tar.gz") == target


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@h:1/p?token=secret#secret", "https://h:1/p?…"),
        ("https://h/p", "https://h/p"),
        ("user:secret@h/p", "(no URL)"),
        ("https://user:se/cret@h/", "(no URL)"),
        ("https://[secret", "(no URL)"),
        ("", "(no URL)"),
        ("https://h/a\x1b[0mb", "https://h/a?[0mb"),
    ],
)
def test_log_holds_no_secret(url, shown):
    """What goes to a log has no userinfo, no query and no control character."""
    assert redacted(url) == shown
    assert "secret" not in redacted(url)


def test_long_text_is_cut_for_the_log():
    """A log line stays a line of bearable length."""
    assert len(redacted("https://h/" + "x" * 9000)) == 512


def test_userinfo_is_taken_apart():
    """User and password come out decoded, and the rest without them."""
    url = location("ftp://us%40er:p%C3%A4:ss@h:21/f", ALL)
    assert credentials(url) == (b"us@er", "pä:ss".encode())
    assert without_userinfo(url) == "ftp://h:21/f"
    assert origin(url) == "ftp://h:21"
    assert credentials("ftp://h/f") is None
    assert credentials("ftp://u@h/f") == (b"u", b"")


@pytest.mark.parametrize(
    ("url", "to", "target"),
    [
        ("https://u:p@h/a/b", "../c d", "https://u:p@h/c%20d"),
        ("https://u:p@h/a", "https://other/c", "https://other/c"),
        ("https://u:p@h/a", "https://h:444/c", "https://h:444/c"),
        ("http://u:p@h/a", "https://h/c", "https://h/c"),
        ("https://u:p@h/a", "https://v:q@h/c", "https://v:q@h/c"),
        ("http://h/a", "//h2/c", "http://h2/c"),
    ],
)
def test_redirect_keeps_secrets_at_home(url, to, target):
    """User and password follow a redirect only to the same scheme, host and port."""
    assert redirect_target(url, to, ALL) == target


@pytest.mark.parametrize(
    "to", ["http://h/c", "ftp://h/c", "file:///etc/passwd", "https://[", "https://h/\x01", "//[::1/x"]
)
def test_bad_redirect_is_refused(to):
    """A redirect to http, out of HTTP, or to nowhere is refused."""
    with pytest.raises(RequestError, match="redirect"):
        redirect_target("https://h/a", to, ALL)


@pytest.mark.parametrize("text", ["file:///a/b%20c", "file://localhost/a/b%20c", "FILE:///a/b%20c"])
def test_files_of_this_machine_have_no_host(text):
    """A file of this machine comes back without a host, and can be shown."""
    url = location(text, {"file"})
    assert (url, redacted(url), upload_target("file:///a/", "b")) == ("file:///a/b%20c", url, "file:///a/b")


@pytest.mark.parametrize("text", ["file://server/a", "file://u:p@localhost/a", "file:/a", "file:a", "file:///a%00b"])
def test_files_of_other_machines_are_refused(text):
    """A file elsewhere, with a user, or by half a URL is refused."""
    with pytest.raises(RequestError):
        location(text, {"file"})
