"""Where an answer commits: its text without typography, its boxes, announcements, conclusions and sentences.

What stands in a box or a tag was meant as the answer; then what the text announces ("答案是", "the answer is", "I
choose", "更正："), where the last announcement wins over those it revises; then what it concludes. An announcement that
is denied ("答案不是") or supposed ("如果答案是") is none.
"""

import re
import unicodedata
from collections.abc import Iterator

HAN = "\u3400-\u9fff"
OPENING = r"[\s\"'(\[{<【】)\]《「*:_$=#~≈]*"  # what may stand between an announcement and what it announces
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
TYPOGRAPHY = (  # order matters; every pattern runs in linear time
    (re.compile(r"(?<=[0-9])\s?[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))"), ""),  # 1 234 with a fixed blank
    (re.compile(r"(?<=[０-９])，(?=[０-９]{3}(?![０-９]))"), ","),
    (re.compile("，"), ", "),  # a Chinese comma parts numbers, and never thousands
    (re.compile("[\u200b-\u200d\u2060\ufe0e\ufe0f\ufeff]"), ""),
    (re.compile(r"([¼-¾⅐-⅞])\1{3,}"), r"\1\1\1"),  # an answer that loops in them is no longer to read than others
    (re.compile(r"[¼-¾⅐-⅞]"), lambda m: " " + unicodedata.normalize("NFKC", m.group()).replace("\u2044", "/")),
    (re.compile(r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"), lambda m: "^" + m.group().translate(SUPERSCRIPTS)),
)
LATEX = (
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|bf|rm|mbox)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\([%$&#_])"), r"\1"),
    (re.compile(r"\\(?:times|cdot)(?![a-z])"), "×"),
    (re.compile(r"\\approx(?![a-z])"), "≈"),
    (re.compile(r"\\checkmark(?![a-z])"), "✓"),
    (re.compile(r"\\[dt]frac(?![a-z])"), r"\\frac"),
    (re.compile(r"\\(?:left|right|displaystyle|quad)(?![a-z])"), ""),
    (re.compile(r"\\[,!;: ]"), ""),
    (re.compile(r"\\[()\[\]]"), " "),
)
PLAIN = (
    (re.compile("[‐‑−﹣]"), "-"),
    (re.compile("[“”„「」『』]"), '"'),
    (re.compile("[‘’]"), "'"),
    (re.compile(r"\*\*|__|`|~~"), ""),
    (re.compile(r"\r\n?"), "\n"),
    (re.compile(r"[ \t]{5,}"), "    "),  # an answer that loops in blanks or lines is no longer to read than others
    (re.compile(r"(?:[ \t]*\n){4,}"), "\n\n\n"),
)
BRACES = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{|[{}]")
TAGGED = re.compile(r"<(answer|答案)>([^<]*)</\1>", re.I)
FOR = r"\s+(?:to|for|of)(?:\s+[\w'-]+){1,4}?"  # the answer to this question is
# Whole words: the answer "BE" is two letters of options.
IS = r"(?:(?:should be|would be|must be|will be|has to be|is|are|was|were|be)(?![A-Za-z])|=|:)"
ANNOUNCED = re.compile(
    r"(?P<strong>"
    r"(?:答案|答|结论|更正|纠正|修正|改正)(?:应该|应当|应|便|就|还|可能|大概)*(?:改)?(?P<denied>并?不|并非)?(?:选择|选|是|为)?"
    r"\s*[\"']?\s*[:=]?"
    rf"|(?:故|我|因此|所以|综上|应该|应当|应|须|可|则|就|改|正确)?(?<![不勿别未没非再误错])(?<!不[应能可会要该得宜])(?<!不应该)(?:选择|选(?!项))(?:的?答案)?(?:的?是|为)?\s*:?"
    r"|(?:其实|实际上|而|应该|应当|应|确切地说)(?:就)?[是为]\s*:?"
    r"|(?<![不能法以可])(?:判断|判定)(?:结果)?应?(?:为|[:=])\s*:?"
    rf"|(?<![{HAN}A-Za-z])是(?![{HAN}])\s*:?"
    rf"|(?<![a-z])(?:answers?|correction|corrected)(?![a-z])[\"']?(?:{FOR}\s+{IS}|\s*(?:{IS}\s*)*)(?P<denied_en>(?:n't|\s*not)(?![a-z]))?\s*"
    r"|(?<![a-z])(?:i|we|i'd|i'll|would|will|must|should|to|and|so|then|therefore|,|\.|:|^)\s*"
    r"(?:choose|chose|pick|picked|select|selected|go with|went with|opt for|settle on)(?![a-z])\s*:?"
    r"|(?<![a-z])(?:i'd|i would|i'll) say(?![a-z])(?: that)?\s*:?"
    r"|(?<![a-z])(?:actually|rather|instead|no|wait|but),?\s+(?:it's|it is|it should be|this is|that is)"
    r"(?![a-z])(?!\s+not)"
    r")"
    r"|(?P<weak>(?:正确|错误|合适|符合题意|恰当|准确|不属于|属于|成立|不正确|不恰当|有误|最佳)的?(?:选项|一项|说法|表述)?(?:(?:应该|应)?[是为有]\s*:?|(?<=选项)(?:如下)?\s*:)"
    rf"|(?<![a-z])(?:correct|right|best|false|incorrect|wrong)\s+(?:one|option|choice|statement|label)s?\s*{IS}\s*)",
    re.I | re.M,
)
REVISED = re.compile(  # before an announcement, in its line: it was held at first only, or is of the wrong answers
    r"(?:(?:错误|错的|不正确)的?|(?<![a-z])(?:wrong|incorrect|false)[ \t]*"
    r"|(?:起初|起先|最初|一开始|刚开始|原先|原本|(?<![首事优率预领争])先)[^,。;.!?\n]{0,8}"
    r"|(?<![a-z])(?:at first|initially|originally|my first)(?![a-z])[^,。;.!?\n]{0,16})\Z",
    re.I,
)
SUPPOSED = re.compile(
    r"(?:如果|假如|假设|假定|倘若|若|要是|是否|无论|不管)[^,。;.!?\n]{0,12}$"
    r"|不(?:认为|觉得|相信)[^,。;.!?\n]{0,12}$"
    r"|(?<![a-z])(?:i|we) (?:do not|don't|cannot|can't) (?:think|believe)(?![a-z])"
    r"[^,。;.!?\n]{0,24}$"
    r"|(?<![a-z])(?:if|suppose|assuming|whether|unless|had|were)(?![a-z])[^,。;.!?\n]{0,24}$",
    re.I,
)
CONCLUDED = re.compile(
    r"(?:因此|所以|因而|综上(?:所述)?|由此可见|由此可知|可见|总之|综合来看|故)[,:]?"
    r"|(?<![a-z])(?:therefore|thus|hence|so|consequently|in conclusion|in summary|overall|in short)(?![a-z]),?",
    re.I,
)
FORM = re.compile(  # what may stand before an answer in the form that was asked for
    r"^(?:(?:最终|正确)?(?:答案|标签|类别|关系|情感)(?:是|为)?\s*:?|(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|label)(?:\s+is)?\s*:?)\s*",
    re.I,
)
END = re.compile(r"[。;!?\n]|\.(?=\s|$)")
MOST, REACH = 40, 400  # announcements looked at, and characters after each: answers that loop stay cheap
SEVERAL = re.compile(r"\s*(?:项|选项)?[\"')\]】]*\s*(?:或者?|还是|抑或|/|or(?![a-z]))\s*", re.I)


def clean(text: str) -> str:
    """NFKC, half-width, without LaTeX and Markdown dress. Linear in the text's length."""
    for pattern, instead in TYPOGRAPHY:
        text = pattern.sub(instead, text)
    text = unicodedata.normalize("NFKC", text)
    for pattern, instead in (*LATEX, *LATEX[:1], *PLAIN):  # dress within dress, once
        text = pattern.sub(instead, text)
    return text.strip()


def boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of every `\\boxed{...}` and `<answer>...</answer>`, in the order of their ends."""
    found, begun = [], []
    for brace in BRACES.finditer(text):
        if brace.group() != "}":
            begun.append((brace.start(), brace.end()) if len(brace.group()) > 1 else None)
        elif begun and (opened := begun.pop()) is not None:
            found.append((opened[0], brace.end(), text[opened[1] : brace.start()].strip()))
    found += [(tag.start(), tag.end(), tag[2].strip()) for tag in TAGGED.finditer(text)]
    return sorted(found, key=lambda box: box[1])


def announcements(text: str, *, weak: bool = False) -> Iterator[str]:
    """What follows each announcement, the last first; `weak`: "正确的是", of which there may be two that differ."""
    for found in reversed(list(ANNOUNCED.finditer(text))[-MOST:]):
        begin, end = found.span()
        denied = found["denied"] or found["denied_en"] or REVISED.search(text, max(0, begin - 40), begin)
        if bool(found["weak"]) is weak and not denied and not SUPPOSED.search(text, max(0, begin - 40), begin):
            yield text[end : end + REACH]


def conclusions(text: str) -> Iterator[str]:
    """Sentences from a word of conclusion on, the last first."""
    for found in reversed(list(CONCLUDED.finditer(text))[-MOST:]):
        yield sentence(text[found.end() : found.end() + REACH])


def sentence(text: str) -> str:
    """The first sentence; blanks and blank lines before it do not end it."""
    text = text.lstrip()
    end = END.search(text)
    return text[: end.start()] if end else text


def sentences(text: str) -> list[str]:
    """The sentences that hold anything."""
    return [part.strip() for part in END.split(text) if part.strip(" \t\"'()[]*-")]
