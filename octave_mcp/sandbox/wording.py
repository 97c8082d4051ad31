"""The sentences that personas are written in. The writer fills the braces.

A topic is what a role usually deals with. It may be singular or plural, so it never is the subject of a verb that would
have to agree with it. What the source says is quoted, not filled in.
"""

from dataclasses import dataclass

__all__ = [
    "COACH",
    "CONCERNS",
    "FORMAL",
    "FOUNDER",
    "NEUTRAL",
    "OBJECTIVES",
    "PAINS",
    "QUESTIONS",
    "RESPONSIBILITIES",
    "ROLE_TOPICS",
    "Question",
    "Tone",
]


@dataclass(frozen=True)
class Question:
    """A qualifying question before its topic is filled in."""

    question: str
    rationale: str
    fit: str
    weight: str


@dataclass(frozen=True)
class Tone:
    """How a brand voice talks. All of it ends up in the persona, so that the voice is easy to hear."""

    closing: str
    """The last sentence of the description."""

    to_us: tuple[str, ...]
    to_them: tuple[str, ...]
    question: Question


NEUTRAL = Tone(
    closing="{offering} is of use here because it can {promise}.",
    to_us=(
        "Holds or shapes the budget for {topic}, which is where {offering} is put to use",
        "Sees first-hand what goes wrong with {topic} and can speak for a change inside the company",
        "Results with {topic} make a story that other companies in the market listen to",
    ),
    to_them=(
        "{offering} can {promise}",
        "With {offering}, everything about {topic} can be followed in one place",
        "{company} brings ready-made templates for {topic}, so the first result is there within weeks",
    ),
    question=Question(
        "What would have to be true about {topic} in six months for this to have been worth it?",
        "A clear answer means that there is a goal to sell to, not only a complaint.",
        "GOOD",
        "MEDIUM",
    ),
)

FOUNDER = Tone(
    closing="We know this person: we sat in that chair ourselves, and it is why we built {offering}.",
    to_us=(
        "We built {offering} for people who live with {topic} every day",
        "They tell us straight what is broken about {topic}, and that makes our product better",
        "When they win with {topic}, their peers hear about it, and that is how we grow",
    ),
    to_them=(
        "We made {offering} to {promise}, and we will show it on their own data",
        "We have done the work on {topic} ourselves, so we talk about it without slides",
        "They get us, not a ticket queue: the people who built {offering} help with {topic} in the first weeks",
    ),
    question=Question(
        "If we could fix one thing about {topic} for you this month, what would it be?",
        "We do our best work with people who can name the one thing that hurts.",
        "GOOD",
        "MEDIUM",
    ),
)

FORMAL = Tone(
    closing="{company} addresses this role with {offering}, which enables organisations to {promise}.",
    to_us=(
        "This role holds decision authority over investments that concern {topic}",
        "Organisations rely on this role to assess suppliers for {topic}, and its approval shortens the purchase",
        "A successful engagement in the field of {topic} establishes {company} as a reference within the industry",
    ),
    to_them=(
        "{offering} enables the organisation to {promise}",
        "{company} provides documented controls for {topic}, which internal audit can examine at any time",
        "The implementation concerning {topic} follows an agreed schedule with named responsibilities on both sides",
    ),
    question=Question(
        "Which formal requirements apply to {topic}, and by which date must they be fulfilled?",
        "A binding date indicates that an evaluation will lead to a decision.",
        "GOOD",
        "MEDIUM",
    ),
)

COACH = Tone(
    closing="The good news: with {offering} in their corner they can {promise}, one small step at a time.",
    to_us=(
        "They cheer for anyone who makes {topic} easier, and their team listens to them",
        "One early win on {topic} turns them into the teammate who invites us everywhere",
        "They remind us what {topic} feels like on a busy day, which keeps {offering} honest",
    ),
    to_them=(
        "{offering} helps them {promise}, with a nudge at each step and no big launch",
        "Little by little, {topic} can become the calm part of the week",
        "No homework: with {company}, the first small win on {topic} comes before the second call",
    ),
    question=Question(
        "What is one small win on {topic} that would make next week feel lighter?",
        "Someone who can picture a small win is ready to take a first step.",
        "GOOD",
        "MEDIUM",
    ),
)

RESPONSIBILITIES = (
    "Set the yearly goals for {topic} and answer for the result",
    "Choose the tools and suppliers used for {topic}",
    "Report on {topic} to the leadership team each month",
    "Agree with neighbouring teams on who does what for {topic}",
    "Find the people and the budget for {topic}",
)

PAINS = (
    "Work on {topic} is spread over spreadsheets, inboxes and chats, so nobody sees the whole picture",
    "Questions about {topic} take days to answer, because the facts have to be collected one by one",
    "Trouble with {topic} comes to light only when it is late and costly to put right",
    "There is never enough time for {topic}, because urgent requests come first",
)

OBJECTIVES = (
    "Give the leadership team one trusted view of {topic} before the next quarter begins",
    "Make progress on {topic} without adding headcount",
    "Spot risks to {topic} weeks earlier than today",
    "Agree on two or three numbers that say how {topic} should look in a year",
)

CONCERNS = (
    "Whether a new tool will disturb {topic} in the middle of a busy quarter",
    "How soon results for {topic} can be shown when the budget is reviewed",
    "Who answers for {topic} if something goes wrong after the change",
    "How much of the team's time the change will take away from {topic}",
)

QUESTIONS = (
    Question(
        "Who decides about {topic} today, and is there a budget for it this year?",
        "Budget and authority in one place make a decision likely within the quarter.",
        "GOOD",
        "HIGH",
    ),
    Question(
        "How many hours does the team spend on {topic} in a normal week?",
        "The more time is lost, the sooner a change pays for itself.",
        "GOOD",
        "LOW",
    ),
    Question(
        "Has responsibility for {topic} been handed to an agency or a parent company?",
        "If others decide, this persona cannot buy, however interested.",
        "BAD",
        "HIGH",
    ),
    Question(
        "Did the company commit to another tool for {topic} within the last six months?",
        "A fresh contract elsewhere closes the door until it is up for renewal.",
        "BAD",
        "MEDIUM",
    ),
)

ROLE_TOPICS = {
    "security": ("vendor risk reviews", "audit evidence", "access controls", "incident response", "board reporting"),
    "sales": ("pipeline reviews", "forecast accuracy", "deal coaching", "territory planning", "quota attainment"),
    "revenue": ("forecast accuracy", "pipeline coverage", "net retention", "pricing decisions", "sales hand-overs"),
    "marketing": ("campaign planning", "lead quality", "brand consistency", "event follow-up", "budget reporting"),
    "procurement": (
        "supplier comparisons",
        "contract terms",
        "savings targets",
        "renewal dates",
        "supplier onboarding",
    ),
    "operations": ("service levels", "shift planning", "process changes", "equipment budgets", "incident reviews"),
    "finance": ("month-end closing", "spend approvals", "cash planning", "audit evidence", "board reporting"),
    "engineering": ("release planning", "code reviews", "service reliability", "technical debt", "hiring"),
    "customer": ("renewals", "onboarding", "account health", "product adoption", "support hand-overs"),
    "": ("team priorities", "process changes", "budget planning", "results reporting", "daily routines"),
}
"""What a role usually deals with, for when its sources say little. The last one is for any role."""
