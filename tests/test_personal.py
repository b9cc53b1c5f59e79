"""Personal data: found with its check digits, masked stably, and not seen in prices, codes and dates."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_lesson import rows, write_lesson
from typer.testing import CliRunner

from eval.cli import app
from eval.intake import check
from finetune.card.personal import Masker, find
from finetune.train.__main__ import main as train_main

# Made up: the numbers pass their checks, and belong to nobody that is known.
FOUND = [
    ("身份证号11010519491231002X，请核对", "resident_id", "11010519491231002X"),
    ("身份证：１１０１０５１９４９１２３１００２Ｘ。", "resident_id", "１１０１０５１９４９１２３１００２Ｘ"),
    ("ID 110105194912310021 was refused, 110105 19491231 002x was not", "resident_id", "110105 19491231 002x"),
    ("请汇到6222021234567890128。", "bank_card", "6222021234567890128"),
    ("card 4111 1111 1111 1111, expiry 12/27", "bank_card", "4111 1111 1111 1111"),
    ("卡号：8171999927660000", "bank_card", "8171999927660000"),
    ("联系人手机13812345678转", "phone", "13812345678"),
    ("请拨打 138-1234-5678 或", "phone", "138-1234-5678"),
    ("电话：021-58881234", "phone", "021-58881234"),
    ("（010）66518888 总机", "phone", "（010）66518888"),
    ("call +86 138 1234 5678 today", "phone", "+86 138 1234 5678"),
    ("ring +44 20 7946 0018 or write", "phone", "+44 20 7946 0018"),
    ("dial (212) 736-5000 for help", "phone", "(212) 736-5000"),
    ("发至 zhang.san+fin@mail.example.cn，谢谢", "email", "zhang.san+fin@mail.example.cn"),
    ("write to jo_lee@bank.co.uk.", "email", "jo_lee@bank.co.uk"),
    ("dial 212.736.5000 for help", "phone", "212.736.5000"),
    ("回电86-13812345678", "phone", "86-13812345678"),
    ("深圳 0755-8888 1234 转", "phone", "0755-8888 1234"),
    ("传真 021 62345678", "phone", "021 62345678"),
    ("客户的利润总额很高，手机13812345678", "phone", "13812345678"),
    ("資金帳號：10086012345", "fund_account", "10086012345"),
    ("股东卡号A123456789", "shareholder_account", "A123456789"),
    ("客戶編號 20118765", "client_number", "20118765"),
    ("资金账号：10086012345", "fund_account", "10086012345"),
    ("您的资金帐户为 8800123456 ，", "fund_account", "8800123456"),
    ("her trading account no. 88001234 was closed", "fund_account", "88001234"),
    ("股东账户A123456789今日", "shareholder_account", "A123456789"),
    ("股东代码: 0123456789", "shareholder_account", "0123456789"),
    ("资金账号（普通）：10086012345", "fund_account", "10086012345"),
    ("股东账户：沪A股A123456789", "shareholder_account", "A123456789"),
    ("资金账号：10086012345，100000元", "fund_account", "10086012345"),
    ("Securities account: A123456789, opened", "shareholder_account", "A123456789"),
    ("| 客户号 | 20118765 |", "client_number", "20118765"),
    ("<客户号>20118</客户号>", "client_number", "20118"),
    ("客户号 20118765 的持仓", "client_number", "20118765"),
    ("Customer ID: C1029384", "client_number", "C1029384"),
    ("张三,11010519491231002X,35,男", "resident_id", "11010519491231002X"),
    ("35,11010519491231002X", "resident_id", "11010519491231002X"),
    ("ID11010519491231002X", "resident_id", "11010519491231002X"),
    ("110105 1949 1231 002X", "resident_id", "110105 1949 1231 002X"),
    ("6222021234567890128,100", "bank_card", "6222021234567890128"),
    ("卡号100,6222021234567890128,500元", "bank_card", "6222021234567890128"),
    ("资金账号：10086012345,35", "fund_account", "10086012345"),
    ("姓名,年龄,客户电话,持仓\n张三,35,13812345678,12", "phone", "13812345678"),
    ("手机:13812345678.0", "phone", "13812345678"),
]
CLEAN = [
    "公司2023年实现营业收入13812345678元，同比增长12.5%。",
    "成交额 13912345678 股，成交金额人民币15812345678",
    "成交额13912345678，利润总额为 13500000000，total assets of 13812345678",
    "| 营业收入 | 13812345678 |",
    "净利润为1.3812345678亿元，资产总计138,123,456,78万元",
    "沪铜主力合约cu2405收于68520，螺纹钢RB2410跌至3512，沪深300股指期货IF2312报3421.8点",
    "证券代码600519，贵州茅台；基金代码 000001；ISIN US0378331005；CUSIP 037833100",
    "2023-12-31 14:30:05，流水号20231231143005123456，合同编号HT-2023-110105-0001",
    "统一社会信用代码91110000100003962T，发票号码24112000000012345678",
    "客服热线95588、400-888-8888，邮编100033",
    "revenue was $ 4111111111 and 13812345678 shares were outstanding at 12/31/2023",
    "total assets 1,381,234,567.80; EPS 3.14159265358979; ratio 0.6222021234567890128",
    "see note 212-2020 and item 10-2758-3421 of form 10-K for 2019 2020 2021 2022",
    "客户数量达到20118765户，客户号码段扩容；资金账户余额为1000000元",
    "股东账户A股共计，600519；客户号（见附表）略；资金账号-证券账户：未开立 2024",
    "资金账户(元) 500000；资金账户（万元）：120000；资金账户12345.67",
    "开立资金账户后，应在20日内；证券账户共12345678户",
    "身份证号110105194912310026不通过校验",
    "公告编号：临2023-045；债券代码 185123.SH；编号020-20231231",
    "0000000000000000 4444444444444444 62",
    "年份,营业收入,增长\n2023,13812345678,12.5\n2022,13912345678.05,9",
    "营业收入 13812345678.0",
]


@pytest.mark.parametrize(("text", "kind", "value"), FOUND)
def test_personal_data_is_found(text, kind, value):
    (found,) = [each for each in find(text) if each.kind == kind]
    assert text[found.start : found.end].strip("（") == value.strip("（")


@pytest.mark.parametrize("text", CLEAN)
def test_amounts_codes_and_dates_are_left_alone(text):
    assert [(each.kind, text[each.start : each.end]) for each in find(text)] == []


def test_the_accounts_of_a_shareholder_at_both_exchanges_are_found():
    said = Masker().mask("股东账户：上海A123456789，深圳0123456789；成交1234567890元")
    assert said == "股东账户：上海[SHAREHOLDER_ACCOUNT_1]，深圳[SHAREHOLDER_ACCOUNT_2]；成交1234567890元"
    said = Masker().mask("股东账户：A123456789，0123456789")
    assert said == "股东账户：[SHAREHOLDER_ACCOUNT_1]，[SHAREHOLDER_ACCOUNT_2]"
    said = Masker().mask("Securities account: A123456789, 0123456789, 1000000000 shares")
    assert said == "Securities account: [SHAREHOLDER_ACCOUNT_1], [SHAREHOLDER_ACCOUNT_2], 1000000000 shares"
    said = Masker().mask("股东账户A123456789、1000000000股")
    assert said == "股东账户[SHAREHOLDER_ACCOUNT_1]、1000000000股"


def test_one_number_has_one_placeholder():
    masker = Masker()
    said = masker.mask("手机13812345678或+86 138 1234 5678，另一部13912345678")
    assert said == "手机[PHONE_1]或[PHONE_1]，另一部[PHONE_2]"
    assert masker.mask("又打138-1234-5678", "备注") == "又打[PHONE_1]"
    assert masker.mask("10086012345", "资金账号") == "[FUND_ACCOUNT_1]"
    assert masker.counts == {"phone": 4, "fund_account": 1}


@given(st.text(st.sampled_from("0123456789 -+()@.,aX号手机卡元账资金"), max_size=60))
def test_what_is_masked_holds_nothing_any_more(text):
    masker = Masker()
    masked = masker.mask(text)
    assert sum(masker.counts.values()) == len(find(text))
    assert find(text) == [] or masked != text


# ---- files


def card(folder: Path, form: str, file: str, **front) -> Path:
    head = {
        "name": "own", "title": "t", "licence": {"name": "x", "commercial": True}, "languages": ["zh"],
        "published": False, "shape": "prompt_completion", "format": form, "splits": {"train": [file]}, **front,
    }  # fmt: skip
    (folder / "own.md").write_text(f"---\n{yaml.safe_dump(head, allow_unicode=True)}---\nProse.\n", "utf-8")
    return folder / "own.md"


def masked(path: Path, *words: str):
    return CliRunner().invoke(app, ["data", "check", str(path), "--mask", str(path.parent / "masked"), *words])


ROWS = [
    {"prompt": "客户手机13812345678", "completion": "已致电13812345678", "amount": 13812345678, "手机": 13812345678.0},
    {"prompt": "营业收入13812345678元", "completion": "增长", "amount": 1.5, "手机": None},
    {"prompt": "客户号：20118765", "completion": "张三 a@b.cn", "amount": 2, "手机": "13912345678"},
]


def test_a_jsonl_keeps_every_line_that_holds_nothing(tmp_path):
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    lines[1] = lines[1].replace(": ", " :  ")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    done = masked(card(tmp_path, "jsonl", "rows.jsonl"), "--json", str(tmp_path / "found.json"))
    assert done.exit_code == 0, done.output
    assert "masked: phone 4, client_number 1, email 1" in done.output
    kept = gzip.decompress((tmp_path / "masked/rows.jsonl.gz").read_bytes()).decode().split("\n")
    assert kept[1] == lines[1]
    assert json.loads(kept[0]) == {
        "prompt": "客户手机[PHONE_1]", "completion": "已致电[PHONE_1]", "amount": 13812345678, "手机": "[PHONE_1]",
    }  # fmt: skip
    assert json.loads(kept[2])["completion"] == "张三 [EMAIL_1]"
    (split,) = json.loads((tmp_path / "found.json").read_text("utf-8"))["splits"]
    assert split["personal"] == {"phone": ["0"], "client_number": ["2"], "email": ["2"]}
    again = check(tmp_path / "masked/own.md", None)
    assert (again.edition, again.faults, again.splits[0].personal) == ("masked", (), {})
    refused = masked(tmp_path / "own.md")
    assert (refused.exit_code, "is there already" in refused.stderr) == (2, True)
    for number in ("13812345678", "20118765", "a@b.cn"):
        assert number not in done.output + (tmp_path / "found.json").read_text("utf-8")


@pytest.mark.parametrize(("encoding", "ending"), [("utf-8-sig", "\r\n"), ("gb18030", "\n")])
def test_a_csv_keeps_encoding_mark_and_line_ends(tmp_path, encoding, ending):
    rows = ["prompt;completion;资金账号", '"手机13812345678;\n""问"";第二行";好;10086012345', "没有;好;"]
    (tmp_path / "rows.csv").write_bytes((ending.join(rows) + ending).encode(encoding))
    path = card(tmp_path, "csv", "rows.csv", reading={"encoding": encoding, "delimiter": ";"})
    assert masked(path).exit_code == 0
    raw = (tmp_path / "masked/rows.csv").read_bytes()
    rows[1] = '"手机[PHONE_1];\n""问"";第二行";好;[FUND_ACCOUNT_1]'
    assert raw == (ending.join(rows) + ending).encode(encoding)


def test_a_json_file_is_masked_deep_inside(tmp_path):
    turns = {
        "conversations": [{"from": "human", "value": "我的卡号6222021234567890128"}, {"from": "gpt", "value": "好"}]
    }
    (tmp_path / "rows.json").write_text(json.dumps({"data": [turns]}, ensure_ascii=False, indent=2), "utf-8")
    columns = {"reading": {"records": "data"}, "columns": {"messages": "conversations"}, "shape": "sharegpt"}
    assert masked(card(tmp_path, "json", "rows.json", **columns)).exit_code == 0
    written = (tmp_path / "masked/rows.json").read_text("utf-8")
    turns["conversations"][0]["value"] = "我的卡号[BANK_CARD_1]"
    assert written == json.dumps({"data": [turns]}, ensure_ascii=False, indent=2)


# ---- training


@pytest.fixture
def lesson(tmp_path, tiny):
    told = [*rows(12), {"prompt": "请回电13812345678，谢谢", "completion": "好的"}]
    return write_lesson(tmp_path, tiny("qwen2"), told, max_steps=1, evaluations=0, dev=0)


def test_training_on_personal_data_is_refused_without_saying_it(lesson, tmp_path, capfd):
    assert train_main([str(lesson), "--contender", "lora", "--out", str(tmp_path / "runs")]) == 2
    said = capfd.readouterr().err
    assert "data: rows#train:12: holds personal data (phone)" in said
    assert "allow_personal_data: <reason>" in said
    assert "13812345678" not in said
    assert len(said.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").rglob("adapter"))


@pytest.mark.parametrize("command", ["check", "run"])
def test_the_front_door_refuses_it_before_anything_is_written(lesson, tmp_path, command):
    told = CliRunner().invoke(app, [command, str(lesson), "--out", str(tmp_path / "front")])
    assert (told.exit_code, "holds personal data (phone)" in told.stderr) == (2, True)
    assert "13812345678" not in told.output
    assert not (tmp_path / "front").exists()


@pytest.mark.parametrize("broken", ["", "{", "[]", "null", '{"12": "phone"}'])
def test_a_broken_note_in_the_cache_hides_nothing(lesson, tmp_path, capfd, monkeypatch, broken):
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    arguments = [str(lesson), "--contender", "lora", "--out", str(tmp_path / "runs")]
    assert train_main(arguments) == 2
    (note,) = (tmp_path / "cache" / "personal").iterdir()
    whole = note.read_bytes()
    note.write_text(broken)
    assert train_main(arguments) == 2
    first, again = capfd.readouterr().err.strip().splitlines()
    assert first == again
    assert note.read_bytes() == whole


def test_a_reason_allows_it_and_masked_rows_need_none(lesson, tmp_path, capfd):
    out = ["--contender", "lora", "--out", str(tmp_path / "runs")]
    assert train_main([str(lesson), *out, "--set", "allow_personal_data=made up for a test"]) == 0
    assert "personal data in the rows is allowed: made up for a test" in capfd.readouterr().out
    assert (
        CliRunner().invoke(app, ["data", "check", str(tmp_path / "rows.md"), "--mask", str(tmp_path / "m")]).exit_code
        == 0
    )
    here = lesson.read_text("utf-8").replace("rows.md", "m/rows.md")
    (tmp_path / "masked.yaml").write_text(here, "utf-8")
    assert train_main([str(tmp_path / "masked.yaml"), *out]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("股东账户：A123456789，0123456789", "股东账户：[SHAREHOLDER_ACCOUNT_1]，[SHAREHOLDER_ACCOUNT_2]"),
        ("股东账户A123456789,0123456789,共2户", "股东账户[SHAREHOLDER_ACCOUNT_1],[SHAREHOLDER_ACCOUNT_2],共2户"),
        ("股东账户A123456789、1000000000股", "股东账户[SHAREHOLDER_ACCOUNT_1]、1000000000股"),
        ("手机13812345678，13912345678", "手机[PHONE_1]，[PHONE_2]"),
        ("手机13812345678，13912345678，13712345678", "手机[PHONE_1]，[PHONE_2]，[PHONE_3]"),
        ("是多少元？5125267130,3303571429,19687107296,B", "是多少元？5125267130,3303571429,19687107296,B"),
        ("资金账号10086012345，2024年开立", "资金账号[FUND_ACCOUNT_1]，2024年开立"),
        ("资金账户(元) 500000；资金账户（万元） 1,000,000", "资金账户(元) 500000；资金账户（万元） 1,000,000"),
    ],
)
def test_numbers_of_a_list_stand_behind_commas_and_amounts_stay(text, said):
    assert Masker().mask(text) == said
