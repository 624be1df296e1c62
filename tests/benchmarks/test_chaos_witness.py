"""The witness of the chaos run catches every kind of violation: each test doctors the transcript of a good job."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from benchmarks.chaos.transcript import REPLAYED, Answer, Planned, Seen, Transcript
from benchmarks.chaos.witness import Run, assemble, count, judge, read_runs

TEXT = "m1 river stone harbour"
ID = "0" * 31 + "1"


def seen(number: int, what: str, part: int = 0, **fields: object) -> Seen:
    return Seen(100.0 + number, f"{1000 + number}-{part}", what, **fields)


def run(text: str = TEXT) -> Run:
    return Run("m1", 103.0, 7, hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture
def job() -> Transcript:
    """A job whose first worker died after two words; the second one began again."""
    planned = Planned(1, "m1", "echo", {"tenant": "ash"}, expected=TEXT, witnessed=True)
    entries = [
        seen(0, "state", state="queued"),
        seen(1, "state", attempt=1, state="running"),
        seen(2, "delta", attempt=1, text="m1 river"),
        seen(3, "state", attempt=1, offset=8, state="queued"),
        seen(4, "restarted", attempt=2),
        seen(5, "state", attempt=2, state="running"),
        seen(6, "delta", attempt=2, text="m1 river"),
        seen(7, "delta", attempt=2, offset=8, text=" stone harbour"),
        seen(8, "end", attempt=2, offset=22, state="succeeded"),
    ]
    done = Answer("succeeded", TEXT, 2)
    return Transcript(planned, ids=[ID], entries=entries, answers=[done, done], reread=list(entries))


def kinds(job: Transcript, *runs: Run) -> set[str]:
    return {violation.kind for violation in judge(job, runs or [run()])}


def both(job: Transcript, change) -> None:
    """Change what the first reader saw and what a later one sees."""
    change(job.entries)
    change(job.reread)


def test_a_job_that_was_interrupted_and_ended_well_is_clean(job):
    assert judge(job, [run()]) == []
    assert job.attempts == 2


def test_a_generation_that_goes_on_from_its_tokens_is_clean(job):
    resumed = [
        *job.entries[:4],
        seen(5, "state", attempt=2, offset=8, state="running"),
        seen(7, "delta", attempt=2, offset=8, text=" stone harbour"),
        seen(8, "end", attempt=2, offset=22, state="succeeded"),
    ]
    job.entries, job.reread = resumed, list(resumed)
    assert judge(job, [run(), run()]) == []


def test_a_job_that_was_never_accepted_was_promised_nothing(job):
    job.ids, job.answers, job.entries = [], [], []
    assert judge(job, []) == []


def test_lost_when_there_is_no_such_job_any_more(job):
    job.missing = True
    assert kinds(job) == {"lost"}


@pytest.mark.parametrize("answers", [[], [Answer("running", None, 2)]])
def test_lost_when_it_reached_no_end(job, answers):
    job.answers = answers
    assert kinds(job) == {"lost"}


def test_lost_when_its_reader_never_heard_the_end(job):
    job.entries.pop()
    assert kinds(job) == {"lost"}


def test_lost_when_it_succeeded_without_a_result(job):
    job.answers = [Answer("succeeded", None, 2)]
    assert kinds(job) == {"lost"}


def test_twice_when_one_request_became_two_jobs(job):
    job.ids.append("f" * 32)
    assert kinds(job) == {"twice"}


def test_twice_when_a_later_reader_is_told_two_ends(job):
    job.reread.append(seen(9, "end", attempt=2, offset=22, state="succeeded"))
    assert "twice" in kinds(job)


def test_twice_when_the_stream_and_the_record_tell_different_ends(job):
    job.entries[-1] = replace(job.entries[-1], state="cancelled")
    assert kinds(job) == {"twice"}


def test_twice_when_two_different_results_were_shown(job):
    job.plan = replace(job.plan, expected=None)
    other = TEXT.upper()
    job.answers.insert(0, Answer("succeeded", other, 2))
    assert kinds(job, run(), run(other)) == {"twice"}


def test_twice_when_an_ended_job_ends_once_more_otherwise(job):
    job.answers.insert(0, Answer("failed", None, 2))
    assert kinds(job) == {"twice"}


@pytest.mark.parametrize("told", ["running", "queued", "cancelled"])
def test_twice_when_an_accepted_cancel_ends_in_a_result(job, told):
    job.cancel = told
    assert kinds(job) == {"twice"}
    job.cancel = "succeeded"  # it came too late, and said so
    assert kinds(job) == set()


def test_twice_when_it_ran_to_its_end_more_often_than_it_began(job):
    assert kinds(job, run(), run()) == set()
    assert kinds(job, run(), run(), run()) == {"twice"}


def test_an_ingested_document_must_be_in_the_store_once(job):
    line = "The keeper of m1 wrote: river."
    job.plan = replace(job.plan, document=("m1.md", f"# Notes\n\n{line}\n"))
    job.passages = [f"Notes\n{line}"]
    assert kinds(job) == set()
    job.passages *= 2
    assert kinds(job) == {"twice"}
    job.passages = []
    assert kinds(job) == {"lost"}


def test_stale_when_an_attempt_writes_after_its_successor_began(job):
    both(job, lambda entries: entries.insert(6, seen(5, "progress", part=1, attempt=1)))
    assert kinds(job) == {"stale"}


def test_stale_when_something_is_written_after_the_end(job):
    job.reread.append(seen(9, "progress", attempt=2, offset=22))
    assert kinds(job) == {"stale"}


def test_stale_when_the_result_is_not_the_text_it_must_be(job):
    # The whole stream agrees with it, and an engine made it: it is another job's.
    other = "m2 velvet"
    job.entries = job.reread = [
        seen(1, "delta", attempt=1, text=other),
        seen(2, "end", attempt=1, offset=9, state="succeeded"),
    ]
    job.answers = [Answer("succeeded", other, 1)]
    assert kinds(job, run(other)) == {"stale"}


def test_stale_when_no_engine_testified_to_the_result(job):
    job.plan = replace(job.plan, expected=None)
    assert kinds(job, run("something else")) == {"stale"}


def test_stale_when_a_job_that_did_not_succeed_has_a_result(job):
    job.answers = [Answer("cancelled", TEXT, 2)]
    both(job, lambda entries: entries.__setitem__(-1, replace(entries[-1], state="cancelled")))
    assert kinds(job) == {"stale"}


def test_gaps_when_a_piece_of_text_is_missing(job):
    del job.entries[6]
    assert kinds(job) == {"gaps"}


def test_gaps_when_a_piece_comes_twice(job):
    job.entries.insert(7, job.entries[6])
    assert kinds(job) == {"gaps"}


def test_gaps_when_a_later_reader_misses_the_last_piece(job):
    del job.reread[7]
    assert kinds(job) == {"gaps"}


def test_gaps_when_a_restart_was_not_announced(job):
    both(job, lambda entries: entries.pop(4))
    assert kinds(job) == {"gaps"}


def test_gaps_when_offsets_hold_and_the_words_are_others(job):
    job.entries[7] = replace(job.entries[7], text=" stone HARBOUR")
    assert kinds(job) == {"gaps"}


def test_gaps_when_a_cancelled_job_streamed_words_that_are_not_its_own(job):
    end = seen(3, "end", attempt=1, offset=8, state="cancelled")
    job.answers, job.cancel = [Answer("cancelled", None, 1)], "running"
    job.entries = job.reread = [seen(2, "delta", attempt=1, text="m1 river"), end]
    assert kinds(job) == set()
    job.entries = job.reread = [seen(2, "delta", attempt=1, text="m9 river"), end]
    assert kinds(job) == {"gaps"}


def test_a_snapshot_takes_the_place_of_what_came_before():
    entries = [seen(1, "delta", attempt=1, offset=0, text="m1"), seen(5, "snapshot", attempt=2, text="m1 river")]
    after = seen(6, "delta", attempt=2, offset=8, text=" stone")
    assert assemble([*entries, after]) == ("m1 river stone", [])
    assert assemble([*entries, replace(after, offset=2)])[1] == ["text at 2 where 8 was due"]


def replayed(job: Transcript) -> Transcript:
    first = [
        seen(1, "delta", attempt=1, text="m1 river"),
        seen(2, "end", attempt=1, offset=8, state="dead"),
    ]
    second = [
        seen(10, "restarted", attempt=1),
        seen(11, "delta", attempt=2, text=TEXT),
        seen(12, "end", attempt=2, offset=22, state="succeeded"),
    ]
    job.entries = [*first, Seen(105.0, "", REPLAYED), *second]
    job.reread = [*first, *second]
    job.answers = [Answer("dead", None, 1), Answer("succeeded", TEXT, 2)]
    return job


def test_a_dead_job_that_was_replayed_may_end_once_more(job):
    assert judge(replayed(job), [run()]) == []
    assert job.last_id == "1012-0"


def test_a_dead_job_that_comes_back_by_itself_is_no_replay(job):
    replayed(job).entries.pop(2)
    assert {"twice", "stale"} <= kinds(job)


def test_a_replayed_job_may_end_once_more_and_not_twice(job):
    replayed(job).reread.append(seen(13, "end", attempt=2, offset=22, state="succeeded"))
    assert {"twice", "stale"} <= kinds(job)


def test_jobs_are_counted_once_for_each_kind(job):
    del job.entries[6]
    job.missing = True
    wrong = judge(job, [run()])
    assert len(wrong) > 2
    assert count(wrong) == {"lost": 1, "twice": 0, "stale": 0, "gaps": 1}


def test_the_witness_file_is_read_by_marker_and_a_torn_line_is_an_error(tmp_path):
    file = tmp_path / "runs.witness"
    assert read_runs(file) == {}
    file.write_text("m1\t1.5\t7\tabc\nm2\t2.5\t8\tdef\nm1\t3.5\t9\tabc\n")
    assert [run.process for run in read_runs(file)["m1"]] == [7, 9]
    file.write_text("m1\t1.5\t7\tabcm2\t2.5\n")
    with pytest.raises(ValueError, match="unpack"):
        read_runs(file)
