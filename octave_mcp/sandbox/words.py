"""Word lists for reading English sources, and enough of other languages to notice them."""

__all__ = [
    "ADJECTIVES",
    "ADVERB_ENDING",
    "ARTICLES",
    "AUDIENCES",
    "FOREIGN_STOP",
    "NOUNS_NEVERTHELESS",
    "NOUN_ENDINGS",
    "NO_ADVERBS",
    "NO_NOUN_ENDINGS",
    "OPENERS",
    "PROBLEM_WORDS",
    "RELATIVES",
    "STOP",
    "VERBS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = frozenset({"a", "an", "the", "their", "every", "all"})
"""These may stand between a verb and its object."""

OPENERS = _words("also always and can cannot could help helps it must or she should they to we who will would you")
"""A verb may follow these."""

RELATIVES = frozenset({"that", "which"})
"""A verb may follow these too, but what it says is no duty of the persona: "approvals that block deals"."""

STOP = (
    ARTICLES
    | OPENERS
    | RELATIVES
    | _words("""
        about above across after against already among any anyone anything are around as at be because become been
        before behind being below between both but by call cares care come comes did do does doing done each either else
        even few find for from get gets give gives go goes had has have he her here hers him his how i if in into is its
        just keep keeps know knows less like lot lots made make makes many may me might more matter matters most much my
        need needs neither never new no nor not now of off often on once one only other others our out over per said
        same say says see sees send sends since so some someone something soon spend spends still struggle struggles
        such take takes tell tells than that them then there these thing things this those through time too toward under
        until up us use used uses using usually very via want wants was way well were what when where whether which
        while whom whose why with within without worry worries yet your answer answers answered ask asks asked hear
        hears held hold holds lead leads lost receive receives responsible sit sits think thinks told turn turns year
        years month months week weeks day days hour hours quarter hundred twenty thirty forty fifty sixty ninety two
        three four five six ten twelve first second dozen dozens hate hates love loves sign signs better faster fewer
        higher lower tired following including role roles who's they're don't
        """)
)
"""These end a run of words that belong together. Many are verbs and nouns that say little in a persona's sources."""

AUDIENCES = _words(
    """
    analysts businesses buyers companies company customers directors employees engineers executives heads leader leaders
    managers organisation organisations organization organizations people person persona personas professional
    professionals team teams users
    """
)
"""Words with one of these at their end tell who it is about, not what: "mid-market SaaS companies"."""

VERBS = _words("""
    accelerate adopt align approve automate avoid balance block build buy carry choose close coach collect compare
    connect convert coordinate create cut decide defend define deliver design develop drive eliminate enable ensure
    evaluate expand fight fill fix forecast grow guide handle hire hit improve increase influence integrate justify
    launch maintain manage meet migrate modernise modernize monitor negotiate optimise optimize organise organize
    oversee own pass plan prepare present prevent prioritise prioritize protect prove publish qualify raise rebuild
    recruit reduce report retain review roll run save scale secure select sell set shape shorten simplify source
    standardise standardize streamline strengthen supervise support track train understand unify upgrade win
    """)

PROBLEM_WORDS = _words("""
    attacks bottleneck bottlenecks breach breaches broken burnout churn chaos complaints conflicting delay delayed
    delays disconnected downtime duplicate errors expired failed failures fatigue fragmented friction gaps inaccurate
    incidents inconsistent late legacy losses lost manual mistakes missed missing messy outages outdated overload
    overspending poor pressure rework risks rising scattered shadow shortage shortages siloed silos slow stale stalled
    turnover unclear unreliable waste wasted
    """)
"""A topic with one of these is something to be rid of."""

ADJECTIVES = _words("""
    bad best better big busy clear complex critical different difficult direct easy fast full global good great happy
    hard high important internal key large local long low main modern multiple old own possible ready regional right
    senior several short simple slow small strong sure true worth
    """)
"""A topic does not end with one of these."""

NOUN_ENDINGS = (
    "ing", "s", "acy", "age", "ance", "ancy", "cy", "ence", "ency", "ment", "ness", "nt", "ship", "sion", "sis", "th",
    "tion", "ty", "ware", "enue", "line", "rn",
)  # fmt: skip
"""A single word is a topic only with one of these, or in capitals."""

ADVERB_ENDING = "ly"
NO_ADVERBS = frozenset({"assembly", "early", "family", "monthly", "quarterly", "reply", "supply", "weekly", "yearly"})

NO_NOUN_ENDINGS = ("able", "ed", "ful", "ible", "ous")
NOUNS_NEVERTHELESS = ("eed", "table")
"""Endings of nouns such as "speed", which the endings above would take for an adjective's."""

FOREIGN_STOP = _words("""
    alle auf aus bei bis das dass dem den der des die durch ein eine einem einen einer eines es für haben ihre ihrem
    ihren im ist mit nach nicht oder sein sich sie sind über um viel mehr und unter vom von vor werden wie wir zu zum
    zur verantwortlich verlieren au aux avec ce ces dans du elle est et il ils la le les leur leurs mais ne nous ou par
    pas plus pour que qui sans son sont sur une vous con cómo como de del el ella en entre esta este la las lo los más
    no para pero por que se sin sobre su sus un una y
    """) - {"no", "die"}
"""German, French and Spanish, less what is an English word too."""
