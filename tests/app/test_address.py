"""Under which names and addresses the dashboard is reached, from here and from elsewhere."""

import socket
from types import SimpleNamespace

import psutil
import pytest

from app.server.address import Address
from tests.app.browser import free_port

LOOPBACK, OF_THE_LINK, OF_THE_NETWORK = "127.0.0.1", "169.254.7.7", "192.168.1.5"


def has_addresses(monkeypatch, *addresses: str) -> None:
    """Give this machine an interface for each address, and an IPv6 one before all of them."""
    found = {"eth9": [SimpleNamespace(family=socket.AF_INET6, address="2001:db8::5")]}
    for number, address in enumerate(addresses):
        known = SimpleNamespace(family=socket.AF_INET, address=address)
        found[f"eth{number}"] = [known]
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        ([LOOPBACK, OF_THE_LINK, OF_THE_NETWORK, "10.0.0.1"], [OF_THE_NETWORK]),
        ([OF_THE_NETWORK, LOOPBACK], [OF_THE_NETWORK]),
        ([LOOPBACK, OF_THE_LINK], []),
        ([], []),
    ],
)
@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_other_machines_are_told_the_first_address_that_reaches_beyond_this_link(
    monkeypatch, everywhere, addresses, told
):
    has_addresses(monkeypatch, *addresses)
    port = free_port()
    _, *elsewhere = Address.of(everywhere, port).to_open()
    hosts = [socket.gethostname().lower(), *told]
    assert elsewhere == [f"http://{host}:{port}" for host in hosts]


def test_what_listens_at_one_address_is_not_said_to_be_elsewhere(monkeypatch):
    has_addresses(monkeypatch, OF_THE_NETWORK)
    assert len(Address.of(LOOPBACK, free_port()).to_open()) == 1


def test_a_browser_may_call_it_by_the_name_that_it_was_given_or_everywhere_by_this_machines():
    assert Address.of("LocalHost", 1).names == {"localhost"}
    for everywhere in ("0.0.0.0", "::"):
        assert Address.of(everywhere, 1).names == {socket.gethostname().lower()}
