"""Language codes: this project's are ISO 639-1, with a script where one language has two."""

from __future__ import annotations

from functools import lru_cache

#: code, Tesseract's name, other names that users write
_LANGUAGES = """
af afr | ar ara | as asm | az aze | be bel | bg bul | bn ben | bs bos | ca cat | cs ces cze
cy cym | da dan | de deu ger german | el ell gre | en eng english | eo epo | es spa spanish
et est | eu eus | fa fas per | fi fin | fr fra fre french | ga gle | gl glg | he heb iw | hi hin
hr hrv | hu hun | hy hye | id ind | is isl | it ita | ja jpn jp japan japanese | ka kat | kk kaz
km khm | kn kan | ko kor kr korean | ku kmr | la lat | lb ltz | lo lao | lt lit | lv lav | mi mri
mk mkd | mn mon | mr mar | ms msa | mt mlt | my mya | ne nep | nl nld dut | no nor nb | oc oci
pl pol | pt por | qu que | rm roh | ro ron rum | ru rus russian | sk slk | sl slv | sq sqi
sr srp rs_cyrillic | sr-latn srp_latn rs_latin | sv swe | sw swa | ta tam | te tel | tg tgk tjk
th tha | tl fil | tr tur | ug uig | uk ukr | ur urd | uz uzb | vi vie
zh chi_sim ch cn ch_sim zh-cn zh-hans zho chinese | zh-hant chi_tra ch_tra zh-tw zh-hk chinese_cht
"""


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """Return (any name → code, code → Tesseract's name)."""
    codes: dict[str, str] = {}
    tesseract: dict[str, str] = {}
    for entry in _LANGUAGES.replace("\n", "|").split("|"):
        names = entry.split()
        if not names:
            continue
        code = names[0]
        tesseract[code] = names[1]
        codes.update(dict.fromkeys(names, code))
    return codes, tesseract


def language_code(name: str) -> str:
    """Return this project's code for a language name; a name that is not known stays as it is."""
    return _tables()[0].get(name.strip().lower(), name.strip())


def parse_languages(text: str) -> tuple[str, ...]:
    """Return the codes of a list such as `en,ja` or `eng+jpn`, each once, in order."""
    names = text.replace("+", ",").split(",")
    return tuple(dict.fromkeys(language_code(name) for name in names if name.strip()))


def tesseract_name(code: str) -> str | None:
    """Return Tesseract's name of a code, None where the project knows none."""
    return _tables()[1].get(code)
