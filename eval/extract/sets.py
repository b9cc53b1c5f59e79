"""What names a set of letters only where a set is asked for: A/C, and all options but some.

Where one letter is asked for, A/C leaves two open, and "all but D" may mean that D is the one.
"""

import re
from collections.abc import Iterator

from eval.extract.listing import LETTERS
from eval.extract.mentions import mentions
from eval.extract.passages import HAN

PARTED = re.compile(  # not in an A/B test, N/A or a ratio
    r"(?<![A-Za-z0-9/|.+=^率比值-])(?<![=/率比值] )(?<!ratio )(?<!ratio of )(?<!either )(?<!aybe )(?<!可能是)"
    r"[A-J](?:(?: ?/ ?|\|)[A-J]){1,9}"
    r"(?=[\"')\]】}]*(?:项|选项)?[ \t]*(?:$|[,;:。!\n、(]|\.(?:\s|$)|[都均皆]|正确|对(?![于应])|符合|或|还是"
    r"|(?:are|both|all|or)(?![a-z])))"
)
SOME = (
    r"[\"'(\[【]?(?:选项|options? |choices? |answers? )?[\"'(\[【]?"
    r"((?-i:[A-J](?:(?:[,、/]| ?(?:和|与|及|and) ?| ){0,3}[A-J]){0,8}))[\"')\]】]?(?:[两二三]?项|选项)?"
)
REST = r"(?:其余|其他|其它|剩下)"
EACH = rf"(?:{REST}|以上|上述|[都均皆全是为才的,、 ]|选项|各项|所有|全部|[两三几][项个]|说法|表述)*"
RIGHT = r"(?:正确|对(?![于应])|符合|成立|应选|入选|当选|选(?![错项]))"
REMAIN = (
    r"(?:all )?(?:the )?(?:rest|others?|remaining(?: ones| options| statements)?"
    r"|other (?:three|two|options|statements|choices))(?: three| two| options| statements| choices)?"
)
OTHERS = re.compile(
    rf"除了?{SOME}(?:以外|之外|外|(?=[,、 ]{{0,2}}{REST})){EACH}(?:应|当|可|要)*{RIGHT}"
    rf"|{SOME}(?:[是为都均则]|说法|表述)*(?:错误?|不正确|不对|有误|不选|不符合(?:题意)?)的?[,;、。]"
    rf" ?[而但]?{REST}{EACH}{RIGHT}"
    r"|(?<![a-z])(?:all|every(?:thing|one| option| choice| statement)?|each)(?: of)?"
    r"(?: (?:the|these|them|above|following|options?|choices?|statements?|answers?|is|are|correct|true|apply)){0,6}"
    rf",? (?:except|but|save|other than|apart from|excluding|with the exception of)(?: for)? {SOME}"
    r"(?=[\"')\]}.,;!\n]|$| (?:is |are )?(?:all )?(?:correct|right|true|valid|apply|applies|hold))"
    rf"|(?<![a-z])(?:except|apart from|other than)(?: for)? {SOME},? (?:all|every(?:thing)?|{REMAIN})"
    r"(?: (?:of )?(?:the|options|statements|choices|others?)){0,2} (?:are|is) (?:all )?(?:correct|right|true)"
    rf"|(?<![A-Za-z]){SOME} (?:is|are) (?:wrong|incorrect|false|not correct|not true)[,;.] ?(?:and |but |while )?"
    rf"{REMAIN} (?:are|is) (?:all )?(?:correct|right|true)",
    re.I,
)
SAID = r"(?=[\"')\]】}]*(?:$|[,;。!\n]|\.(?:\s|$)))"  # and nothing else
EVERY = re.compile(
    r"(?:(?:以上|上述)(?:[四五]个|所有|各个?|全部)?(?:选项|说法|表述|各项|[四五]项)?|(?:各个|所有|全部|这?[四五]个)选项|[四五]项)"
    rf"(?:说法|表述)?(?:[都均皆全是]|全部)+{RIGHT}"
    rf"|(?<![{HAN}])(?:(?:答案|应)?[是为选]?(?:全选|全部选|全部正确|(?:以上|上述)(?:[都均全]|全部)(?:对|是))){SAID}"
    r"|(?:^|(?<=[:\n({\"*])|(?<= is)|(?<=[.,]))\s?all (?:of )?(?:the )?"
    r"(?:(?:above|(?:four |five )?(?:options|choices|answers|statements))(?: above)?|four|five)"
    rf"(?: (?:are )?(?:all )?(?:correct|right|true|valid|apply)(?![a-z])|{SAID})",
    re.I,
)
DENIED = re.compile(
    r"(?:不是|并非|不(?:认为|觉得)|是否|如果|n't|(?<![a-z])(?:not|if|whether|never)(?![a-z]))[^,。;.!?\n]{0,24}$", re.I
)
TURNED = re.compile(r"[\"')\]】., ]*(?:吗|\?|(?:is|are|was)?[ ,]*(?:错|不|wrong|incorrect|false|not(?![a-z])))", re.I)


def spelled(text: str, count: int) -> str:
    """The text with A/C written as A、C."""
    return PARTED.sub(lambda found: _parted(found[0], count), text)


def _parted(written: str, count: int) -> str:
    letters = re.findall("[A-J]", written)
    fits = len(set(letters)) == len(letters) and set(letters) <= set(LETTERS[:count])
    return "、".join(letters) if fits else written


def left(text: str, count: int) -> str:
    """The letters of all options, or of all but those that are left out, where nothing else is said of any; else ""."""
    out = set(_left_out(text))
    return _but(out.pop(), text, count) if len(out) == 1 else ""


def _but(without: str, text: str, count: int) -> str:
    """The letters of all options `without` some; "" where one of these is affirmed, or another denied."""
    rest = "".join(letter for letter in LETTERS[:count] if letter not in without)
    for one in mentions(text, count):
        if one.open or (one.right and set(one.letters) & set(without)) or (one.wrong and set(one.letters) & set(rest)):
            return ""
    return rest if 1 < len(rest) == count - len(without) else ""


def _left_out(text: str) -> Iterator[str]:
    """The letters that each such phrase leaves out; where it is denied, what no letter is."""
    for found in list(OTHERS.finditer(text)) or EVERY.finditer(text):
        letters = "".join(sorted(set(re.findall("[A-J]", next(filter(None, found.groups()), "")))))
        yield "?" if _taken_back(found) else letters


def _taken_back(found: re.Match[str]) -> bool:
    """Whether it is denied, supposed or asked."""
    before = DENIED.search(found.string, max(0, found.start() - 40), found.start())
    return bool(before or TURNED.match(found.string, found.end()))
