"""The operator reaches the deciding thread through the socket, and nobody can hang, flood or confuse the service."""

import json
import os
import queue
import socket
import stat
import threading
from contextlib import contextmanager

import pytest

from everest_system.io.control import client, connection
from everest_system.io.control import server as server_module
from everest_system.io.control.client import NotRunningError, ask
from everest_system.io.control.server import ControlError, ControlServer

DEADLINE_S = 30.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


@pytest.fixture
def requests():
    """The deciding thread's queue."""
    return queue.Queue()


@pytest.fixture
def server(path, requests):
    server = ControlServer(path, requests.put)
    yield server
    server.close()


@contextmanager
def connected(path):
    """A bare client that may send anything."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(DEADLINE_S)
        peer.connect(str(path))
        yield peer


def lines(peer, count):
    with peer.makefile("rb") as file:
        return [json.loads(file.readline()) for _ in range(count)]


@contextmanager
def answering(requests, answer):
    """A deciding thread that answers each request by `answer(request)` within the block."""

    def decide():
        while (request := requests.get(timeout=DEADLINE_S)) is not None:
            request.respond(answer(request))

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        requests.put(None)
        thread.join()


def test_a_question_reaches_the_station_and_its_answer_the_operator(server, path, requests):
    """Command and arguments arrive as sent, and the one answer comes back whole, also a large one."""
    with answering(requests, lambda request: {"got": [request.command, request.arguments], "pad": "é" * 300_000}):
        answer = ask(path, "reset", timeout_s=DEADLINE_S, type="Soft", path={"x": [1, None]})
        assert answer["got"] == ["reset", {"type": "Soft", "path": {"x": [1, None]}}]
        assert answer["pad"] == "é" * 300_000
        assert ask(path, "status")["got"] == ["status", {}]


def test_the_socket_is_private_and_goes_with_the_service(path, requests):
    """The socket file has mode 0600 whatever the umask, and is gone when the service has closed."""
    before = os.umask(0)
    try:
        server = ControlServer(path, requests.put)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.close()
    assert not path.exists()
    server.close()
    with pytest.raises(NotRunningError, match=r"no service is running .*control\.sock"):
        ask(path, "status")
    with pytest.raises(NotRunningError):
        ask(path, "status")


def test_a_dead_services_socket_is_replaced(path, requests):
    """What a killed service left behind is no obstacle, and until then it counts as not running."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunningError):
        ask(path, "status")
    server = ControlServer(path, requests.put)
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}
    server.close()


def test_a_live_services_socket_is_left_alone(server, path, requests):
    """A second service is told, and the first goes on listening; so it is when its queue is full."""
    with pytest.raises(ControlError, match="another running service listens there"):
        ControlServer(path, requests.put)
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}


def test_a_full_queue_is_a_live_service(path, requests):
    """A service too busy to accept is not taken for a dead one, and the operator is told that it cannot be reached."""
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(ControlError, match="another running service"):
            ControlServer(path, requests.put)
        with pytest.raises(ControlError, match="cannot be reached"):
            ask(path, "status", timeout_s=0.1)
    assert path.exists()


def test_a_file_in_the_way_is_not_removed(path, requests):
    """Anything but a socket at that path is an error, and stays."""
    path.write_text("mine")
    with pytest.raises(ControlError, match="is in the way and no socket"):
        ControlServer(path, requests.put)
    assert path.read_text() == "mine"


def test_a_folder_that_is_missing_is_named(tmp_path, requests):
    """Without the folder there is neither an ear nor a running service."""
    with pytest.raises(ControlError, match=r"none/control\.sock: cannot listen there: No such file"):
        ControlServer(tmp_path / "none" / "control.sock", requests.put)
    with pytest.raises(NotRunningError):
        ask(tmp_path / "none" / "control.sock", "status")


def test_paths_too_long_for_a_socket_work_all_the_same(tmp_path, requests):
    """A state folder deeper than 107 bytes has its socket where it belongs, stale ones included."""
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    path = folder / "control.sock"
    with pytest.raises(NotRunningError):
        ask(path, "status")
    server = ControlServer(path, requests.put)
    assert stat.S_ISSOCK(path.stat().st_mode)
    with pytest.raises(ControlError, match="another running service"):
        ControlServer(path, requests.put)
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}
    server.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "not understood"),
        (b"", "not understood"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "not understood"),
        (b"[" * 60_000, "nested too deeply"),
        (b"1" * 60_000, "not understood"),
        (b"{}", '"command" is missing or no text'),
        (b'{"command": 1}', '"command" is missing or no text'),
    ],
)
def test_a_line_that_is_no_request_is_answered_and_posted_nowhere(server, path, requests, line, error):
    """The sender learns what is wrong, the station hears nothing, and the next line is taken as ever."""
    with connected(path) as peer:
        peer.sendall(line + b'\n{"command": "status"}\n')
        assert error in lines(peer, 1)[0]["error"]
        assert requests.get(timeout=DEADLINE_S).command == "status"
        assert requests.empty()


def test_a_line_without_end_is_cut_off(server, path, requests):
    """After 64 KiB without a newline the peer is told why and let go."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "' + b"x" * (connection.LONGEST_LINE - 13))
        with peer.makefile("rb") as file:
            assert json.loads(file.readline()) == {"error": "a request has at most 65536 bytes"}
            assert file.readline() == b""
    longest = b'{"command": "' + b"x" * (connection.LONGEST_LINE - 16) + b'"}\n'
    assert len(longest) == 65536
    with connected(path) as peer:
        peer.sendall(longest)
        assert len(requests.get(timeout=DEADLINE_S).command) == 65536 - 16
    assert requests.empty()


def test_requests_of_one_client_wait_for_each_other(server, path, requests):
    """However many lines come at once, the station gets the next when it has answered the one before."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "a"}\n{"command": "b"}\n{"command": "c"}\n')
        peer.shutdown(socket.SHUT_WR)  # as `nc -N` does; the answers are still wanted
        for name in "abc":
            request = requests.get(timeout=DEADLINE_S)
            assert request.command == name
            assert requests.empty()
            request.respond({"to": name})
        assert lines(peer, 3) == [{"to": "a"}, {"to": "b"}, {"to": "c"}]
        assert peer.recv(1) == b""


def test_only_the_first_answer_counts(server, path, requests):
    """A second answer to an ordinary request goes nowhere, least of all to the request after it."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "a"}\n{"command": "b"}\n')
        first = requests.get(timeout=DEADLINE_S)
        first.respond({"n": 1})
        second = requests.get(timeout=DEADLINE_S)
        first.respond({"n": 2})
        second.respond({"n": 3})
        assert lines(peer, 2) == [{"n": 1}, {"n": 3}]


def test_an_answer_given_before_the_end_still_arrives(server, path, requests):
    """A reset answers first and closes at once after it: the operator gets that answer."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "reset"}\n')
        requests.get(timeout=DEADLINE_S).respond({"done": True})
        server.close()
        assert lines(peer, 1) == [{"done": True}]


def test_a_client_that_vanished_is_no_error(server, path, requests):
    """Answering a client that has gone does nothing, and the next one is served."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "status"}\n')
        request = requests.get(timeout=DEADLINE_S)
    request.respond({"lost": True})
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}


def test_a_peer_that_does_not_read_is_let_go(server, path, requests, monkeypatch):
    """What waits for a reader is bounded, so that one that only writes costs the service no memory."""
    monkeypatch.setattr(connection, "MOST_UNSENT", 1000)
    with connected(path) as peer:
        peer.sendall(b"\n" * 10_000)
        received = b""
        while block := peer.recv(65536):
            received += block
    assert 1000 < len(received) < 2000
    assert requests.empty()


def test_a_slow_reader_gets_all_of_a_large_answer(server, path, requests):
    """An answer larger than the socket's buffer is sent as fast as it is read, and the next request is taken after."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "status"}\n{"command": "next"}\n')
        requests.get(timeout=DEADLINE_S).respond({"pad": "x" * 5_000_000})
        with peer.makefile("rb") as file:
            assert len(json.loads(file.readline())["pad"]) == 5_000_000
        assert requests.get(timeout=DEADLINE_S).command == "next"


def test_clients_are_bounded(server, path, requests):
    """One client more than allowed is told so; when another leaves, there is room again."""
    peers = []
    for _ in range(server_module.MOST_CLIENTS):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(DEADLINE_S)
        peer.connect(str(path))
        peer.sendall(b'{"command": "status"}\n')
        peers.append((peer, requests.get(timeout=DEADLINE_S)))
    assert ask(path, "status") == {"error": "too many clients"}
    first, request = peers[0]
    request.respond({})
    assert lines(first, 1) == [{}]
    first.shutdown(socket.SHUT_WR)
    assert first.recv(1) == b""
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}
    for peer, _ in peers:
        peer.close()


def test_an_idle_client_is_let_go(path, requests, monkeypatch):
    """Who connects and says nothing, or waits for an answer that never comes, leaves room for others."""
    monkeypatch.setattr(connection, "IDLE_S", 0.05)
    monkeypatch.setattr(server_module, "_TICK_S", 0.02)
    server = ControlServer(path, requests.put)
    with connected(path) as idle, connected(path) as unanswered:
        unanswered.sendall(b'{"command": "status"}\n')
        assert idle.recv(1) == b""
        assert unanswered.recv(1) == b""
    server.close()


@pytest.mark.parametrize("failure", [OSError(24, "Too many open files"), BlockingIOError(11, "Try again")])
def test_an_accept_that_fails_is_tried_again(path, requests, monkeypatch, failure):
    """Out of descriptors the service neither ends nor spins: who waits is served a moment later."""
    monkeypatch.setattr(server_module, "_TICK_S", 0.05)
    accept = socket.socket.accept
    failures = [failure]
    calls = []

    def accept_later(listener):
        calls.append(listener)
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", accept_later)
    server = ControlServer(path, requests.put)
    with answering(requests, lambda request: {"command": request.command}):
        assert ask(path, "status") == {"command": "status"}
    assert len(calls) == 2
    server.close()


def test_an_answer_that_json_cannot_say_is_the_stations_bug(server, path, requests):
    """The error is raised where the answer is given, and the connection lives on for a better one."""
    with connected(path) as peer:
        peer.sendall(b'{"command": "status"}\n')
        request = requests.get(timeout=DEADLINE_S)
        with pytest.raises(TypeError):
            request.respond({"what": object()})
        request.respond({"ok": True})
        assert lines(peer, 1) == [{"ok": True}]


@contextmanager
def impostor(path, reply, *, reads=True):
    """A service that says `reply` to its first client and hangs up; None: says nothing and stays."""
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            peer, _ = listener.accept()
            with peer:
                if reads:
                    peer.recv(1000)
                if reply is None:
                    done.wait(DEADLINE_S)
                else:
                    peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (None, "no answer in time"),
        (b"", "hung up without an answer"),
        (b'{"half": ', "hung up without an answer"),
        (b"nonsense\n", "cannot be understood"),
        (b"[1]\n", "cannot be understood"),
        (b"x" * 200_000, "the answer is too long"),
    ],
)
def test_a_strange_service_does_not_hang_or_fool_the_operator(path, monkeypatch, reply, error):
    """Silence, a hang-up, nonsense and a flood each end the question with one line that says so."""
    monkeypatch.setattr(client, "_LONGEST_ANSWER", 100_000)
    with impostor(path, reply), pytest.raises(ControlError, match=error):
        ask(path, "status", timeout_s=0.2)


def test_a_service_that_breaks_off_is_reported(path):
    """A connection reset with the request unread is an error in words."""
    with impostor(path, b"", reads=False), pytest.raises(ControlError, match=r"the connection broke|hung up"):
        ask(path, "status", pad="x" * 100_000)


def test_an_account_without_access_is_told_which_to_use(path, monkeypatch):
    """Where the kernel denies access the message names the remedy."""

    def deny(_peer, _name):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", deny)
    with pytest.raises(ControlError, match="access denied: use the account that the service runs under"):
        ask(path, "status")
