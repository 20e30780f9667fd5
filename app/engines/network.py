"""How an upstream is reached: proxies of the environment, trusted certificates, new connections. Company networks live here."""

import os
import select
import socket
import ssl
import urllib.request
from functools import cache
from typing import NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util import create_urllib3_context, make_headers, parse_url

from app.errors import ConfigError

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Route(NamedTuple):
    """Everything that two requests must share to share a connection; `proxy` is the proxy's URL or None."""

    scheme: str
    host: str
    port: int
    proxy: str | None

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"


@cache
def route(url: str) -> tuple[Route, str]:
    """Split `url` into how it is reached and the request target. The environment's proxies are read once per URL.

    Raises ConfigError for what is no http(s) URL.
    """
    parts = parse_url(url)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ConfigError("An upstream's baseURL must begin with http:// or https:// and name a host.", param="baseURL")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.host.strip("[]")
    proxy = _proxy_for(parts.scheme, host)
    # A plain-http proxy wants the whole URL as the request target (RFC 9112 section 3.2.2).
    target = url if proxy and parts.scheme == "http" else parts.request_uri
    return Route(parts.scheme, host, port, proxy), target


def _proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY ask for; none reaches this machine itself."""
    if host == "localhost" or host == "::1" or host.startswith("127."):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def connect(where: Route, timeout: float) -> HTTPConnection:
    """Open a connection: TCP, the proxy's tunnel, TLS. `timeout` in seconds for each step. Raises urllib3's errors."""
    connection = _through_proxy(where, timeout) if where.proxy else _direct(where, timeout)
    try:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _direct(where: Route, timeout: float) -> HTTPConnection:
    if where.scheme == "http":
        return HTTPConnection(where.host, where.port, timeout=timeout)
    return HTTPSConnection(
        where.host, where.port, timeout=timeout, ssl_context=tls_context(), cert_reqs="CERT_REQUIRED"
    )


def _through_proxy(where: Route, timeout: float) -> HTTPConnection:
    proxy = parse_url(where.proxy or "")
    if proxy.scheme != "http" or not proxy.host:
        raise ConfigError("Only http:// proxies are supported (HTTPS_PROXY, HTTP_PROXY).")
    port = proxy.port or 8080
    headers = make_headers(proxy_basic_auth=proxy.auth) if proxy.auth else {}
    if where.scheme == "http":
        return HTTPConnection(proxy.host, port, timeout=timeout, proxy=proxy)
    connection = HTTPSConnection(
        proxy.host, port, timeout=timeout, proxy=proxy, ssl_context=tls_context(), cert_reqs="CERT_REQUIRED"
    )
    connection.set_tunnel(where.host, where.port, headers=headers, scheme="http")
    return connection


def proxy_headers(where: Route) -> dict[str, str]:
    """Return what a plain-http request to a proxy with a password needs."""
    if where.scheme != "http" or not where.proxy:
        return {}
    auth = parse_url(where.proxy).auth
    return dict(make_headers(proxy_basic_auth=auth)) if auth else {}


@cache
def tls_context() -> ssl.SSLContext:
    """Trust what the machine trusts, and the file that SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names."""
    context = create_urllib3_context()
    context.load_default_certs()
    named = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
    if named:
        context.load_verify_locations(capath=named) if os.path.isdir(named) else context.load_verify_locations(named)
    elif not context.get_ca_certs():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def is_alive(connection: HTTPConnection) -> bool:
    """Tell whether an idle connection is still open: a readable idle socket means that the server closed it."""
    if connection.sock is None:
        return False
    poller = select.poll()
    poller.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poller.poll(0)


def describe(error: BaseException) -> str:
    """Say in a few words why a connection failed."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, NameResolutionError | socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused"
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({seen.verify_message}); set SSL_CERT_FILE to the company's CA file"
        if isinstance(seen, ssl.SSLError):
            return "TLS failed"
        if isinstance(seen, ConnectionResetError | BrokenPipeError):
            return "connection reset"
        seen = seen.__cause__ or seen.__context__
    return "it cannot be reached" if isinstance(error, NewConnectionError) else type(error).__name__
