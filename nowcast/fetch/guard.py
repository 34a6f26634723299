"""Who may be asked: hosts by the source's list, addresses by what they are.

Names and addresses come from servers too (redirects, STAC links, signed URLs), and a name may mean
another address a moment later. So every URL passes here before every request, and the connection is
made to the very address that was looked at.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nowcast.field.errors import AddressError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PORTS = {"https": 443, "http": 80}
_LONGEST_URL = 8192
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
# Reached by ordinary addresses, though they belong to the cloud beneath: Azure's, Alibaba's.
_METADATA = {ipaddress.ip_address("168.63.129.16"), ipaddress.ip_address("100.100.100.200")}
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# Of protocols (and of Oracle's metadata); the standard library knows but a part of it.
_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
_METADATA_V6 = ipaddress.ip_network("fd00:ec2::/32")
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
_ISATAP = 0x5EFE

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Place:
    """A URL that may be asked, taken apart, and the addresses that were found good for it."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Scheme, host and port, as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == PORTS[self.scheme]
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")


def shown(url: str) -> str:
    """A URL for a message: no query (it may be signed), no user, nothing that is not printable."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"//[^/]*@", "//", bare)
    return bare[:300].encode("unicode_escape").decode("ascii")


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host; raises UnavailableError where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"{host}: no address found for that name") from error
    return list(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass(frozen=True)
class Guard:
    """What a source may ask.

    Attributes:
        hosts: names, or names with a port; without one the scheme's own is meant.
        allow_http: whether plain http will do.
        allow_private: whether a host may have a private or loopback address. Link-local addresses
            and those of metadata services are refused all the same.
        resolve: the addresses of a host.

    """

    hosts: tuple[str, ...]
    allow_http: bool = False
    allow_private: bool = False
    resolve: Callable[[str, int], Sequence[str]] = resolve

    def place(self, url: str) -> Place:
        """The URL, checked and resolved; raises AddressError, or UnavailableError."""
        scheme, host, port, path = self._parts(url)
        addresses = tuple(self.resolve(host, port))
        for address in addresses:
            if reason := unfit(address, allow_private=self.allow_private):
                raise AddressError(f"{shown(url)}: {host} has the address {address}: {reason}")
        if not addresses:
            raise UnavailableError(f"{host}: no address found for that name")
        return Place(scheme, host, port, path, addresses)

    def _parts(self, url: str) -> tuple[str, str, int, str]:
        if len(url) > _LONGEST_URL or not _URL.fullmatch(url):
            raise AddressError(f"{shown(url)}: not a URL")
        try:
            split = urlsplit(url)
            host, port = split.hostname or "", split.port
        except ValueError as error:
            raise AddressError(f"{shown(url)}: not a URL") from error
        if split.scheme not in PORTS or (split.scheme == "http" and not self.allow_http):
            raise AddressError(
                f"{shown(url)}: scheme {split.scheme!r}, expected https"
                + (" or http" if self.allow_http else "; allow_http lets http pass")
            )
        if "@" in split.netloc or not host:
            raise AddressError(f"{shown(url)}: a user or no host in a URL")
        port = PORTS[split.scheme] if port is None else port
        if not any(_fits(entry, split.scheme, host, port) for entry in self.hosts):
            raise AddressError(
                f"{shown(url)}: host {host}, port {port}, expected one of the source's hosts: "
                f"{', '.join(self.hosts)}"
            )
        path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        return split.scheme, host, port, path


def _fits(entry: str, scheme: str, host: str, port: int) -> bool:
    name, colon, number = entry.rpartition(":")
    if not colon or entry.endswith("]"):
        name, number = entry, str(PORTS[scheme])
    return name.strip("[]") == host and number == str(port)


def unfit(text: str, *, allow_private: bool) -> str:
    """Why an address may not be asked; empty where it may."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "not an address"
    reasons = (_reason(one, allow_private=allow_private) for one in (address, *_inside(address)))
    return next((reason for reason in reasons if reason), "")


def _reason(address: Address, *, allow_private: bool) -> str:
    if address in _METADATA or address in _METADATA_V6:
        return "a cloud's metadata service"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast or address.is_unspecified or address in _THIS_NETWORK:
        return "no single machine"
    if address.version == 4 and (address.is_reserved or address in _PROTOCOLS):
        return "reserved"
    local = address.version == 6 and address.is_site_local
    mapped = address.version == 6 and address.ipv4_mapped is not None
    # What is mapped is judged by the address inside it.
    if not allow_private and not mapped and (local or not address.is_global):
        return "private or loopback, which only allow_private lets pass"
    return ""


def _inside(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one stands for or leads to."""
    if address.version == 4 or address in (ipaddress.ip_address("::"), ipaddress.ip_address("::1")):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    isatap = int(address) >> 32 & 0xFFFF == _ISATAP
    if isatap or address in _COMPATIBLE or any(address in network for network in _NAT64):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
