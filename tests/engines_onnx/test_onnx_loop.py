"""Many runs at once on the tiny model: each makes the tokens that it makes alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workers.engines.host.backends.genai import GenAI
from workers.engines.host.backends.onnx import load as onnx_load
from workers.engines.host.backends.onnx.graph import NotDrivable
from workers.engines.host.backends.onnx.loop import Loop
from workers.engines.host.backends.onnx.sampling import pick
from workers.engines.host.protocol import Cancelled, Delta, Done, Failed, LoadSpec, Prefilled, Request, Waiting
from workers.engines.host.scheduler import Scheduler

TOKEN = 2 * 4 * 2 * 4 * 32
"""Bytes of one token's keys and values in the tiny model."""


def loop(folder, *, slots=4, length=4096, **options):
    return onnx_load.load(LoadSpec(str(folder), threads=1, max_length=length, slots=slots, options=options))


@pytest.fixture(scope="module", params=["tiny-phi3", "tiny-phi3-longrope"])
def model(request, tiny):
    return loop(tiny.with_name(request.param))


@pytest.fixture(autouse=True)
def emptied(request):
    """One test's failure leaves no rows behind for the next."""
    yield
    if "model" in request.fixturenames:
        model = request.getfixturevalue("model")
        for row in list(model._rows):
            model.cancel(row.request.id)


def prompt(first, step, length):
    return tuple(300 + (first + place * step) % 350 for place in range(length))


PROMPTS = [
    Request(tokens=prompt(part, 3 + part, 5 + 37 * part), max_tokens=60 - 4 * part, id=part + 1) for part in range(8)
]


class Heard:
    """The events of several runs, driven step by step."""

    def __init__(self, backend):
        self.events = []
        self.now = 0.0
        self.scheduler = Scheduler(backend, self.events.append, clock=lambda: self.now)

    def steps(self, count=10**6):
        for _ in range(count):
            if self.scheduler.idle:
                break
            self.now += 0.01
            self.scheduler.step()
        return self

    def ids(self, number):
        return [token for event in self.of(number, Delta) for token in event.ids]

    def of(self, number, *kinds):
        return [event for event in self.events if event.id == number and isinstance(event, kinds)]

    def ends(self):
        return [event.id for event in self.events if isinstance(event, Done)]


def alone(backend, request):
    heard = Heard(backend)
    heard.scheduler.submit(request)
    return heard.steps().ids(request.id)


@pytest.fixture(scope="module")
def expected(model):
    return {request.id: alone(model, request) for request in PROMPTS}


def test_a_run_alone_makes_what_the_library_makes(tiny, model, expected):
    folder = model._graph._session._model_path.rpartition("/")[0]
    genai = GenAI(LoadSpec(folder, threads=1, max_length=4096))
    for request in PROMPTS:
        assert alone(genai, request) == expected[request.id]


def test_together_each_makes_what_it_makes_alone(model, expected):
    heard = Heard(model)
    for request in PROMPTS:
        heard.scheduler.submit(request)
    heard.steps()
    assert {request.id: heard.ids(request.id) for request in PROMPTS} == expected
    assert len(heard.ends()) == len(PROMPTS)


def test_those_that_come_while_others_decode_are_admitted_and_change_nothing(model, expected):
    heard = Heard(model)
    for request in PROMPTS[::-1]:
        heard.scheduler.submit(request)
        heard.steps(3)
        assert len(model._rows) == model.slots or model._rows[-1].request.id == request.id
    heard.steps()
    assert {request.id: heard.ids(request.id) for request in PROMPTS} == expected


def test_one_of_many_is_cancelled_within_a_step(model, expected):
    heard = Heard(model)
    for request in PROMPTS[:4]:
        heard.scheduler.submit(request)
    while not heard.of(2, Delta):
        heard.steps(1)
    heard.scheduler.cancel(2)
    assert heard.of(2, Cancelled)
    assert len(model._rows) == 3
    before = len(heard.of(2, Delta))
    heard.steps()
    assert len(heard.of(2, Delta)) == before
    for number in (1, 3, 4):
        assert heard.ids(number) == expected[number]


def test_a_job_is_admitted_at_the_next_step_while_batch_jobs_fill_every_slot(model, expected):
    heard = Heard(model)
    for request in PROMPTS[4:]:
        heard.scheduler.submit(replace(request, batch=True))
    heard.steps(5)
    assert len(model._rows) == model.slots
    heard.scheduler.submit(PROMPTS[0])
    heard.steps(2)
    assert heard.of(1, Prefilled)
    heard.steps()
    for request in (PROMPTS[0], *PROMPTS[4:]):
        assert heard.ids(request.id) == expected[request.id], "who gave way goes on as if nothing had been"


def test_who_waits_is_told_its_place_and_for_how_long(model):
    heard = Heard(model)
    for part in range(7):
        heard.scheduler.submit(replace(PROMPTS[0], id=part + 1, batch=part < 6))
    assert [event.place for event in heard.of(7, Waiting)] == [1], "ahead of the batch"
    heard.steps(1)
    heard.now += 1
    heard.steps(1)
    assert heard.of(6, Waiting)[-1].place == 3
    assert heard.of(6, Waiting)[-1].seconds is None
    heard.steps()
    heard.events.clear()
    for part in range(5):
        heard.scheduler.submit(replace(PROMPTS[0], id=part + 1))
    assert heard.of(5, Waiting)[-1].seconds > 0


def test_memory_for_less_than_all_slots_makes_rows_take_turns(tiny, expected, model):
    small = loop(tiny, length=400, kv_bytes=500 * TOKEN)
    heard = Heard(small)
    most = 0
    for request in PROMPTS:
        heard.scheduler.submit(replace(request, batch=request.id % 2 == 0))
    while not heard.scheduler.idle:
        heard.steps(1)
        most = max(most, sum(row.done for row in small._rows))
    assert most <= 500
    lonely = {request.id: alone(loop(tiny, length=400), request) for request in PROMPTS}
    assert {request.id: heard.ids(request.id) for request in PROMPTS} == lonely


def test_a_prefix_read_before_is_not_read_again_and_changes_nothing(tiny):
    plain, keeping = loop(tiny), loop(tiny, prefix_bytes=2000 * TOKEN)
    shared = prompt(11, 5, 400)
    for part in range(6):
        request = Request(tokens=shared + prompt(part, 7, 20 + 9 * part), max_tokens=40, id=1)
        heard = Heard(keeping)
        heard.scheduler.submit(request)
        assert heard.steps().ids(1) == alone(plain, request)
        read = [event.done for event in heard.of(1, Prefilled)]
        assert (read[0] > 400) == (part > 0)
        assert heard.of(1, Done)[0].kept_tokens == (400 if part else 0)


def test_a_conversation_goes_on_from_what_was_read_and_said(tiny):
    keeping = loop(tiny, prefix_bytes=2000 * TOKEN)
    first = Request(tokens=prompt(0, 3, 512), max_tokens=64, id=1)
    answer = alone(keeping, first)
    second = Request(tokens=first.tokens + tuple(answer) + prompt(9, 4, 32), max_tokens=30, id=1)
    heard = Heard(keeping)
    heard.scheduler.submit(second)
    heard.steps()
    assert heard.of(1, Prefilled)[0].done >= 512 + 63, "one chunk was left to read"
    assert heard.ids(1) == alone(loop(tiny), second)


def test_what_was_not_used_for_longest_goes_first_and_the_end_of_a_text_before_its_beginning(tiny):
    keeping = loop(tiny, prefix_bytes=64 * TOKEN)
    kept = keeping._prefixes

    def known(tokens):
        return len(kept._known(tokens, 10**6)) * 16

    one, two = prompt(0, 3, 50), prompt(1, 7, 50)
    alone(keeping, Request(tokens=one, max_tokens=1, id=1))
    assert known(one) == 48
    alone(keeping, Request(tokens=two, max_tokens=1, id=1))
    assert (known(one), known(two), len(kept)) == (16, 48, 4)
    alone(keeping, Request(tokens=one, max_tokens=1, id=1))
    assert (known(one), known(two), len(kept)) == (48, 16, 4)


def test_a_text_longer_than_the_store_keeps_its_beginning(tiny):
    keeping = loop(tiny, prefix_bytes=64 * TOKEN)
    alone(keeping, Request(tokens=prompt(0, 3, 500), max_tokens=1, id=1))
    assert len(keeping._prefixes._known(prompt(0, 3, 500), 500)) == 4


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 18, 63, 64, 65, 66, 127, 128, 129, 130])
def test_no_length_of_prompt_changes_what_is_made(tiny, length, monkeypatch):
    keeping = loop(tiny, prefix_bytes=2000 * TOKEN)
    request = Request(tokens=prompt(2, 9, length), max_tokens=20, id=1)
    expected = alone(loop(tiny), request)
    read, sizes = keeping._graph.read, []

    def watched(slot, tokens, start):
        sizes.append(len(tokens))
        return read(slot, tokens, start)

    monkeypatch.setattr(keeping._graph, "read", watched)
    for _ in range(3):
        assert alone(keeping, request) == expected
    assert length == 1 or min(sizes) > 1, "a piece of one token rounds otherwise"


def test_draws_go_by_seed_and_place_not_by_company_or_pause(tiny):
    model = loop(tiny, slots=3, prefix_bytes=1000 * TOKEN)
    drawn = replace(PROMPTS[3], temperature=1.3, top_p=0.95, seed=7, id=1, batch=True, max_tokens=50)
    expected = alone(model, drawn)
    assert alone(model, replace(drawn, seed=8)) != expected
    heard = Heard(model)
    heard.scheduler.submit(drawn)
    heard.steps(15)
    for part in range(2, 8):
        heard.scheduler.submit(replace(PROMPTS[4], id=part, temperature=1.0, seed=part))
    heard.steps(3)
    assert all(row.request.id != 1 for row in model._rows), "it gave way"
    assert heard.steps().ids(1) == expected


def test_numbers_that_are_none_cost_one_run(model, expected, monkeypatch):
    decode, broken = model._graph.decode, []

    def spoil(tokens, lengths):
        logits = decode(tokens, lengths)
        if len(lengths) > 2 and not broken:
            broken.append(model._rows[1].request.id)
            logits[1, 5] = np.nan
        return logits

    monkeypatch.setattr(model._graph, "decode", spoil)
    heard = Heard(model)
    for request in PROMPTS[:4]:
        heard.scheduler.submit(request)
    heard.steps()
    for request in PROMPTS[:4]:
        if request.id in broken:
            assert heard.of(request.id, Failed)[0].trouble == "nonsense"
        else:
            assert heard.ids(request.id) == expected[request.id]
    assert len(heard.ends()) == 3


@pytest.mark.parametrize(
    "bad",
    [
        Request(tokens=(300,) * 4000, max_tokens=97, id=1),
        Request(tokens=(300,), max_tokens=10**9, id=1),
        Request(tokens=(10**6,), max_tokens=2, id=1),
        Request(tokens=(-1,), max_tokens=2, id=1),
    ],
    ids=["too long", "absurd", "unknown token", "negative token"],
)
def test_what_can_not_be_run_costs_only_itself(model, expected, bad):
    heard = Heard(model)
    heard.scheduler.submit(PROMPTS[1])
    heard.steps(5)
    heard.scheduler.submit(bad)
    heard.steps()
    assert heard.of(1, Failed)[0].trouble == "refused"
    assert heard.ids(2) == expected[2]


def test_threads_and_length_are_those_of_the_specification(tiny):
    for threads in (1, 2):
        graph = onnx_load.load(LoadSpec(str(tiny), threads=threads, max_length=100, slots=2))._graph
        assert graph._session.get_session_options().intra_op_num_threads == threads
        assert {buffer.shape[:3] for buffer in graph.buffers} == {(2, 4, 100)}


def test_its_threads_leave_the_cores_to_others_between_two_steps(tiny):
    graph = onnx_load.load(LoadSpec(str(tiny), threads=2, max_length=100, slots=1))._graph
    assert graph._session.get_session_options().get_session_config_entry("session.force_spinning_stop") == "1"


def test_the_longest_session_ends_where_it_must(model):
    heard = Heard(model)
    heard.scheduler.submit(Request(tokens=prompt(0, 3, 3999), max_tokens=97, id=1))
    assert heard.steps().of(1, Done) == [Done(1, "length", 3999, 97)]


def test_a_graph_that_the_loop_can_not_drive_runs_alone_and_says_why(tiny, monkeypatch):
    assert isinstance(loop(tiny), Loop)

    def refuse(*_args):
        raise NotDrivable("its inputs differ")

    monkeypatch.setattr(onnx_load, "Graph", refuse)
    backend = loop(tiny)
    assert isinstance(backend, GenAI)
    assert backend.note == "one run at a time: its inputs differ"


def test_each_option_of_sampling_does_what_it_says():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))

    def drawn(**options):
        request = Request(tokens=(0,), max_tokens=1, **{"temperature": 1.0, **options})
        return {pick(logits, replace(request, seed=seed), [0], 0) for seed in range(200)}

    assert drawn(temperature=0.0) == {0}
    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_p=0.79) == {0, 1}
    assert drawn(top_p=1e-6) == {0}
    assert drawn(min_p=0.2) == {0, 1, 2}
    assert drawn(top_k=3, min_p=0.5) == {0, 1}
    assert drawn(temperature=0.01) == {0}
    assert drawn(temperature=5.0, top_k=10) == {0, 1, 2, 3}
    positive = np.array([2.0, 1.5, 0.0, -1.0], np.float32)
    again = Request(tokens=(0,), max_tokens=1, repetition_penalty=1.5)
    assert pick(positive, again, [0], 0) == 1
    assert pick(positive, again, [0, 1], 0) == 0
    assert pick(-positive[::-1], again, [0], 0) == 0


def test_shares_of_draws_are_those_of_the_model():
    logits = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    draws = [
        pick(logits, Request(tokens=(0,), max_tokens=1, temperature=1.0, seed=seed), [0], place)
        for seed in range(60)
        for place in range(50)
    ]
    shares = np.bincount(draws) / len(draws)
    assert np.abs(shares - [0.6, 0.3, 0.1]).max() < 0.03
