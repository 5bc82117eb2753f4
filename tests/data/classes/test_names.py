"""What class names say, and which class is taken as the crack."""
# ruff: noqa: RUF001

import logging
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from crackexp.config.overrides import as_typed
from crackexp.data.classes.names import choose_positive, meaning, meanings
from crackexp.utils.errors import DataError

CRACK = """
    crack|cracks|Cracked|CRACKED|cracking|positive|Positive|pos|with_crack|withCrack|WithCracks|crack_images
    hairline crack|concrete-cracks|ConcreteCrack|surfacecracks|microcracks|01_crack|crack2|crack_yes|fissured
    fractures|CD|CP|CW|C|yes|Riss|Risse|rissig|gerissen|Haarriss|mit Rissen|Längsriss|mit_Riß|fissure|fissuré
    fissures|avec fissure|béton fissuré|grieta|grietas|agrietado|con grietas|fisura|fisuras|rachadura|rachaduras
    com trinca|fissurado|crepa|crepe|con crepe|fessurato|scheur|scheuren|gescheurd|met_scheur|pęknięcie|pęknięty
    rysa|z rysami|trhlina|trhliny|prasklina|çatlak|ÇATLAK|çatlaklar|трещина|трещины|с трещиной|трещины_бетон
    тріщина|з тріщинами|裂缝|裂縫|有裂缝|裂纹|裂紋|ひび|ひび割れ|ヒビ|クラック|亀裂|균열|균열있음|크랙|شقوق|شق
    الشقوق|متشقق|दरार|दरारें|cracks_and_spalling
"""
UNDAMAGED = """
    no_crack|no crack|nocrack|NoCrack|NoCracks|noCrackImages|no_crack_images|without_crack|WithoutCracks
    withoutcrack|not_cracked|uncracked|Uncracked|UNCRACKED|un-cracked|noncracked|non-cracked|Non_Crack
    NonCracked|non crack|crackfree|crack_free|crack-free|CrackFree|free of cracks|crackless|crack_no|crack_none
    crack_absent|zero_cracks|negative|Negatives|neg|negative_crack|intact|sound|sound_concrete|ok|OK|okay|good
    healthy|normal|clean|background|undamaged|no_damage|no_defects|defect_free|good_no_cracks|nodefect
    nocrackimages|crackfreeimages|UD|UP|UW|U|no|0|keine Risse|kein_Riss|ohne_Riss|ohneRiss|ohne Riß|rissfrei
    rissefrei|Rissfrei|riss_frei|ungerissen|nicht gerissen|nicht_rissig|unbeschädigt|schadensfrei
    frei von Rissen|intakt|in Ordnung|gut|sans fissure|sans_fissures|non fissuré|nonfissuré|pas de fissure
    aucune fissure|béton sain|intacte|sin grietas|singrietas|sin_fisuras|no agrietado|libre de grietas
    ningún daño|sano|fondo|sem rachaduras|sem_fissura|não fissurado|nenhuma trinca|senza crepe|senzacrepe
    non fessurato|nessuna crepa|integro|geen scheur|geen_scheuren|zonder scheur|ongescheurd|scheurvrij
    onbeschadigd|bez pęknięć|bez_rys|brak pęknięć|niepęknięty|niespękany|nieuszkodzony|bez trhlin|nepopraskaný
    nepoškozený|çatlak yok|çatlaksız|ÇATLAKSIZ|çatlak_olmayan|çatlak değil|hasarsız|sağlam|без трещин|нет трещин
    без_трещины|бестрещин|неповрежденный|целый|фон|норма|без тріщин|немає тріщин|непошкоджений|无裂缝|無裂縫
    没有裂缝|沒有裂縫|无裂纹|未开裂|非裂缝|无损伤|完好|正常|背景|ひびなし|ひび割れなし|ひび割れ無し|ひび無し
    クラックなし|健全|異常なし|問題なし|無균열|무균열|비균열|균열없음|균열 없음|정상|배경|무손상|بدون شقوق
    بدون_شق|لا شقوق|غير متشقق|سليم|خلفية|बिना दरार|दरार नहीं|दरार रहित|ठीक|no_visible_cracks|crack__NO|wo_crack
"""
DAMAGE = """
    damaged|damage|spalling|corrosion|defective|rust_stains|not_ok|NOK|not_intact|abnormal|Abplatzung|beschädigt
    endommagé|dañado|danneggiato|beschadigd|uszkodzony|poškozený|hasarlı|повреждение|скол|пошкоджений|损伤|不良
    不合格|異常|손상|تلف|खराब
"""
NOTHING = """
    Walls|train|test|val|Decks|D|P|W|plain|other|Zebra|a|b|2|class_1|images|annotations|maybe_crack|crack_unsure
    mixed|rough|cracked_uncracked|crack no 5|Umriss|Grundriss|Abriss|Clarissa|rock|track|black|Beton|Umgebung
    photos 2023|unknown|no_label|joint|shadow|кирпич|стена|壁|墙面|벽|جدار|दीवार|wallnocrack
    crack_and_background|label|data|New folder|_|-|risk|unlabelled
"""


def names_of(text: str) -> list[str]:
    return [name.strip() for line in text.strip().splitlines() for name in line.strip().split("|")]


TABLE = [
    (name, said)
    for said, text in (("crack", CRACK), ("negative", UNDAMAGED), ("damage", DAMAGE), (None, NOTHING))
    for name in names_of(text)
]


@pytest.mark.parametrize(("name", "said"), TABLE)
def test_a_name_means_what_an_inspector_means_by_it(name: str, said: str | None) -> None:
    assert meaning(name) == said


def test_a_name_means_the_same_in_every_way_to_write_it_in_unicode() -> None:
    composed, apart = "fissur\u00e9", "fissure\u0301"
    assert meaning(composed) == meaning(apart) == "crack"
    assert meaning(f"non {composed}") == meaning(f"non {apart}") == "negative"


@pytest.mark.parametrize(
    ("names", "crack"),
    [
        (["with_crack", "without_crack"], "with_crack"),
        (["CD", "UD"], "CD"),
        (["no", "yes"], "yes"),
        (["keine Risse", "mit Rissen"], "mit Rissen"),
        (["\u65e0\u88c2\u7f1d", "\u6709\u88c2\u7f1d"], "\u6709\u88c2\u7f1d"),
        (["crack", "other"], "crack"),
        (["defect", "ok"], "defect"),
        (["hairline_crack", "intact"], "hairline_crack"),
    ],
)
def test_the_class_is_taken_where_the_names_leave_no_doubt(
    caplog: pytest.LogCaptureFixture, names: list[str], crack: str
) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_positive(names, None, Path("set")) == (crack,)
    assert (f"{crack} is taken" in caplog.text) is (crack not in ("crack", "defect"))


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (["crack_images", "walls"], "dataset.positive=crack_images"),
        (["with crack", "other"], "'dataset.positive=with crack'"),
        (["damaged", "ok"], "dataset.positive=damaged"),
        (["0", "1"], "'dataset.positive=\"1\"'"),
        (["\u88c2\u7e2b", "b"], "'dataset.positive=\"\u88c2\u7e2b\"'"),
        (["without_crack", "foo"], "dataset.positive=NAME"),
        (["Decks", "Walls"], "dataset.positive=NAME"),
        (["1", "2"], "dataset.positive=NAME"),
        (["crack", "with_crack"], "dataset.positive=NAME"),
        (["UD", "other"], "dataset.positive=NAME"),
        (["crack", "defect"], "dataset.positive=crack"),
        (["crack", "no_damage", "spalling"], "'dataset.positive=[crack,spalling]'"),
        (["Riss", "Wand", "ohne Riss"], "'dataset.positive=[Riss]'"),
        (["ok", "\u88c2\u7e2b", "\u640d\u50b7"], '\'dataset.positive=["\u88c2\u7e2b","\u640d\u50b7"]\''),
        (["Decks", "Pavements", "Walls"], "dataset.positive=[NAME,NAME]"),
        (["crack_a", "crack_b", "crack_c"], "dataset.positive=[NAME,NAME]"),
    ],
)
def test_else_the_question_proposes_what_the_names_support(names: list[str], proposed: str) -> None:
    with pytest.raises(DataError) as caught:
        choose_positive(names, None, Path("set"))
    message = str(caught.value)
    assert f" {proposed}. Received: dataset.positive=null" in message
    assert f"classes {', '.join(names)}" in message


def test_what_is_proposed_is_read_by_hydra_as_it_was_meant() -> None:
    for name in ["with crack", "1", "\u88c2\u7e2b", "a,b", "k=v", "null", 'say "crack"', "it's", "{a}"]:
        (word,) = shlex.split(as_typed("dataset.positive", name))
        assert OverridesParser.create().parse_override(word).value() == name
        (word,) = shlex.split(as_typed("dataset.positive", [name, "b"]))
        assert OverridesParser.create().parse_override(word).value() == [name, "b"]


@pytest.mark.parametrize("sound", ["no_crack", "UD", "ok", "keine Risse", "uncracked", "sans fissure"])
@pytest.mark.parametrize("other", ["a", "zzz", "Walls"])
def test_the_sound_class_is_never_proposed(sound: str, other: str) -> None:
    with pytest.raises(DataError) as caught:
        choose_positive(sorted([sound, other]), None, Path("set"))
    assert f"dataset.positive={sound}" not in str(caught.value)


def test_codes_mean_something_only_beside_their_counterpart() -> None:
    assert meanings(["CD", "UD"]) == {"CD": "crack", "UD": "negative"}
    assert set(meanings(["0", "1", "2"]).values()) == {None}
    assert meanings(["yes", "maybe"]) == {"yes": None, "maybe": None}
