"""A web server on a real socket: the fake upstream, which plays its script to GET requests too."""

from tests.upstream import Answer, FakeUpstream, Recorded


class FakeWeb(FakeUpstream):
    """Answers every request with what the test set."""

    def _record(self, request: Recorded) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return script if isinstance(script, Answer) else script(request)
