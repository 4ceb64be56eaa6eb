"""Models on hand-crafted features: scikit-learn estimators that end as the same model folder."""
