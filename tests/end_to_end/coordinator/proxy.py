"""Something between a client or agent and the coordinator, as a load balancer is, that treats its connections badly."""

import socket
import threading


class Proxy:
    """Listens on 127.0.0.1:`port` and passes on what comes, connection by connection."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        with near, socket.create_connection(self.target) as far:
            back = threading.Thread(target=self.pump, args=(far, near, self.answered), daemon=True)
            back.start()
            self.pump(near, far, self.asked)
            back.join()

    def pump(self, source, sink, seen):
        """Until one side is closed, or `seen` says that it's enough."""
        try:
            while data := source.recv(65536):
                if not seen(source, sink, data):
                    break
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def asked(self, near, far, data):
        return True

    def answered(self, far, near, data):
        return True

    def close(self):
        self.listener.close()


class AnswersLost(Proxy):
    """What has `word` in it arrives, and its answer doesn't: `happened` is waited for, then the connection is cut. So
    often: `times`."""

    def __init__(self, target, word, happened, times):
        self.word, self.happened, self.left = word.encode(), happened, times
        self.cut = set()  # clients' sides that hear nothing any more
        super().__init__(target)

    def asked(self, near, far, data):
        if self.word not in data or self.left == 0:
            return True
        self.left -= 1
        self.cut.add(near)
        far.sendall(data)
        self.happened()
        return False

    def answered(self, far, near, data):
        while near in self.cut:  # until the other direction ends it
            data = far.recv(65536)
            if not data:
                return False
        return True


class Recorder(Proxy):
    """Keeps what was sent on each connection, so that it can be sent again."""

    def __init__(self, target):
        self.sent = {}  # near -> bytes
        super().__init__(target)

    def asked(self, near, far, data):
        self.sent[near] = self.sent.get(near, b"") + data
        return True

    def send_again(self, word):
        """All connections in which `word` was sent, once more. Returns how many there were."""
        found = [data for data in self.sent.values() if word.encode() in data]
        for data in found:
            with socket.create_connection(self.target) as again:
                again.sendall(data)
                again.settimeout(1)
                try:
                    while again.recv(65536):
                        pass
                except TimeoutError:
                    pass
        return len(found)
