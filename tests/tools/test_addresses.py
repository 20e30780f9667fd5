"""Addresses of the public internet, and all the others."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tools.addresses import is_public


@pytest.mark.parametrize("text", [
    "8.8.8.8", "93.184.215.14", "1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "223.255.255.254",
    "2606:4700::1111", "2a00:1450:4001:82a::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
])
def test_public(text):
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "2606:4700::1111%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "2001:db8::1", "3fff::1", "2001::1", "2001:0:53aa:64c:0:0:0:1", "100::1", "5f00::1", "64:ff9b:1::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a00:1::1",
])
def test_not_public(text):
    assert not is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_in_another_is_judged_by_itself(address):
    for carrier in (f"::ffff:{address}", f"64:ff9b::{address}", int(address) << 80 | 0x2002 << 112):
        assert is_public(ipaddress.IPv6Address(carrier)) is is_public(address)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address):
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address) or address in ipaddress.ip_network("2002::/16")
