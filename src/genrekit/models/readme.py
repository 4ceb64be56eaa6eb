"""Write a model folder's README.md from its card, so that the two cannot disagree."""

from __future__ import annotations

from genrekit.models.card import Interval, Metrics, ModelCard


def write(card: ModelCard) -> str:
    """Return the card as a Markdown page."""
    parts = [
        f"# {card.name} {card.version}",
        card.description,
        _usage(card),
        _measured(card),
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
    rows = [
        "| data | split | tracks | level | accuracy | macro recall | macro F1 | ECE |",
        "|---|---|---|---|---|---|---|---|",
        *(_metrics_row(metrics) for metrics in card.metrics),
    ]
    note = "Brackets: 95 % intervals. ECE: expected calibration error."
    classes = [_per_class(metrics) for metrics in card.metrics]
    return "\n\n".join(["## Measured", "\n".join(rows), note, *classes])


def _metrics_row(metrics: Metrics) -> str:
    cells = [
        metrics.data,
        metrics.split,
        str(metrics.n_tracks),
        metrics.level.replace("_", " "),
        _percent(metrics.accuracy),
        _percent(metrics.macro_recall),
        _percent(metrics.macro_f1),
        _percent(metrics.expected_calibration_error),
    ]
    return f"| {' | '.join(cells)} |"


def _percent(interval: Interval) -> str:
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.value:.1f} % [{low:.1f}, {high:.1f}]"


def _per_class(metrics: Metrics) -> str:
    recalls = ", ".join(f"{k} {100 * v:.0f} %" for k, v in metrics.per_class_recall.items())
    return f"Recall per label on {metrics.split}: {recalls}."


def _training(card: ModelCard) -> str:
    lines = ["## Trained on", ""]
    data = card.training_data
    if data is None:
        lines.append("Nothing: the weights are not trained.")
    else:
        counts = ", ".join(f"{n} {part}" for part, n in data.n_tracks.items())
        lines.append(f"{data.dataset}, split {data.split} ({counts}).")
        lines.append(f"Split sha256: `{data.split_sha256}`.")
    if card.initial_weights:
        lines.append(f"Initial weights: {card.initial_weights}.")
    if card.training_cost:
        lines.append(f"Cost: {card.training_cost}.")
    return "\n".join(lines)


def _input(card: ModelCard) -> str:
    spec = card.features
    size = f"{spec.n_bins} x {spec.n_frames}"
    calibration = card.calibration
    fitted = f", fitted on {calibration.fitted_on}" if calibration.fitted_on else ""
    return (
        "## Input and output\n\n"
        f"Segments of {spec.segment_seconds:g} s at {spec.sample_rate} Hz as {spec.kind} ({size}; "
        f"n_fft {spec.n_fft}, hop {spec.hop_length}), one every {spec.segment_hop_seconds:g} s. "
        f"Segments are joined by {card.aggregation.replace('_', ' ')}; temperature "
        f"{calibration.temperature:g}{fitted}.\n"
        f"sha256 of model.onnx: `{card.onnx_sha256}`."
    )


def _unfit(card: ModelCard) -> str:
    if not card.unfit_for:
        return ""
    return "## Unfit for\n\n" + "\n".join(f"- {use}" for use in card.unfit_for)


def _rights(card: ModelCard) -> str:
    citation = f"\n\nCite: {card.citation}" if card.citation else ""
    return f"## Licence\n\n{card.license}{citation}"
