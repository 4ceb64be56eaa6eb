"""POST /v1/predict and its neighbours, asked of a real server process."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import TINY, Server, problem, wait_for

from genrekit import Classifier
from genrekit.explain.document import ExplanationDocument
from genrekit.explain.spectrogram import spectrogram
from genrekit.inference import timeline
from genrekit.server import schemas


def hum(seconds: float, sample_rate: int = 8000) -> bytes:
    """A tone: silence would have no segments."""
    stream = io.BytesIO()
    tone = 0.1 * np.sin(np.arange(round(seconds * sample_rate)) / 20)
    soundfile.write(stream, tone, sample_rate, format="FLAC")
    return stream.getvalue()


def test_a_body_gives_what_the_library_gives(server: Server, tracks: list[Path]) -> None:
    answer = server.post(tracks[0].read_bytes(), filename="drums.flac")
    assert answer.status_code == 200
    expected = Classifier(TINY).predict_file(tracks[0]).model_copy(update={"path": "drums.flac"})
    assert answer.json() == expected.to_dict()
    schemas.PredictionResult.model_validate(answer.json())


def test_a_form_with_one_file_gives_its_prediction(server: Server, tracks: list[Path]) -> None:
    with server.client() as client:
        form = {"file": ("Träume.flac", tracks[0].read_bytes(), "audio/flac")}
        answer = client.post("/v1/predict", files=form)
    assert answer.json()["path"] == "Träume.flac"


def test_a_form_with_several_files_gives_results_in_their_order(
    server: Server, tracks: list[Path]
) -> None:
    files = [("file", (path.name, path.read_bytes())) for path in tracks]
    files.insert(1, ("file", ("notes.txt", b"no audio")))
    with server.client() as client:
        answer = client.post("/v1/predict", files=files)
    results = schemas.Results.model_validate(answer.json()).results
    assert [result.path for result in results] == [name for _, (name, _) in files]
    failed = results.pop(1)
    assert isinstance(failed, schemas.FailedFile)
    assert failed.error.startswith("notes.txt: cannot be decoded (soundfile: ")
    assert all(isinstance(result, schemas.PredictionResult) for result in results)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "x.mp3: is empty (0 bytes); copy or download it again"),
        (b"This is not music.\n" * 99, "x.mp3: cannot be decoded (soundfile: "),
        (b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", "x.mp3: cannot be decoded (soundfile: "),
    ],
)
def test_what_cannot_be_decoded(server: Server, content: bytes, sentence: str) -> None:
    assert problem(server.post(content, filename="x.mp3"), 422).startswith(sentence)


@pytest.mark.parametrize("name", ["../../x.flac", "..\\..\\x.flac", "/etc/x.flac", "C:\\x.flac"])
def test_a_file_is_called_by_the_last_part_of_its_name(
    server: Server, tracks: list[Path], name: str
) -> None:
    with server.client() as client:
        answer = client.post("/v1/predict", files={"file": (name, tracks[0].read_bytes())})
    assert answer.json()["path"] == "x.flac"


def test_too_many_files(server: Server) -> None:
    files = [("file", (f"{index}.mp3", b"x")) for index in range(17)]
    with server.client() as client:
        answer = client.post("/v1/predict", files=files)
    assert problem(answer, 413).startswith("got more than 16 files")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nabc", "is broken"),
        (b"nonsense", "is broken"),
        (b"--b--\r\n", "got no file"),
    ],
)
def test_a_broken_form(server: Server, body: bytes, sentence: str) -> None:
    with server.client(headers={"Content-Type": "multipart/form-data; boundary=b"}) as client:
        assert sentence in problem(client.post("/v1/predict", content=body), 400)


def test_a_form_without_a_boundary(server: Server) -> None:
    with server.client(headers={"Content-Type": "multipart/form-data"}) as client:
        assert "is broken" in problem(client.post("/v1/predict", content=b"x"), 400)


def test_a_compressed_body(server: Server) -> None:
    with server.client(headers={"Content-Encoding": "gzip"}) as client:
        assert "compressed" in problem(client.post("/v1/predict", content=b"x"), 415)


def test_a_model_that_is_not_there(server: Server) -> None:
    sentence = problem(server.post(b"", model="tinny"), 422)
    assert sentence == "unknown model 'tinny'; did you mean 'tiny'? Allowed: tiny."


def test_parameters_out_of_range(server: Server) -> None:
    assert problem(server.post(b"", min_precision=2), 422).startswith("min_precision: ")
    assert "cannot reach a precision of 1" in problem(server.post(b"", min_precision=1), 422)


def test_below_the_threshold_the_answer_is_null(server: Server, tracks: list[Path]) -> None:
    curve = json.loads((TINY / "card.json").read_text())["precision_curve"]
    precise = server.post(tracks[0].read_bytes(), min_precision=curve[-1]["precision"]).json()
    assert precise["threshold"] == curve[-1]["threshold"]
    assert precise["abstained"] == (precise["probability"] < precise["threshold"])


def test_what_is_included(server: Server, tracks: list[Path]) -> None:
    audio = tracks[0].read_bytes()
    answer = server.post(audio, filename="a.flac", include="spectrogram,timeline", segments="all")
    assert answer.json()["spectrogram"] == spectrogram(Classifier(TINY), tracks[0])
    prediction = Classifier(TINY).predict_file(tracks[0])
    assert answer.json()["timeline"] == timeline.of(prediction, Classifier(TINY).card).to_dict()
    schemas.PredictionResult.model_validate(answer.json())


def test_a_timeline_covers_the_whole_track(server: Server) -> None:
    long, short = hum(39), hum(29)
    assert len(server.post(long, segments="2").json()["segments"]) == 2
    assert len(server.post(short, segments="2").json()["segments"]) == 2
    assert len(server.post(long, include="timeline").json()["segments"]) == 25


@pytest.mark.parametrize("params", [{"include": "timelin"}, {"segments": "0"}])
def test_no_such_choice(server: Server, params: dict[str, str]) -> None:
    key = next(iter(params))
    assert problem(server.post(b"", **params), 422).startswith((f"unknown {key}", f"{key}: "))


def fetched(server: Server, answer: httpx.Response) -> dict:
    """Wait for a job and return its last answer."""
    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    place = answer.headers["location"]
    assert re.fullmatch(r"/v1/jobs/[\w-]{20,}", place)
    with server.client() as client:
        wait_for(lambda: client.get(place).json()["status"] != "running")
        return schemas.JobDocument.model_validate(client.get(place).json()).model_dump()


def test_long_audio_becomes_a_job(server: Server) -> None:
    job = fetched(server, server.post(hum(41), filename="long.flac"))
    assert (job["status"], job["problem"]) == ("done", None)
    assert job["result"]["path"] == "long.flac"
    assert job["result"]["duration_seconds"] == 41


def test_a_job_for_whoever_prefers_it(server: Server, tracks: list[Path]) -> None:
    files = [("file", (path.name, path.read_bytes())) for path in tracks]
    with server.client(headers={"Prefer": "respond-async"}) as client:
        job = fetched(server, client.post("/v1/predict", files=files))
        assert [result["path"] for result in job["result"]["results"]] == [p.name for p in tracks]
        failed = fetched(server, client.post("/v1/predict", content=b"no audio"))
    assert (failed["status"], failed["problem"]["status"]) == ("failed", 422)


def test_a_job_that_nobody_started(server: Server) -> None:
    with server.client() as client:
        assert "no job has this id" in problem(client.get("/v1/jobs/x"), 404)


def test_models(server: Server) -> None:
    with server.client() as client:
        models = schemas.ModelList.model_validate(client.get("/v1/models").json()).models
    assert [model.name for model in models] == ["tiny"]
    assert len(models[0].labels) == 10


@pytest.mark.slow
def test_two_models_by_name(serve, tracks: list[Path]) -> None:
    two_views = TINY.with_name("tiny-two-views")
    both = serve("--model", str(two_views))
    audio = tracks[0].read_bytes()
    with both.client() as client:
        names = [model["name"] for model in client.get("/v1/models").json()["models"]]
        assert names == ["tiny", "tiny-two-views"]
        answer = client.post("/v1/explain", content=audio, params={"model": "tiny-two-views"})
    assert both.post(audio).json()["model"]["name"] == "tiny"
    expected = Classifier(two_views).predict_file(tracks[0]).probabilities
    found = both.post(audio, model="tiny-two-views", include="spectrogram").json()
    assert {genre["label"]: genre["probability"] for genre in found["genres"]} == expected
    explained = ExplanationDocument.model_validate(answer.json())
    assert {g.label: g.probability for g in explained.prediction.genres} == expected


def test_nothing_there_and_wrong_method(server: Server) -> None:
    with server.client() as client:
        assert "not found" in problem(client.get("/v2"), 404)
        wrong = client.delete("/v1/predict")
        assert "not allowed" in problem(wrong, 405)
        assert wrong.headers["allow"] == "POST"


def test_health_and_metrics(server: Server) -> None:
    with server.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ok"}
    assert server.metric("genrekit_workers_ready") == 2
    assert server.metric("genrekit_upload_bytes") == 0


def test_documentation_without_another_host(server: Server) -> None:
    with server.client() as client:
        page = client.get("/docs").text
        assert client.get("/docs.css").headers["content-type"].startswith("text/css")
        # A browser asks for an icon by itself where a page names none.
        files = re.findall(r'(?:href|src)="(?!#)([^"]*)"', page)
        assert files == ["icon.svg", "docs.css", "openapi.json"]
        assert [client.get(f"/{file}").status_code for file in files] == [200, 200, 200]
    assert "<script" not in page
    assert all(path in page for path in ("/v1/predict", "/v1/jobs/{job_id}", "/v1/models"))


def test_every_answer_has_the_security_headers(server: Server) -> None:
    with server.client(headers={"Origin": "https://example.org"}) as client:
        for path in ("/docs", "/v1/models", "/nothing"):
            headers = client.get(path).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers
            assert "access-control-allow-origin" not in headers
