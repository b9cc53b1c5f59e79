"""Values of slots: rates, fees and dates are compared, and not how they are written."""

import pytest

from eval.extract.fields import NOTICES

VALUES = {
    "margin_rate": [
        ("百分之八", "8%"), ("８％", "8%"), ("0.08", "8%"), ("8", "8%"), (8, "8%"), (0.125, "12.5%"), ("8.00%", "8%"),
        ("由8%调整为10%", "10%"), ("10%（原为8%）", "10%"), ("from 8% to 10%", "10%"), ("10 per cent", "10%"),
        ("8%或10%", "?8%或10%"), ("—", None), ([], None), ("null", None),
    ],
    "price_limit": [("±5%", "5%"), ("上一交易日结算价的±百分之五点五", "5.5%"), ("不变", None)],
    "fee": [
        ("3元/手", "3/lot"), ("每手3元", "3/lot"), ("CNY 3.50 per lot", "3.5/lot"), ("3", "3/lot"), (3, "3/lot"),
        ("成交金额的万分之0.5", "0.005%"), ("万分之零点五", "0.005%"), ("0.5‱", "0.005%"), ("0.005%", "0.005%"),
        ("0.5 bp of turnover", "0.005%"), ("0.5 per ten thousand of turnover", "0.005%"), ("three", "?three"),
        ("无", None), (None, None), ("N/A", None), ("未提及。", None),
    ],
    "effective_date": [
        ("2026年3月5日", "2026-03-05"), ("二〇二六年三月五日", "2026-03-05"), ("2026/3/5", "2026-03-05"),
        ("二零二六年十二月三十一日", "2026-12-31"), ("20260305", "2026-03-05"), ("2026.03.05", "2026-03-05"),
        ("March 5th, 2026", "2026-03-05"), ("5 March 2026", "2026-03-05"), ("Sept. 5, 2026", "2026-09-05"),
        ("自2026年3月5日（星期四）结算时起", "2026-03-05"), ("2026-02-30", "?2026-02-30"), ("(not stated)", None),
        ("2026-03-05 or 2026-03-06", "?2026-03-05 or 2026-03-06"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("slot", "written", "value"), [(slot, *each) for slot, table in VALUES.items() for each in table]
)
def test_values_are_compared_and_not_their_writing(slot, written, value):
    assert NOTICES.value(slot, written) == value
