"""An invented market: what is true in it (almanac), text that tells of it (corpus), and questions about it (exam).

`python -m finetune.market data_cards/demo` writes the demo's files. Standard library only, deterministic.
"""
