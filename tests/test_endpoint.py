"""A server's embeddings arrive whole and in order, or an error says what it did. Embedding by one relies on it."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rmsuite import network
from rmsuite.endpoint import Endpoint
from rmsuite.errors import EmbedderError

TEXTS = [(f"prompt {i}", f"response {i}" * (i + 1)) for i in range(7)]


def vector(text: str) -> list[float]:
    """What the server embeds a text to: exact in float32."""
    return [float(len(text)), float(sum(map(ord, text)) % 1000), 0.5]


def as_base64(numbers: list[float]) -> str:
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode()


def well(texts, form="float"):
    rows = [vector(text) for text in texts]
    rows = [as_base64(row) for row in rows] if form == "base64" else rows
    return {"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]}


class Server:
    """Answers each request by the next of ``script``, then well; an entry is a function of texts, or a status."""

    def __init__(self, script=(), headers=None):
        self.script, self.requests, self.headers = list(script), [], headers or {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                step = outer.script.pop(0) if outer.script else lambda texts: well(texts, body["encoding_format"])
                if step == "die":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                    self.wfile.flush()
                    self.close_connection = True
                    return
                status, answer = (step, {"error": "no room"}) if isinstance(step, int) else (200, step(body["input"]))
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def model(self, **options):
        url = f"http://127.0.0.1:{self.http.server_port}/v1"
        return Endpoint(**{"model": "Org/My_Model-1.5", "url": url, "batch": 3, "backoff": 0.0, **options})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def expected(texts=TEXTS):
    return np.array([vector(f"{prompt}\n\n{response}") for prompt, response in texts], np.float32)


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_rows_are_those_of_the_server_in_any_encoding_and_batch(encoding, batch):
    with Server() as server:
        rows = server.model(encoding=encoding, batch=batch).embed(TEXTS)
    np.testing.assert_array_equal(rows, expected(), strict=True)
    assert [len(body["input"]) for _, _, body in server.requests] == [
        len(TEXTS[i : i + batch]) for i in range(0, len(TEXTS), batch)
    ]
    assert {(path, body["model"]) for path, _, body in server.requests} == {("/v1/embeddings", "Org/My_Model-1.5")}


def test_a_server_that_answers_out_of_order_is_read_by_its_indices():
    with Server([lambda texts: {"data": well(texts)["data"][::-1]}] * 3) as server:
        np.testing.assert_array_equal(server.model().embed(TEXTS), expected())


def test_an_encoding_other_than_the_asked_one_is_read_too():
    with Server([lambda texts: well(texts, "base64")] * 3) as server:
        np.testing.assert_array_equal(server.model(encoding="float").embed(TEXTS), expected())


@pytest.mark.parametrize("failure", [429, 500, 503, "die"])
def test_a_failure_that_may_pass_is_tried_again(failure):
    with Server([failure, failure]) as server:
        np.testing.assert_array_equal(server.model().embed(TEXTS), expected())
    assert len(server.requests) == 5


def test_waits_grow_and_a_server_may_ask_for_longer_ones(monkeypatch):
    waits = []
    monkeypatch.setattr(network.time, "sleep", waits.append)
    with Server([500, 500, 500]) as server:
        server.model(backoff=1.0).embed(TEXTS[:1])
    with Server([429], headers={"Retry-After": "7"}) as server:
        server.model(backoff=1.0).embed(TEXTS[:1])
    with Server([429], headers={"Retry-After": "86400"}) as server:
        server.model(backoff=1.0).embed(TEXTS[:1])
    assert waits == [1.0, 2.0, 4.0, 7.0, 60.0]


WRONG = {
    "too few": (lambda texts: {"data": well(texts)["data"][1:]}, "3 embeddings for 3 texts, got 2"),
    "too many": (lambda texts: {"data": well(texts + texts)["data"]}, "3 embeddings for 3 texts, got 6"),
    "one index twice": (lambda texts: {"data": [{"index": 0, "embedding": [1.0]}] * 3}, "each index from 0 to 2 once"),
    "widths": (lambda t: {"data": [{"embedding": [1.0] * (i + 1)} for i in range(3)]}, "embeddings of one width"),
    "no width": (lambda t: {"data": [{"embedding": []}] * 3}, "embeddings of one width"),
    "NaN": (lambda t: {"data": [{"embedding": [float("nan")]}] * 3}, "finite numbers"),
    "null": (lambda t: {"data": [{"embedding": None}] * 3}, "as numbers or as base64"),
    "nested": (lambda t: {"data": [{"embedding": [[1.0]]}] * 3}, "as numbers or as base64"),
    "words": (lambda t: {"data": [{"embedding": "no base64!"}] * 3}, "as numbers or as base64"),
    "bytes cut off": (lambda t: {"data": [{"embedding": "AAAA"}] * 3}, "as numbers or as base64"),
    "no data": (lambda t: {"error": "unknown model"}, "the list 'data', got {'error': 'unknown model'}"),
    "a list": (lambda t: [1, 2, 3], "the list 'data'"),
    "no JSON": (lambda t: b"<html>", "an answer in JSON"),
}


@pytest.mark.parametrize(("step", "message"), WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(step, message):
    with Server([step]) as server, pytest.raises(EmbedderError) as error:
        server.model().embed(TEXTS)
    assert message in str(error.value)
    assert len(server.requests) == 1
    assert all((error.value.who, error.value.expected, error.value.got, error.value.do))


@pytest.mark.parametrize(("status", "advice"), [(400, "characters"), (401, "OPENAI_API_KEY"), (404, "url and model")])
def test_a_refusal_is_told_at_once_with_the_servers_words(status, advice):
    with Server([status]) as server, pytest.raises(EmbedderError, match=advice) as error:
        server.model().embed(TEXTS)
    assert f"status {status}" in error.value.got
    assert "no room" in error.value.got
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [503, "die"])
def test_a_server_that_keeps_failing_is_given_up(failure):
    with Server([failure] * 10) as server, pytest.raises(EmbedderError, match="3 times") as error:
        server.model(retries=2).embed(TEXTS)
    assert len(server.requests) == 3
    assert "goes on" in error.value.do


def test_no_server_is_an_error_that_names_the_address():
    with Server() as server:
        model = server.model(retries=1)
    with pytest.raises(EmbedderError, match="no answer") as error:
        model.embed(TEXTS)
    assert str(server.http.server_port) in error.value.who


def test_the_key_travels_in_the_header_and_is_written_nowhere(monkeypatch):
    monkeypatch.setenv("MY_KEY", "very-secret")
    with Server([401]) as server:
        model = server.model(key_variable="MY_KEY")
        with pytest.raises(EmbedderError) as error:
            model.embed(TEXTS)
    assert server.requests[0][1]["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in f"{error.value}{model.card()}{model!r}"
    with Server() as server:
        server.model().embed(TEXTS[:1])
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize(
    ("prompt", "response", "sent"),
    [
        ("abcdefgh", "12345678", "gh\n\n123456"),  # both too long: a quarter is the prompt's, its last characters
        ("ab", "1234567890123", "ab\n\n123456"),
        ("abcdefgh", "12", "cdefgh\n\n12"),
        ("", "123456789012", "\n\n12345678"),
        ("ab", "12", "ab\n\n12"),
    ],
)
def test_long_texts_are_cut_as_the_card_says(prompt, response, sent):
    with Server() as server:
        server.model(characters=8).embed([(prompt, response)])
    assert server.requests[0][2]["input"] == [sent]


def test_the_card_has_a_short_name_and_no_password():
    model = Endpoint(model="Org/My_Model-1.5:latest", url="http://me:secret@localhost:1/v1/")
    assert model.card()["base_model"] == "my-model-1-5-latest"
    assert "secret" not in model.who
    assert model.who == "endpoint http://localhost:1/v1/embeddings"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "localhost:8000"},
        {"url": "ftp://x"},
        {"batch": 0},
        {"batch": 1.5},
        {"characters": 1},
        {"timeout": 0},
        {"retries": -1},
        {"backoff": float("nan")},
        {"encoding": "int8"},
    ],
)
def test_a_parameter_out_of_range_is_refused_by_its_name(wrong):
    with pytest.raises(EmbedderError, match=next(iter(wrong))):
        Endpoint(model="m", **wrong)
