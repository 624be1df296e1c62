"""Commands against a whole phiq: answers, streams, batches, cancelling, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HANDBOOK = EXAMPLES / "handbook"
SLOW = "fake:words?count=2000&rate=20"

pytestmark = pytest.mark.service
Run = Callable[..., Any]
Spawn = Callable[..., subprocess.Popen[str]]


def test_a_question_is_answered_with_its_source(run: Run) -> None:
    done = run("ask", "How much does Loop Plus cost?")
    assert done.code == 0
    assert "3.90 euros a month" in done.out
    assert "[1] Plans and billing" in done.out
    assert "plans-and-billing.md" in done.out
    assert "No generative model was used" in done.err
    assert "\x1b" not in done.out


def test_the_handbook_does_not_answer_everything_and_says_so(run: Run) -> None:
    done = run("ask", "Is there a discount for students?", "--json")
    assert done.code == 0
    assert done.json["result"]["band"] == "abstained"
    assert done.json["result"]["citations"] == []


def test_citations_in_json_point_at_the_words_they_quote(run: Run) -> None:
    result = run("ask", "--json", "How do I reset the Loop to its factory settings?").json["result"]
    assert result["engine"] == "extractive"
    assert "twelve seconds" in result["text"]
    passages = {passage["id"]: passage["text"] for passage in result["passages"]}
    for citation in result["citations"]:
        assert passages[citation["passage_id"]][citation["start"] : citation["end"]] == citation["quote"]


def test_questions_come_from_words_files_and_standard_input(run: Run, tmp_path: Path) -> None:
    question = "How much does Loop Plus cost?"
    (tmp_path / "q.txt").write_text(question, encoding="utf-8")
    for arguments, stdin in (
        (question.split(), ""),
        (["--files", str(tmp_path / "q.txt")], ""),
        (["-"], question),
        ([], question),
    ):
        done = run("ask", *arguments, stdin=stdin)
        assert "3.90 euros" in done.out, arguments


def test_the_screenshot_is_read_and_measured(run: Run) -> None:
    done = run("describe", EXAMPLES / "screenshot.png")
    assert done.code == 0, done.err
    assert "E-31" in done.out
    assert "https://example.com/help/E-31" in done.out


def test_a_long_text_is_summarised_in_its_own_sentences(run: Run) -> None:
    report = EXAMPLES / "field-trial-report.md"
    result = run("summarize", report, "--sentences", "4", "--json").json["result"]
    assert result["style"] == "key_sentences"
    words = " ".join(report.read_text(encoding="utf-8").split())
    lines = [line.strip("- ") for line in result["text"].splitlines() if line.strip()]
    assert lines
    assert all(" ".join(line.split())[:40] in words for line in lines)


def test_translation_without_a_model_names_the_command_that_gets_one(run: Run) -> None:
    done = run("translate", "Good morning", "--to", "German")
    assert done.code == 3
    assert "needs_model" in done.err
    assert "phiq models pull" in done.err
    assert done.out == ""


def test_several_inputs_are_a_batch_with_a_result_each(run: Run) -> None:
    tickets = sorted((EXAMPLES / "tickets").glob("*.txt"))
    done = run("summarize", "--sentences", "1", "--json", *tickets)
    assert done.code == 0, done.err
    assert sorted(line["name"] for line in done.lines) == [str(ticket) for ticket in tickets]
    assert all(line["result"]["text"] for line in done.lines)
    jobs = {job["id"]: job for job in run("jobs", "--json", "--limit", "100").json}
    assert {jobs[line["id"]]["lane"] for line in done.lines} == {"batch"}


def test_a_bad_job_in_a_batch_harms_no_other(run: Run) -> None:
    good, bad = EXAMPLES / "screenshot.png", HANDBOOK / "warranty.pdf"
    done = run("describe", bad, good)
    assert done.code == 3
    assert "E-31" in done.out
    assert "image_unreadable" in done.err


def test_search_shows_passages_with_their_place(run: Run) -> None:
    done = run("search", "warranty", "claim", "--top", "2", "--json")
    passages = done.json["result"]["passages"]
    assert len(passages) == 2
    assert passages[0]["page"] == 3
    assert "warranty.pdf" in run("search", "warranty claim").out


def test_ingest_reports_each_file_skips_the_unchanged_and_prunes_the_gone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nThe kettle boils in four minutes.\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("The door locks at ten.\n", encoding="utf-8")
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7 broken")
    first = run("ingest", tmp_path, "-c", "house", "--json")
    assert first.code == 3
    status = {Path(file["source"]).name: file["status"] for file in first.json["result"]["files"]}
    assert status == {"a.md": "added", "b.txt": "added", "c.pdf": "failed"}
    (tmp_path / "b.txt").unlink()
    (tmp_path / "c.pdf").unlink()
    second = run("ingest", tmp_path, "-c", "house", "--prune", "--json")
    assert second.code == 0, second.err
    status = {Path(file["source"]).name: file["status"] for file in second.json["result"]["files"]}
    assert status == {"a.md": "unchanged", "b.txt": "deleted"}


def test_ingesting_an_empty_folder_says_which_kinds_it_knows(run: Run, tmp_path: Path) -> None:
    done = run("ingest", tmp_path)
    assert done.code == 3
    assert "input_missing" in done.err
    assert ".pdf" in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ask", "-m", "onnx:nothing-like-it", "hello"], "model_not_found"),
        (["ask", "-m", "carrier-pigeon:x", "hello"], "engine_unknown"),
        (["ask", "-m", "nonsense", "hello"], "engine_unknown"),
        (["ask", "-c", "nowhere", "hello"], "collection_not_found"),
        (["search", "-c", "nowhere", "hello"], "collection_not_found"),
        (["jobs", "0" * 32], "job_not_found"),
        (["jobs", "not-an-id"], "job_not_found"),
        (["watch", "0" * 32], "job_not_found"),
        (["cancel", "0" * 32], "job_not_found"),
        (["submit", "{}"], "job_invalid"),
        (["submit", "{not json"], "job_invalid"),
        (["submit", "missing.json"], "document_unreadable"),
        (["summarize", "missing.txt"], "document_unreadable"),
        (["describe", "missing.png"], "document_unreadable"),
        (["ingest", "missing"], "document_unreadable"),
    ],
)
def test_what_can_not_be_is_the_users_fault_and_says_so(run: Run, arguments: list[str], code: str) -> None:
    done = run(*arguments)
    assert done.code == 3, done.err
    assert f"error {code}:" in done.err
    assert "Traceback" not in done.err


def test_a_job_submitted_as_json_is_listed_and_watched(run: Run) -> None:
    body = {"kind": "complete", "model": "fake:words?count=30", "input": {"prompt": "x"}}
    submitted = run("submit", "-", stdin=json.dumps(body))
    assert submitted.code == 0
    job_id = submitted.out.strip()
    watched = run("watch", job_id)
    assert watched.code == 0
    assert len(watched.out.split()) == 30
    shown = run("jobs", job_id)
    assert "succeeded" in shown.out
    events = run("watch", job_id, "--json").lines
    assert events[-1]["type"] == "end"
    assert "".join(event.get("text", "") for event in events).split() == watched.out.split()
    later = run("watch", job_id, "--json", "--after", events[-2]["id"]).lines
    assert [event["id"] for event in later] == [events[-1]["id"]]


def test_no_wait_prints_the_id_and_a_delayed_job_says_why_it_waits(run: Run) -> None:
    started = run("complete", "hello", "-m", "fake:echo", "--delay", "600", "--no-wait")
    job_id = started.out.strip()
    shown = run("jobs", job_id)
    assert "delayed" in shown.out
    assert "waiting" in shown.out
    assert run("jobs", job_id, "--json").json["waiting"]["reason"] == "delayed"
    assert f"{job_id} cancelled" in run("cancel", job_id).out
    assert run("watch", job_id).code == 5


def test_a_key_used_twice_is_one_job(run: Run) -> None:
    ask = ("complete", "hello", "-m", "fake:echo", "--key", "once", "--no-wait")
    first, second = run(*ask), run(*ask)
    assert first.out == second.out
    other = run("complete", "something else", "-m", "fake:echo", "--key", "once", "--no-wait")
    assert other.code == 3
    assert "idempotency_conflict" in other.err


def test_text_streams_before_the_job_ends(spawn: Spawn) -> None:
    process = spawn("complete", "hello", "-m", SLOW)
    assert process.stdout is not None
    assert process.stdout.read(20)
    assert process.poll() is None


def test_ctrl_c_cancels_the_job_and_exits_with_130(spawn: Spawn, run: Run, wait_until: Callable[..., Any]) -> None:
    process = spawn("complete", "stop me", "-m", SLOW)
    assert process.stdout is not None
    assert process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    newest = run("jobs", "--json", "--kind", "complete").json
    mine = next(job for job in newest if job["metadata"].get("name") == "stop me")
    wait_until(lambda: run("jobs", mine["id"], "--json").json["state"] == "cancelled", 15, "job cancelled")


def test_ctrl_c_cancels_a_whole_batch(spawn: Spawn, run: Run, wait_until: Callable[..., Any], tmp_path: Path) -> None:
    names = [str(tmp_path / f"batch-{number}.txt") for number in range(4)]
    for name in names:
        Path(name).write_text("go on", encoding="utf-8")

    def states() -> list[str]:
        jobs = run("jobs", "--json", "--kind", "complete", "--limit", "50").json
        return [job["state"] for job in jobs if job["metadata"].get("name") in names]

    process = spawn("complete", *names, "-m", SLOW)
    # Of two slots one is left to interactive jobs.
    wait_until(lambda: sorted(states()) == ["queued"] * 3 + ["running"], 30, "one runs, the others wait")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    wait_until(lambda: states() == ["cancelled"] * 4, 15, "all cancelled")


def test_ctrl_c_while_jobs_are_submitted_cancels_those_that_were(
    run: Run, wait_until: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.client import Client

    names = [str(tmp_path / f"early-{number}.txt") for number in range(3)]
    for name in names:
        Path(name).write_text("go on", encoding="utf-8")
    submit, ids = Client.submit_job, []

    def interrupted(client: Client, job: Any) -> Any:
        made = submit(client, job)
        ids.append(made.id)
        if len(ids) == 2:
            signal.raise_signal(signal.SIGINT)  # the job is there, and the command does not know of it yet
        return made

    monkeypatch.setattr(Client, "submit_job", interrupted)
    assert run("complete", *names, "-m", SLOW).code == 130
    assert len(ids) == 2
    for job_id in ids:
        wait_until(lambda job_id=job_id: run("jobs", job_id, "--json").json["state"] == "cancelled", 15, job_id)


def test_a_job_nobody_serves_says_so_while_it_waits(tmp_path: Path, spawn: Spawn) -> None:
    from workers.settings import Settings
    from workers.stack import Stack

    settings = Settings(data_dir=tmp_path / "alone")
    with Stack(settings, parts=["redis"]):
        process = spawn("ask", "hello", env={**os.environ, "PHIQ_DATA_DIR": str(settings.data_dir)})
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Waiting: ")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130


def test_watching_can_be_left_without_harm(spawn: Spawn, run: Run) -> None:
    job_id = run("complete", "watch me", "-m", SLOW, "--no-wait").out.strip()
    process = spawn("watch", job_id)
    assert process.stdout is not None
    assert process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert run("jobs", job_id, "--json").json["state"] == "running"
    assert run("cancel", job_id).code == 0


def test_a_reader_that_leaves_is_no_error(spawn: Spawn) -> None:
    process = spawn("complete", "hello", "-m", "fake:words?count=2000&rate=200")
    assert process.stdout is not None
    assert process.stdout.read(10)
    process.stdout.close()
    process.wait(timeout=30)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0


def test_into_a_file_the_text_is_written_whole(spawn: Spawn, tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w", encoding="utf-8") as out:
        assert spawn("complete", "one two three", "-m", "fake:echo", stdout=out).wait(timeout=60) == 0
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").split() == ["one", "two", "three"]


def test_a_failing_engine_is_the_services_fault(run: Run) -> None:
    body = {"kind": "complete", "model": "fake:echo?fail=model_misbehaved", "max_attempts": 1, "input": {"prompt": "x"}}
    done = run("submit", json.dumps(body), "--wait")
    assert done.code == 1
    assert "error model_misbehaved:" in done.err


def test_workers_and_doctor_show_what_runs(run: Run) -> None:
    workers = run("workers", "--json").json
    assert len(workers) == 1
    assert workers[0]["slots"] == 2


def test_the_python_client_streams_and_returns_typed_results(stack: Any) -> None:
    from agents.contract import ChatResult
    from agents.errors import NeedsModel
    from gateway.client import Client

    client = Client(settings=stack)
    job = client.submit("chat", "How much does Loop Plus cost?")
    streamed = "".join(job.stream())
    result = job.result(timeout=60)
    assert isinstance(result, ChatResult)
    assert result.text == streamed
    assert result.citations[0].title == "Plans and billing"
    assert len(client.submit("embed", ["a", "b"]).result(timeout=60).vectors) == 2
    with pytest.raises(NeedsModel):
        client.submit("translate", "Hello", target="de").result(timeout=60)


def test_the_client_ingests_folders(stack: Any, tmp_path: Path) -> None:
    from gateway.client import Client

    (tmp_path / "a.md").write_text("# A\n\nThe lamp is green.\n", encoding="utf-8")
    made = Client(settings=stack).submit("ingest", tmp_path, collection="lamps").result(timeout=60)
    assert [(Path(file.source).name, file.status) for file in made.files] == [("a.md", "added")]


def test_the_client_cancels(stack: Any) -> None:
    from gateway.client import Client
    from workers.errors import JobCancelled

    job = Client(settings=stack).submit("complete", "go on", model=SLOW)
    for _ in job.stream():
        job.cancel()
        break
    with pytest.raises(JobCancelled):
        job.result(timeout=30)


def test_another_engine_takes_over_where_one_is_down(run: Run) -> None:
    done = run("complete", "one two three", "--model", "llamacpp:nobody,fake:echo", "--json")
    assert done.code == 0, done.err
    result = done.json["result"]
    assert (result["text"], result["engine"]) == ("one two three", "fake")
    assert [(one["model"], one["code"]) for one in result["moved"]] == [("llamacpp:nobody", "engine_down")]
    assert len(run("jobs", "show", done.json["id"], "--json").json["attempts"]) == 1
