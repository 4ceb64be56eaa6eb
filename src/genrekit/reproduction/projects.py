"""The source projects, in a line each."""

from __future__ import annotations

SOURCES = {
    "S0": "GTZAN's published images through ImageNet's ResNet34 and ResNet50 with fastai, and a "
    "logistic regression and a neural network written from scratch",
    "S1": "GTZAN with Keras: VGG16 transfer, CNNs on images and on mel spectrograms, and a scaled "
    "MLP with k-fold and grid search on the feature table",
    "S2": "FMA-small with fastai: DenseNet-121/161/201 and EfficientNet-B3 on images of dB "
    "spectrograms cut in ten, LR finder, one cycle, AdaBound, freezing and voting",
    "S3": "the first three seconds of GTZAN's tracks with PyTorch: a CNN and ResNet18 with one "
    "cycle, weight decay and gradient clipping",
    "S4": "GTZAN by a CNN and by ResNet18 with and without ImageNet weights, over 30 s and 3 s, on "
    "the mel and the dB scale, with two votes, and XGBoost on the feature tables",
    "comparison": "the classic estimators on the same feature tables, for comparison",
}


def described(source: str) -> str:
    """Return the source's short name with what it is."""
    return f"**{source}**: {SOURCES[source]}" if source in SOURCES else f"**{source}**"
