"""The page that predicts in the browser: its JavaScript gives what genrekit gives."""

from __future__ import annotations

import base64
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import genrekit
from browser import MAY_HANG, ask_why, expect, opened
from genrekit import Classifier, audio, demo, features
from genrekit.errors import GenrekitError, ModelError
from genrekit.explain import evidence, explain
from genrekit.features.spec import FeatureSpec
from genrekit.inference import timeline
from genrekit.inference.aggregation import track_probabilities
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.card import ModelCard, one_view
from genrekit.prediction import Prediction, SegmentPrediction
from genrekit.server import static_site

TINY = Path(__file__).parents[1] / "golden" / "tiny"
TWO_VIEWS = TINY.with_name("tiny-two-views")
SCRIPTS = Path(genrekit.__file__).parent / "server" / "browser"
EQUAL_DB = 1e-2
N_TRACKS = 17
pytestmark = [MAY_HANG, pytest.mark.untraced]  # what it tests is JavaScript


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server would."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


Call = Callable[..., object]


@pytest.fixture
def call(browser: object, tmp_path: Path) -> Iterator[Call]:
    """Call a function of one of the scripts: call("sound.js", "({cut}, x) => cut(x)", x)."""
    for script in SCRIPTS.glob("*.js"):
        (tmp_path / script.name).write_bytes(script.read_bytes())
    (tmp_path / "index.html").write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    (tmp_path / "favicon.ico").touch()
    with served(tmp_path) as url, opened(browser, url) as (page, seen):

        def of(script: str, function: str, *arguments: object) -> object:
            given = [_sent(argument) for argument in arguments]
            return page.evaluate(
                f"""async ({{script, given}}) => {{
                    const floats = (x) => new Float32Array(
                        Uint8Array.from(atob(x), (c) => c.charCodeAt(0)).buffer);
                    const back = given.map((g) => g.floats ? floats(g.floats) : g.value);
                    return ({function})(await import(`./${{script}}`), ...back);
                }}""",
                {"script": script, "given": given},
            )

        yield of
        seen.check()


def _sent(argument: object) -> dict[str, object]:
    if isinstance(argument, np.ndarray):
        return {"floats": base64.b64encode(argument.astype(np.float32).tobytes()).decode()}
    return {"value": argument}


@pytest.mark.parametrize(
    "spec",
    [
        FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=96),
        FeatureSpec(mel_scale="htk", padding="zeros", f_min=20.0, f_max=8000.0, mean=-40, std=20),
        FeatureSpec(kind="log_stft", n_fft=1024, hop_length=441),
        FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=96, level_db=-10.0),
    ],
)
def test_the_front_end_agrees(call: Call, spec: FeatureSpec) -> None:
    waveform = audio.resample(
        audio.downmix(demo.synthesise("guitar")), demo.SAMPLE_RATE, spec.sample_rate
    )[0, : spec.segment_samples]
    # Noise keeps every bin within the reach of float32, which is 90 dB below the loudest.
    waveform = waveform + np.random.default_rng(0).normal(0, 0.01, waveform.shape)
    found = call(
        "features.js",
        "({FrontEnd}, views, x) => Array.from(new FrontEnd(views).compute(x).features)",
        [view.model_dump() for view in one_view(spec)],
        waveform,
    )
    expected = features.compute(waveform[None].astype(np.float32), spec)[0]
    np.testing.assert_allclose(
        np.reshape(found, expected.shape), expected, rtol=0, atol=EQUAL_DB / spec.std
    )
    centres = call("features.js", "({binHz}, spec) => binHz(spec)", spec.model_dump())
    assert len(centres) == spec.n_bins


def test_every_view_of_a_model_agrees(call: Call) -> None:
    front_end = FrontEnd(registry.find(TWO_VIEWS).card.views)
    waveform = audio.resample(
        audio.downmix(demo.synthesise("drums")), demo.SAMPLE_RATE, front_end.sample_rate
    )[0, : front_end.spec.segment_samples]
    waveform = waveform + np.random.default_rng(0).normal(0, 0.01, waveform.shape)
    expected = front_end.compute(waveform[None].astype(np.float32))
    found = call(
        "features.js",
        """({FrontEnd}, views, x) => Object.fromEntries(
            Object.entries(new FrontEnd(views).compute(x)).map(([k, v]) => [k, Array.from(v)]))""",
        [view.model_dump() for view in front_end.views],
        waveform,
    )
    assert found.keys() == expected.keys()
    for view in front_end.views:
        rows = np.reshape(found[view.name], expected[view.name].shape[1:])
        # Where a view is resampled, the ends and the edge of the pass band are each one's own.
        is_cut = view.features.sample_rate == front_end.sample_rate
        inside = slice(None) if is_cut else slice(4, -4)
        difference = np.abs(rows - expected[view.name][0])[:40, inside] * view.features.std
        assert difference.max() < (EQUAL_DB if is_cut else 0.1)


def test_the_evidence_of_two_views_agrees(call: Call) -> None:
    views = registry.find(TWO_VIEWS).card.views
    rng = np.random.default_rng(0)
    inputs = {v.name: rng.normal(size=(2, v.features.n_bins, v.features.n_frames)) for v in views}
    inputs = {name: rows.astype(np.float32) for name, rows in inputs.items()}
    weights = {view.name: rng.normal(size=view.features.n_bins).tolist() for view in views}

    def predict(features: dict[str, np.ndarray]) -> np.ndarray:
        """Return the logistic of a weighted sum of the bins' means, and the rest."""
        sums = sum(rows.mean(axis=2) @ weights[name] for name, rows in features.items())
        cue = 1 / (1 + np.exp(-sums))
        return np.stack([cue, 1 - cue], axis=1)

    fill = {name: rows.mean(axis=(0, 2)) for name, rows in inputs.items()}
    expected = evidence.by_occlusion(predict, inputs, fill, evidence.Grid.of(views), lambda: None)
    found = call(
        "explain.js",
        """async ({explanationOf}, views, weights, inputs) => {
            const {FrontEnd} = await import("./features.js");
            const front = new FrontEnd(views);
            const features = inputs.map((segment) => Object.fromEntries(
                Object.entries(segment).map(([name, x]) => [name, Float32Array.from(x)])));
            const sumOf = (x, w) => x.reduce((sum, value, i) =>
                sum + value * w[Math.floor(i / (x.length / w.length))] / (x.length / w.length), 0);
            const predict = async (segments) => segments.map((segment) => {
                const sums = front.views.map(({name}) => sumOf(segment[name], weights[name]));
                const cue = 1 / (1 + Math.exp(-sums.reduce((a, b) => a + b)));
                return [cue, 1 - cue];
            });
            const rows = await predict(features);
            const analysis = {starts: [0, 3], features, rows, spec: front.spec, seconds: 6};
            const network = {card: {labels: ["cue", "other"]}, front, predict};
            return explanationOf(analysis, network, "cue");
        }""",
        [view.model_dump() for view in views],
        weights,
        [{name: rows[index].ravel().tolist() for name, rows in inputs.items()} for index in (0, 1)],
    )
    for label, name in enumerate(("cue", "other")):
        for kind in ("segments", "windows", "blocks"):
            theirs = getattr(expected, kind)[label]
            np.testing.assert_allclose(found["evidence"][name][kind], theirs, atol=1e-4)
    assert found["replaced_by"].startswith("the mean of the track")


def test_resampling_agrees_with_soxr(call: Call) -> None:
    waveform = audio.downmix(demo.synthesise("drums"))[0, : 3 * demo.SAMPLE_RATE]
    found = np.array(
        call(
            "sound.js",
            "({resample}, x) => Array.from(resample(x, 44100, 16000))",
            waveform,
        )
    )
    expected = audio.resample(waveform[None], demo.SAMPLE_RATE, 16000)[0]
    assert len(found) == len(expected)
    inside = slice(200, -200)  # the ends, where each has its own idea of what lies outside
    difference = np.sqrt(np.mean((found[inside] - expected[inside]) ** 2))
    assert difference < 1e-3 * np.sqrt(np.mean(expected**2)), "below -60 dB"


@pytest.mark.parametrize(
    ("seconds", "first_seconds"),
    [(1.0, None), (3.0, None), (4.4, None), (4.6, None), (30.013, None), (30.013, 8.3)],
)
def test_the_same_segments_are_cut(call: Call, seconds: float, first_seconds: float | None) -> None:
    spec = FeatureSpec(
        sample_rate=1000,
        n_fft=64,
        hop_length=64,
        segment_hop_seconds=1.5,
        first_seconds=first_seconds,
    )
    waveform = np.arange(round(1000 * seconds), dtype=np.float32) / 1e5
    from genrekit.inference import segments

    expected = [
        (first + index * 1500, row)
        for first, rows in segments.cut_whole([waveform[None]], spec)
        for index, row in enumerate(rows)
    ]
    found = call(
        "sound.js",
        "({cut}, x, spec) => cut(x, spec).map(([start, samples]) => [start, Array.from(samples)])",
        waveform,
        spec.model_dump(),
    )
    assert [start for start, _ in found] == [start for start, _ in expected]
    for (_, samples), (_, row) in zip(found, expected, strict=True):
        np.testing.assert_allclose(samples, row, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("aggregation", ["mean_probability", "majority_vote"])
def test_tracks_are_made_of_segments_by_one_rule(
    call: Call, aggregation: str, temperature: float
) -> None:
    rng = np.random.default_rng(0)
    tracks = [rng.dirichlet(np.ones(4) * 0.5, n).tolist() for n in (1, 2, 3, 4, 7)]
    rule = {"aggregation": aggregation, "calibration": {"track_temperature": temperature}}
    found = call(
        "aggregation.js",
        "({trackProbabilities}, tracks, rule) => tracks.map((t) => trackProbabilities(t, rule))",
        tracks,
        rule,
    )
    for mine, rows in zip(found, tracks, strict=True):
        expected = track_probabilities(np.array(rows), aggregation, temperature)
        np.testing.assert_allclose(mine, expected, rtol=1e-9)


def timeline_cases() -> Iterator[tuple[Prediction, ModelCard, float]]:
    """Timelines of real sound with a gap or two genres, and of random segments with overlaps."""
    tiny, fast = Classifier(TINY), Classifier("fast", segments="all")
    drums, strings = (demo.synthesise(n).mean(0, keepdims=True) for n in ("drums", "strings"))
    silence = np.zeros_like(drums)
    for classifier in (tiny, fast):
        for parts in (
            [drums],
            [drums, silence, drums],
            [drums, strings],
            [silence],
            [drums[:, :2]],
        ):
            yield (
                classifier.predict(np.concatenate(parts, 1), demo.SAMPLE_RATE),
                classifier.card,
                0.2,
            )
    rng = np.random.default_rng(0)
    for case in range(20):
        rule = ("mean_probability", "majority_vote")[case % 2]
        card = fast.card.model_copy(update={"aggregation": rule})
        rows = rng.dirichlet(np.ones(len(card.labels)) * 0.3, 9).round(6)
        starts = np.sort(rng.choice(16, 9, replace=False)) * 1.5
        segments = tuple(
            SegmentPrediction(
                start_seconds=start,
                end_seconds=start + 3,
                probabilities=dict(zip(card.labels, row, strict=True)),
            )
            for start, row in zip(starts.tolist(), rows.tolist(), strict=True)
        )
        track = track_probabilities(rows, rule, card.calibration.track_temperature).round(6)
        fields = {
            "probabilities": dict(zip(card.labels, track.tolist(), strict=True)),
            "segments": segments,
            "duration_seconds": segments[-1].end_seconds,
        }
        made = tiny.predict(drums, demo.SAMPLE_RATE).model_copy(update=fields)
        yield made, card, float(rng.choice([0, 0.5, 2]))


@pytest.mark.slow
def test_the_timeline_agrees(call: Call) -> None:
    for prediction, card, penalty in timeline_cases():
        expected = timeline.of(prediction, card, penalty).to_dict()
        found = call(
            "timeline.js",
            "({timelineOf}, ...given) => timelineOf(...given)",
            [segment.model_dump() for segment in prediction.segments],
            card.model_dump(mode="json"),
            {"change_penalty": penalty, "colours": list(timeline.COLOURS)},
        )
        for key in ("labels", "colours", "change_points_seconds"):
            assert found[key] == expected[key]
        for kind in ("cells", "spans"):
            assert len(found[kind]) == len(expected[kind])
            for mine, theirs in zip(found[kind], expected[kind], strict=True):
                assert mine.keys() == theirs.keys()
                for field, value in theirs.items():
                    close = value if isinstance(value, str) else pytest.approx(value, abs=1e-5)
                    assert mine[field] == close


def test_what_cannot_be_built_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(GenrekitError, match="give a new or empty folder"):
        static_site.build(tmp_path / "full")
    with pytest.raises(ModelError):
        static_site.build(tmp_path / "out", "no-such-model")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GenrekitError, match=r"npm is not installed, .* install Node\.js"):
        static_site.build(tmp_path / "out")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho other > other.tgz\n", encoding="utf-8")
    npm.chmod(0o755)
    with pytest.raises(GenrekitError, match="another onnxruntime-web"):
        static_site.build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.full  # fetches the runtime from the npm registry
@pytest.mark.parametrize("model", ["fast", "accurate", str(TWO_VIEWS)])
def test_the_whole_page_predicts_what_genrekit_predicts(
    browser: object, shared_data: Path, tmp_path: Path, model: str
) -> None:
    static_site.build(tmp_path / "site", model)
    classifier = Classifier(model, segments="all")
    tracks = sorted((shared_data / "fma" / "audio").rglob("*.mp3"))
    assert len(tracks) == N_TRACKS
    n_single = 0
    with served(tmp_path / "site") as url, opened(browser, url) as (page, seen):
        for path in tracks:
            answer = page.evaluate(
                """async (data) => {
                    const {predict} = await import("./api.js");
                    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                    return predict(new File([bytes], "track.mp3"), "");
                }""",
                base64.b64encode(path.read_bytes()).decode(),
            )
            expected = classifier.predict_file(path)
            assert answer["label"] == expected.label, path
            for genre in answer["genres"]:
                assert genre["probability"] == pytest.approx(
                    expected.probabilities[genre["label"]], abs=0.03
                )
            spans = answer["timeline"]["spans"]
            if len(spans) == 1:
                n_single += 1
                assert spans[0]["label"] == answer["genres"][0]["label"]
                assert spans[0]["probability"] == answer["probability"]
        assert n_single > N_TRACKS / 2
        seen.check()


@pytest.mark.full  # fetches the runtime from the npm registry
@pytest.mark.parametrize("model", ["fast", str(TWO_VIEWS)])
def test_the_whole_page_explains_what_genrekit_explains(
    browser: object, tmp_path: Path, model: str
) -> None:
    static_site.build(tmp_path / "site", model)
    path = demo.write(tmp_path)[0]
    found = explain(Classifier(model, segments="all"), path)
    with served(tmp_path / "site") as url, opened(browser, url) as (page, seen):
        page.set_input_files("#files", str(path))
        expect(page.locator("#label")).to_contain_text(found.genre)
        expect(page.locator("#docs")).to_have_count(0)
        ask_why(page)
        expect(page.locator("#explanation")).to_contain_text("Orange supports")
        expect(page.locator("#where")).to_contain_text("stays on this machine")
        evidence = page.evaluate(
            """async ([data, genre]) => {
                const {explain} = await import("./api.js");
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                return (await explain(new File([bytes], "d.flac"), genre)).evidence[genre];
            }""",
            [base64.b64encode(path.read_bytes()).decode(), found.genre],
        )
        label = found.labels.index(found.genre)
        same = np.corrcoef(np.ravel(evidence["blocks"]), found.blocks[label].ravel())[0, 1]
        assert same > 0.95, "the two resample differently at the ends of the track"
        seen.check()
