"""Who may ask the dashboard: the names that are accepted, whatever else is sent."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.server.gate import Names
from tasks.public_url import normalised

SERVED = ("127.0.0.1", 8501)
PUBLIC = Names("https://caat.example.org/lab/")
ALONE = Names()
HOSTILE_ORIGINS = [
    "null",
    "",
    "*",
    "https://evil.example",
    "http://caat.example.org",
    "https://caat.example.org:8443",
    "https://caat.example.org/",
    "https://caat.example.org.evil.example",
    "https://caat.example.org@evil.example",
    "https://evil.caat.example.org",
    "HTTPS://CAAT.EXAMPLE.ORG",
    "https://caat.example.org, https://evil.example",
    "http://localhost:3000",
    "https://localhost:8501",
    "http://127.0.0.1:8501",
    "http://localhost",
    "file://",
]
label = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)
host_names = st.lists(label, min_size=1, max_size=4).map(".".join)
ports = st.sampled_from(["", ":80", ":443", ":8501", ":9000"])


def status(names, host, origin=None, served=SERVED):
    refused = names.refusal(host, origin, served)
    return refused.status if refused else 200


@given(st.one_of(st.none(), st.text(max_size=30), host_names), ports)
@example("localhost.evil.example", "")
@example("127.0.0.1.nip.io", ":8501")
@example("caat.example.org.evil.example", "")
@example("caat.example.org@evil.example", "")
@example("evil.example/localhost", "")
@example("localhost\r\nHost: evil.example", "")
@example("::1", "")
@example("2130706433", "")
def test_a_host_that_is_no_name_of_this_dashboard_is_misdirected(name, port):
    ours = rf"(localhost|127\.[0-9.]+|\[[0-9a-f:.]*\]|caat\.example\.org)({port})?"
    if name is not None and re.fullmatch(ours, name.lower()):
        return
    host = None if name is None else f"{name}{port}"
    assert {status(names, host) for names in (PUBLIC, ALONE)} == {421}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "LocalHost"])
@pytest.mark.parametrize("port", ["", ":8501", ":9000", ":65535"])
def test_a_loopback_name_may_have_the_port_of_any_tunnel_and_its_own_pages_are_answered(name, port):
    host = f"{name}{port}"
    assert status(ALONE, host) == status(ALONE, host, f"http://{host.lower()}") == 200
    assert status(ALONE, host, "http://localhost:1") == 403


@pytest.mark.parametrize("names", [PUBLIC, ALONE])
@pytest.mark.parametrize("origin", HOSTILE_ORIGINS)
def test_another_pages_origin_is_refused_whatever_it_resembles(names, origin):
    assert status(names, "localhost:8501", origin) == 403
    if names is PUBLIC:
        assert status(names, "caat.example.org", origin) == 403


@given(st.sampled_from(["http", "https", "ws", "app"]), host_names, ports)
def test_only_the_exact_origin_of_the_public_url_is_accepted(scheme, host, port):
    origin = f"{scheme}://{host}{port}"
    expected = 200 if origin == "https://caat.example.org" else 403
    assert status(PUBLIC, "caat.example.org", origin) == expected


def test_the_public_page_is_answered_also_by_a_proxy_that_hands_on_another_host():
    for host in ("caat.example.org", "caat.example.org:443", "127.0.0.1:8501", "localhost:8501"):
        assert status(PUBLIC, host, "https://caat.example.org") == 200
    with_port = Names("https://caat.example.org:8443/")
    for host in ("caat.example.org", "caat.example.org:8443"):
        assert status(with_port, host, "https://caat.example.org:8443") == 200
    assert status(with_port, "caat.example.org", "https://caat.example.org") == 403
    assert status(with_port, "caat.example.org:1") == 421


@pytest.mark.parametrize(
    ("names", "served", "host", "expected"),
    [
        (Names(), ("192.168.1.5", 8501), "192.168.1.5:8501", 200),
        (Names(), ("::ffff:192.168.1.5", 8501, 0, 0)[:2], "192.168.1.5:8501", 200),
        (Names(), ("2001:db8::5", 8501), "[2001:DB8:0::5]:8501", 200),
        (Names(), ("192.168.1.5", 8501), "192.168.1.6:8501", 421),
        (Names(), ("192.168.1.5", 8501), "192.168.1.5:80", 421),
        (Names(hosts=frozenset({"lab-01"})), ("192.168.1.5", 8501), "lab-01:8501", 200),
        (Names(hosts=frozenset({"lab-01"})), ("192.168.1.5", 8501), "lab-01", 421),
        (Names(hosts=frozenset({"lab-01"})), ("192.168.1.5", 8501), "lab-02:8501", 421),
        (Names(), None, "192.168.1.5:8501", 421),
    ],
)
def test_the_address_that_was_reached_is_a_name_and_no_other_address(names, served, host, expected):
    assert status(names, host, served=served) == expected


@given(host_names, st.integers(1, 65535), st.lists(label, max_size=3))
@example("example.org", 443, [])
@example("10.0.0.1", 80, ["lab"])
def test_a_public_url_is_what_a_browser_would_write(host, port, path):
    if re.search(r"(^|\.)-|-(\.|$)|(^|\.)[0-9]+$|(^|\.)0x[0-9a-f]*$", host) and host != "10.0.0.1":
        return
    below = "".join(f"/{part}" for part in path)
    for scheme, default in (("https", 443), ("http", 80)):
        origin = f"{scheme}://{host}" + (f":{port}" if port != default else "")
        for typed in (f"{scheme.upper()}://{host.upper()}:{port}{below}", f"{origin}{below}/"):
            assert normalised(typed) == f"{origin}{below}/"
        assert Names(normalised(f"{origin}{below}")).public_origin == origin


@given(st.text(max_size=40))
@example("caat.example.org")
@example("ftp://caat.example.org")
@example("https://")
@example("https://user:secret@caat.example.org")
@example("https://caat.example.org?x=1")
@example("https://caat.example.org/#x")
@example("https://caat.example.org:0")
@example("https://caat.example.org:99999")
@example("https://caat.example.org/../x")
@example("https://caat.example.org//x")
@example("https://caat.example.org/%2e%2e")
@example("https://1.2.3")
@example("https://[::g]")
@example("https://*.example.org")
@example("https://a b")
@example("https://a\nb")
@example("https://caat.example.org, https://other.example.org")
def test_what_is_no_address_of_a_page_is_refused_as_a_public_url(text):
    try:
        accepted = normalised(text)
    except ValueError:
        return
    parts = urlsplit(accepted)
    assert "\n" not in accepted
    assert not accepted or (
        parts.scheme in ("http", "https")
        and parts.hostname
        and not (parts.username or parts.query or parts.fragment)
    )
