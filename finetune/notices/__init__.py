"""Exchange notices of an invented market, Chinese and English, with the fields that stand in them.

`python -m finetune.notices data_cards/notices` writes the files of the cards `notices_zh` and `notices_en`. Standard library only,
deterministic: the same bytes each time.
"""
