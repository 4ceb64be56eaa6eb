"""Write a model folder's README.md from its card, so that the two cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genrekit.models.card import LeakMeter, LeakRow, Metrics, ModelCard, Robustness, View

N_WEAKEST = 3


def write(card: ModelCard) -> str:
    """Return the card as a Markdown page."""
    parts = [
        f"# {card.name} {card.version}",
        card.description,
        _usage(card),
        _measured(card),
        _calibrated(card),
        _music_gate(card),
        _leak_meter(card.leak_meter),
        _robustness(card.robustness),
        _training(card),
        _input(card),
        _unfit(card),
        _rights(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(card: ModelCard) -> str:
    return (
        f"    genrekit predict --model {card.name} song.mp3\n\n"
        f"It knows {len(card.labels)} labels: {', '.join(card.labels)}."
    )


def _measured(card: ModelCard) -> str:
    if not card.metrics:
        return "## Measured\n\nNothing was measured."
    headers = "data", "split", "tracks", "level", "accuracy", "macro recall", "macro F1", "ECE"
    measured = table(headers, [_metrics_row(metrics) for metrics in card.metrics])
    note = "Brackets: 95 % intervals. ECE: expected calibration error."
    classes = [_per_class(metrics) for metrics in card.metrics]
    return "\n\n".join(["## Measured", measured, note, *_cautions(card.metrics), *classes])


def _metrics_row(metrics: Metrics) -> list[str]:
    groups = f" of {metrics.n_artist_groups} artist groups" if metrics.n_artist_groups else ""
    return [
        metrics.data,
        metrics.split,
        f"{metrics.n_tracks}{groups}",
        metrics.level.replace("_", " "),
        metrics.accuracy.percent(" %"),
        metrics.macro_recall.percent(" %"),
        metrics.macro_f1.percent(" %"),
        metrics.expected_calibration_error.percent(" %"),
    ]


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(("genre", "n"), [("jazz", "3")]))
    | genre | n |
    |---|---|
    | jazz | 3 |
    """
    first, *others = (f"| {' | '.join(cells)} |" for cells in (headers, *rows))
    return "\n".join([first, "|" + "---|" * len(headers), *others])


def _cautions(measured: Iterable[Metrics | LeakRow]) -> list[str]:
    """Return a caution for each measurement on few artist groups."""
    return [f"{its.split}: {its.caution}." for its in measured if its.caution]


def _per_class(metrics: Metrics) -> str:
    recalls = ", ".join(
        f"{label} {100 * value:.0f} %{_of(metrics.n_per_class.get(label))}"
        for label, value in metrics.per_class_recall.items()
    )
    weakest = sorted(metrics.per_class_recall.items(), key=lambda item: item[1])[:N_WEAKEST]
    named = ", ".join(f"{label} ({100 * value:.0f} %)" for label, value in weakest)
    return f"Recall per label on {metrics.split}: {recalls}. Weakest: {named}."


def _of(n_tracks: int | None) -> str:
    return "" if n_tracks is None else f" of {n_tracks}"


def _calibrated(card: ModelCard) -> str:
    """Return how well the probabilities are calibrated, if it was measured."""
    parts = []
    for metrics in card.metrics:
        if metrics.uncalibrated_error:
            parts.append(
                f"Expected calibration error on {metrics.split}, n = {metrics.n_tracks}: "
                f"{metrics.uncalibrated_error.percent(' %')} before, "
                f"{metrics.expected_calibration_error.percent(' %')} after."
            )
        if metrics.abstention:
            rows = [
                [
                    f"{100 * its.promised_precision:.0f} %",
                    "-" if its.threshold is None else f"{its.threshold:.2f}",
                    "-" if its.precision is None else its.precision.percent(" %"),
                    its.coverage.percent(" %"),
                ]
                for its in metrics.abstention
            ]
            parts.append(table(("promised precision", "threshold", "reached", "coverage"), rows))
    return "\n\n".join(["## Calibration and abstention", *parts]) if parts else ""


def _music_gate(card: ModelCard) -> str:
    if card.music_gate is None:
        return ""
    return (
        "## Music or not\n\nSegments that sound like speech, noise or effects do not vote, and a "
        "file of them gets no genre: a logistic regression on the embedding finds them. "
        f"It was fitted on {card.music_gate.fitted_on}."
    )


def _leak_meter(meter: LeakMeter | None) -> str:
    if meter is None:
        return ""
    rows = [
        [
            row.split,
            f"{row.n_tracks} of {row.n_artist_groups} artist groups",
            row.segment_accuracy.percent(" %"),
            row.accuracy.percent(" %"),
            "" if row.difference is None else row.difference.points(" points"),
        ]
        for row in meter.rows
    ]
    headers = "split", "test tracks", "by segment", "by track", f"against {meter.honest}"
    text = (
        f"The recipe {meter.recipe}, trained on {meter.data} under each split: only the split "
        "differs. LEAKY: parts of the test tracks were trained on."
    )
    return "\n\n".join(["## Leak meter", text, table(headers, rows), *_cautions(meter.rows)])


def _robustness(robustness: Robustness | None) -> str:
    if robustness is None:
        return ""
    rows = [
        [its.name, its.accuracy.percent(" %"), its.agreement.percent(" %")]
        for its in robustness.changes
    ]
    text = (
        f"The {robustness.changes[0].n_tracks} tracks of {robustness.data}, {robustness.split}, "
        "with changed audio."
    )
    changed = table(("change", "accuracy", "same label"), rows)
    return "\n\n".join(["## Robustness", text, changed])


def _training(card: ModelCard) -> str:
    lines = ["## Trained on", ""]
    data = card.training_data
    if data is None:
        lines.append("Nothing: the weights are not trained.")
    else:
        counts = ", ".join(f"{n} {part}" for part, n in data.n_tracks.items())
        lines.append(f"{data.dataset}, split {data.split} ({counts}).")
        if data.n_per_class:
            lines.append(f"Tracks: {', '.join(f'{k} {n}' for k, n in data.n_per_class.items())}.")
        if data.split_sha256:
            lines.append(f"Split sha256: `{data.split_sha256}`.")
    if card.initial_weights:
        lines.append(f"Initial weights: {card.initial_weights}.")
    if card.training_cost:
        lines.append(f"Cost: {card.training_cost}.")
    return "\n".join(lines)


def _input(card: ModelCard) -> str:
    spec, calibration = card.segments, card.calibration
    track = f", of the track {calibration.track_temperature:g}"
    track = "" if calibration.track_temperature == 1 else track
    bias = ", with a bias per label" if calibration.bias else ""
    fitted = f", fitted on {calibration.fitted_on}" if calibration.fitted_on else ""
    only = spec.first_seconds
    start = f"Only the first {only:g} s of a track are used. " if only else ""
    images = {
        "none": "",
        "published": "It draws them like the images published with GTZAN, and takes those too. ",
        "other": "It takes only images of unknown origin, and no audio. ",
    }[card.images]
    return (
        "## Input and output\n\n"
        f"Segments of {spec.segment_seconds:g} s, one every {spec.segment_hop_seconds:g} s. "
        f"{start}{images}{' '.join(map(_view, card.views))} "
        f"Segments are aggregated by {card.aggregation.replace('_', ' ')}; temperature "
        f"{calibration.temperature:g}{track}{bias}{fitted}.\n"
        f"sha256 of model.onnx: `{card.onnx_sha256}`."
    )


def _view(view: View) -> str:
    spec = view.features
    level = f", brought to {spec.level_db:g} dB" if spec.level_db is not None else ""
    return (
        f"Input `{view.name}`: {spec.kind} at {spec.sample_rate} Hz ({spec.n_bins} x "
        f"{spec.n_frames}; n_fft {spec.n_fft}, hop {spec.hop_length}){level}."
    )


def _unfit(card: ModelCard) -> str:
    if not card.unfit_for:
        return ""
    return "## Unfit for\n\n" + "\n".join(f"- {use}" for use in card.unfit_for)


def _rights(card: ModelCard) -> str:
    citation = f"\n\nCite: {card.citation}" if card.citation else ""
    return f"## Licence\n\n{card.license}{citation}"
