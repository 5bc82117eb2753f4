"""Words in the names of classes: for a crack, for other damage, for undamaged concrete, and negations.

Each list holds English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, Turkish, Russian,
Ukrainian, Arabic and Hindi, with a line or two for each language; a word that ends with ``*`` stands for all words that
begin with it. Chinese, Japanese and Korean have lists of their own, whose words are found anywhere in a name. Accents
are ignored.
"""
# ruff: noqa: RUF001

CRACK = """
    crack* fissur* fractur* crevice* positiv* pos
    riss risse rissen risses rissig rissige rissiger rissiges rissbild* gerissen* haarriss* betonriss* schwindriss*
    netzriss* langsriss* laengsriss* querriss* biegeriss* schubriss* spannungsriss* oberflachenriss* oberflaechenriss*
    putzriss* mauerriss* wandriss* setzriss* feinriss* mikroriss* makroriss*
    lezard* crevass* craquel* positif*
    griet* agriet* fisur* rajad* resquebraj*
    rachad* trinca*
    crepa crepe crepat* fessur*
    scheur* gescheurd* barst barsten gebarsten* haarscheur* positief*
    pekni* pekan* popekan* spekan* rysa rysy rys rysami zarysow* pozytyw*
    trhlin* praskl* praskan* popraska*
    catla* pozitif*
    трещин* микротрещин* треснут* треснувш* растреск* положительн*
    тріщин* мікротріщин* тріснут* розтріск* потріскан* позитивн*
    شق شقوق تشقق* متشقق* مشقوق* صدع صدوع متصدع* تصدع* شرخ شروخ مشروخ* ايجابي*
    दरार* फटा
"""
DAMAGE = """
    damag* defect* fault* flaw* broken spall* corro* rust* efflorescen* delamin* deteriorat* anomal* abnormal* bad nok
    ng fail failed pothole* scaling honeycomb* issue* problem*
    schad* schaed* beschad* beschaed* defekt* mangel* maengel* kaputt* abplatz* rost rostig*
    endommag* degat* degrad* abim*
    dano danos danad* danific* averia* desconch* defeito*
    danni danno dannegg* difett* lesion* guast*
    gebrek* kapot
    uszkodz* wada wady wadliw*
    poskoz* vada vady vadn* narusen*
    hasar* kusur* bozuk* arizal*
    поврежд* дефект* скол* разруш* брак
    пошкодж* зруйнов*
    تلف تالف* ضرر متضرر* عيب عيوب معيب*
    क्षति* दोष* खराब
"""
UNDAMAGED = """
    sound intact* ok okay good healthy normal* clean background* bg perfect pass passed
    heil heile heiler heiles intakt* gut gute guter gutes gesund* sauber* unversehrt* ordnung hintergrund*
    sain saine sains saines bon bonne bons propre* fond
    sano sana sanos sanas bueno buena buenos buenas bien limpio limpia fondo
    bom boa sao saudave* limpo limpa fundo inteiro
    integro integra integri integre buono buona buoni buone pulit* sfondo sfondi
    goed goede gezond* gaaf schoon schone achtergrond*
    dobry dobra dobre zdrow* czyst* tlo
    zdrav* cista cisty ciste pozadi
    saglam* iyi temiz
    цел целый целая целое целые исправн* норма норм нормальн* хорош* фон фоновые чист* здоров*
    цілий ціла ціле цілі справн* добр* тло фонов*
    سليم* طبيعي* جيد* نظيف* خلفية
    ठीक स्वस्थ सही अखंड सामान्य अच्छा साफ पृष्ठभूमि
"""
NEGATIVE = "none nothing negativ* neg negatif* negatief* negatyw* отрицательн* негативн* سلبي*"
"""Words that mean sound concrete on their own, and negate a word for a crack beside them."""
BEFORE = """
    no not non without wo un zero never absence nicht kein keine keinen keiner ohne sans pas aucun aucune
    sin ningun ninguna ningunas ausencia sem nao nenhum nenhuma senza nessun nessuna assenza geen zonder niet
    bez nie brak ne zadne zadna zadny без не нет нету відсутн* отсутств* немає нема بدون بلا لا غير ليس बिना
"""
"""Words that negate what comes after them."""
BEHIND = """
    free less absent frei freie freies libre livre privo vrij vrije wolny wolne yok yoktur degil olmayan
    свободн* خالي خالية रहित नहीं
"""
"""Words that negate what comes before them."""
PREFIXES = """
    un non no not without ohne kein keine nicht sans sin sem nao senza geen zonder niet on bez nie ne без бес не
"""
"""Negations that are written as one with the word after them."""
SUFFIXES = "free less frei freie freier freies freien los lose loos loze vrij vrije siz suz"
"""Negations that are written as one with the word before them."""
GLUED = "crack fissur fractur griet scheur rachad трещин тріщин"
"""Stems that mean a crack anywhere within a word."""
DOUBT = "maybe unsure uncertain possible possibly unlabeled unlabelled unknown mixed unklar ambiguous"
"""Words that leave the meaning of a name open."""

CJK_CRACK = "裂 割れ ひび ヒビ クラック キレツ 균열 크랙 阳性 陽性 양성"
CJK_DAMAGE = "不良 不合格 损 損 破 缺陷 欠陥 异常 異常 劣化 问题 問題 손상 결함 불량 파손 이상 문제"
CJK_UNDAMAGED = "正常 完好 良好 健全 健康 良品 合格 背景 阴性 陰性 完整 무결 정상 양호 건전 배경 음성"
CJK_NOT = "无 無 非 未 没 沒 不 なし ない 없 아님 무균열 비균열 미균열 균열무 무크랙 비크랙 무손상 무결함"

PAIRS = """
    0/1 no/yes false/true n/y nein/ja non/oui no/si nao/sim nee/ja nie/tak ne/ano hayir/evet нет/да ні/так
    无/有 無/有 なし/あり 없음/있음
    u/c ud/cd up/cp uw/cw
"""
"""Codes that mean sound and crack where they are the two classes; the last four are those of SDNET2018."""
