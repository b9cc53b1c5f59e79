"""Where people already look: a summary in Markdown, JUnit XML, and drift against an earlier verdict."""

from eval.outlets.baseline import Baseline, Change, drift
from eval.outlets.brief import brief
from eval.outlets.junit import junit

__all__ = ["Baseline", "Change", "brief", "drift", "junit"]
