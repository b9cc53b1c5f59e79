"""A verdict for people: `render` makes the page, `table` the summary for the terminal."""

from eval.report.page import render
from eval.report.summary import table

__all__ = ["render", "table"]
