"""Tagging: plan genres for a library, apply the plan, undo it."""
