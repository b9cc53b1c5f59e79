"""What makes a comparison invalid (decision.md 5.7): each gate from plain facts to passed, failed or not checked.

A required gate that failed makes the outcome INVALID, one that was not checked INCONCLUSIVE; the plan's makes it
EXPLORATORY. Advisory gates stand on the page and decide nothing; so does what is unresolved, unless it is
required.
"""

from eval.gates.advice import judge, merge_faithful, raised, serving_cost, token_budget, unchecked
from eval.gates.behaviour import TRUNCATED, UNPARSED, BlankFact, ChanceFact, below_chance, few, truncated, unparsed
from eval.gates.canary import CanaryFact, secrets_kept
from eval.gates.clean import CleanFact, clean_subset
from eval.gates.dated import DatedFact, dated, told
from eval.gates.gate import (
    ADAPTER_APPLIED,
    BASE_BELOW,
    BELOW_CHANCE,
    GUARD_QUESTIONS,
    PLAN,
    PROMPT_CONTENT,
    RAISABLE,
    SAME_QUESTIONS,
    TRUNCATED_NAME,
    UNKNOWN,
    UNPARSED_NAME,
    Gate,
    Words,
)
from eval.gates.heart import DropFact, known_by_heart
from eval.gates.identity import (
    AdapterFact,
    Asked,
    PlanFact,
    Regraded,
    adapter_applied,
    exam_unseen,
    plan,
    prompt_content,
    questions_of,
    same_questions,
)
from eval.gates.steady import batch_invariance, engine_parity, noise_floor

__all__ = [
    "ADAPTER_APPLIED",
    "BASE_BELOW",
    "BELOW_CHANCE",
    "GUARD_QUESTIONS",
    "PLAN",
    "PROMPT_CONTENT",
    "RAISABLE",
    "SAME_QUESTIONS",
    "TRUNCATED",
    "TRUNCATED_NAME",
    "UNKNOWN",
    "UNPARSED",
    "UNPARSED_NAME",
    "AdapterFact",
    "Asked",
    "BlankFact",
    "CanaryFact",
    "ChanceFact",
    "CleanFact",
    "DatedFact",
    "DropFact",
    "Gate",
    "PlanFact",
    "Regraded",
    "Words",
    "adapter_applied",
    "batch_invariance",
    "below_chance",
    "clean_subset",
    "dated",
    "engine_parity",
    "exam_unseen",
    "few",
    "judge",
    "known_by_heart",
    "merge_faithful",
    "noise_floor",
    "plan",
    "prompt_content",
    "questions_of",
    "raised",
    "same_questions",
    "secrets_kept",
    "serving_cost",
    "told",
    "token_budget",
    "truncated",
    "unchecked",
    "unparsed",
]
