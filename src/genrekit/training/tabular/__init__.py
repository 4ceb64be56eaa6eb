"""Models on hand-crafted features: scikit-learn estimators, written as ordinary model folders."""
