"""How to reach the broker, and a paho client made ready for one attempt to reach it.

Files are read anew for each attempt, so that a new password or certificate works without a restart. What is in the
password file goes to paho and nowhere else.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from everest_system.fsm.errors import WorldError

MAX_PACKET_BYTES = 4 << 20
"""A broker that speaks MQTT 5 is told to send nothing larger. One that speaks 3.1.1 cannot be told: there its own limit
holds (mosquitto: `message_size_limit`), and that of the protocol, 256 MiB."""

_MAX_PASSWORD_BYTES = 65_535  # the length field of the CONNECT packet has 16 bits


class MqttError(WorldError):
    """A connection to the broker could not be made, or has ended."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for a connection with TLS 1.2 or later; the broker's certificate must bear the name in `host`.

    Attributes:
        ca_file: the only roots that are trusted; "" means those of the system.
        cert_file: our own certificate with its chain; "" means none.
        key_file: its key, without a passphrase; "" means that it is in `cert_file`.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is and how to speak with it.

    Attributes:
        host: name or address.
        port: 1 to 65535.
        protocol: the version of MQTT.
        username: "" means that neither name nor password are sent.
        password_file: one newline at its end is not part of the password; "" means none.
        tls: None means plain TCP.
        client_id: None means one of our own, the same for the life of a link.
        keepalive_s: seconds, 2 or more; a peer that stays silent is given up within one and a half times as long.
    """

    host: str = "localhost"
    port: int = 1883
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    username: str = ""
    password_file: str = ""
    tls: TlsFiles | None = None
    client_id: str | None = None
    keepalive_s: int = 10


def new_client(settings: MqttSettings, client_id: str) -> paho.Client:
    """Make a client that has not connected yet and does nothing by itself.

    Raises:
        MqttError: a file named in the settings cannot be used.
    """
    v5 = settings.protocol == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if v5 else True,
        protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
        reconnect_on_failure=False,
    )
    if settings.username:
        password = _password(settings.password_file) if settings.password_file else None
        client.username_pw_set(settings.username, password)
    if settings.tls is not None:
        client.tls_set_context(_tls_context(settings.tls))
    client.on_socket_open = _send_without_delay
    return client


def open_client(client: paho.Client, settings: MqttSettings) -> None:
    """Open the client's socket and send CONNECT, with a clean start and a session that ends with the connection.

    Raises:
        MqttError: nobody answers there, or not with a certificate that we trust.
    """
    # Paho pings after one keepalive of silence and gives up after a second one.
    arguments: dict[str, Any] = {"keepalive": max(1, settings.keepalive_s * 7 // 10)}
    if settings.protocol == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        arguments |= {"clean_start": True, "properties": properties}
    try:
        client.connect(settings.host, settings.port, **arguments)
    except OSError as error:
        raise MqttError(_why(error)) from error
    except ValueError as error:
        raise MqttError(f"not an address to connect to ({error})") from error


class _Handshake(ssl.SSLSocket):
    """A TLS socket that is closed when its handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001 - the base class's signature
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _password(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(_MAX_PASSWORD_BYTES + 3)
    except OSError as error:
        raise MqttError(f"password file {file}: {error.strerror}") from error
    password = content.removesuffix(b"\r\n" if content.endswith(b"\r\n") else b"\n")
    if len(password) > _MAX_PASSWORD_BYTES:
        raise MqttError(f"password file {file}: more than {_MAX_PASSWORD_BYTES} bytes")
    try:
        return password.decode()
    except UnicodeDecodeError:
        raise MqttError(f"password file {file}: not UTF-8") from None  # the cause would carry the password


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca_file or None)
    except OSError as error:
        raise MqttError(f"CA file {files.ca_file}: {_why(error)}") from error
    if files.cert_file:
        try:
            # With a password given, OpenSSL does not ask for one on the terminal.
            context.load_cert_chain(files.cert_file, files.key_file or None, password="")
        except OSError as error:
            named = " with key file ".join(filter(None, (files.cert_file, files.key_file)))
            raise MqttError(f"certificate file {named}: {_why(error)}") from error
    context.sslsocket_class = _Handshake
    return context


def _send_without_delay(_client: paho.Client, _userdata: object, opened: Any) -> None:
    # The small packets of a QoS 2 handshake would wait for each other's TCP acknowledgements, 40 ms each.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error.strerror}"
    return error.strerror or str(error) or type(error).__name__
