"""Archon: each of its six rules by name, what each component makes of any reply, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import Scripted, charged, run

from itscale.plugins.references import references
from itscale.sampling.partners import Partners
from itscale_builtin.strategies._archon_replies import is_correct, passed, ranking
from itscale_builtin.strategies._panel import items, numbered_parts
from itscale_builtin.strategies.archon import ArchonOptions, State, check, entry


def one(role, **given):
    return {"role": role, **given}


GENERATORS = [one("generator", samples=3)]
CRITIC, RANKER, FUSER = [one("critic")], [one("ranker")], [one("fuser")]
VERIFIER, TESTS, EVALUATOR = [one("verifier")], [one("unit_test_generator")], [one("unit_test_evaluator")]


def wrong(*layers, **given):
    return list(check(ArchonOptions(layers=list(layers), **given)))


BROKEN = {
    "rule 1: one role in a layer": ([GENERATORS, FUSER + CRITIC, FUSER], "rule 1"),
    "rule 2: generators in the first layer alone": ([GENERATORS, GENERATORS], "rule 2"),
    "rule 3: a critic before a ranker or fuser": ([GENERATORS, FUSER, CRITIC], "rule 3"),
    "rule 3: a verifier does not read critiques": ([GENERATORS, CRITIC, VERIFIER], "rule 3"),
    "rule 4: a ranker is never first": ([RANKER], "rule 4"),
    "rule 4: a verifier is never first": ([VERIFIER, FUSER], "rule 4"),
    "rule 4: a ranker is alone": ([GENERATORS, RANKER + RANKER], "rule 4"),
    "rule 5: a fuser is never first": ([FUSER], "rule 5"),
    "rule 6: tests without an evaluator": ([GENERATORS, TESTS], "rule 6"),
    "rule 6: tests whose evaluator comes later": ([GENERATORS, TESTS, RANKER, EVALUATOR], "rule 6"),
    "rule 6: an evaluator without tests": ([GENERATORS, EVALUATOR], "rule 6"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_broken_is_named(name):
    layers, rule = BROKEN[name]
    assert any(rule in line for line in wrong(*layers))


def test_what_obeys_all_rules_is_taken():
    several = [one("fuser", model="a"), one("fuser", model="b", samples=2)]
    whole = [GENERATORS, CRITIC, RANKER, several, VERIFIER, TESTS, EVALUATOR, CRITIC, FUSER]
    assert wrong(*whole) == []
    assert list(check(ArchonOptions())) == []
    assert wrong(GENERATORS, VERIFIER, CRITIC, TESTS, EVALUATOR, FUSER) == []


def test_no_component_reads_more_than_it_can():
    many = [one("generator", samples=20), one("generator", model="b", samples=13)]
    assert wrong(many, CRITIC, FUSER, readable=33) == []
    assert "found 33 candidates for a ranker" in wrong(many, RANKER)[0]
    assert wrong(many, [one("verifier", keep=32)], RANKER) == []


def test_a_study_knows_the_models_and_strategies_that_layers_name():
    layers = [[one("generator", model="a"), one("generator", inner="s")], [one("fuser", model="b")]]
    options = ArchonOptions(layers=layers)
    assert list(references(options, "models")) == [("layers", "a"), ("layers", "b")]
    assert list(references(options, "strategies")) == [("layers", "s")]


@pytest.mark.parametrize(
    ("component", "said"),
    [
        (one("critic", samples=2), "samples"),
        (one("fuser", keep=2), "keep"),
        (one("ranker", tests=2), "tests"),
        (one("ranker", inner="other"), "inner"),
    ],
)
def test_an_option_without_effect_is_refused(component, said):
    assert any(f"layers.1.0.{said}: found" in line for line in wrong(GENERATORS, [component], FUSER))


@pytest.mark.parametrize(
    ("reply", "order"),
    [
        ("[2] > [3] > [1]", [1, 2, 0]),
        ("3 > 1", [2, 0, 1]),
        ("**[2]** is best, then [1].", [1, 0, 2]),
        ("[1] > [2] at first, but on a closer look:\n[3] > [2] > [1]", [2, 1, 0]),
        ("[2] > [2] > [9] > [0]", [1, 0, 2]),
        ("[99999999] is the best", []),
        ("Since 3 > 2, I can't rank.", []),
        ("[2] > [1], as 3 > 2 > 1 would be wrong", [1, 0, 2]),
        ("the second", []),
        ("", []),
    ],
)
def test_a_ranking_is_read_or_is_none(reply, order):
    assert ranking(reply, 3) == order


@given(st.text(st.sampled_from("[]> 0123456789\n*correctinpasfl.-\ud800²")), st.integers(1, 5))
def test_any_reply_is_read(reply, count):
    assert sorted(ranking(reply, count)) in ([], list(range(count)))
    assert is_correct(reply) in (None, True, False)
    assert 0 <= (passed(reply, count) or 0) <= count
    assert all(item in reply for item in items(reply))
    assert set(numbered_parts(reply, count)) <= set(range(1, count + 1))


def test_verdicts_in_brackets_count_before_others():
    assert is_correct("It seems correct. [Incorrect]") is False
    assert is_correct("incorrect? No: **[ Correct ]**, as the incorrect step was mended") is True
    assert is_correct("I cannot say.") is None


def test_results_of_tests_are_counted_by_their_numbers():
    assert passed("[1] Passed\n- 2. fails\n**[3]** Passed\n[9] Passed", 3) == 2
    assert passed("all is well", 3) is None
    assert items("Here they are:\n1. It is even\n- It is small\n\nDone") == [
        "It is even",
        "It is small",
    ]


def test_critiques_of_other_candidates_are_impossible():
    class Text:
        text = "x"

    with pytest.raises(RuntimeError):
        State([Text()], ["of one", "of another"])
    state = State([Text(), Text(), Text()], ["a", "b", "c"])
    assert list(state.pick([2, 0], best_first=True).critiques) == ["c", "a"]


def script(replies):
    """A model that replies by the first words of what it is asked that fit, and answers by number else."""

    def write(request, before, seed):
        said = request.chat[-1]["content"]
        return next((reply for words, reply in replies.items() if words in said), f"answer {seed % 1000}")

    return Scripted(write)


CRITICISED = {"Name the strengths": "[1] is short\n[2] is long\n[3] is wrong"}
RANKED = {"Rank all answers": "[3] > [1]"}


def test_a_ranker_takes_the_critiques_with_the_answers():
    engine = script({**CRITICISED, **RANKED, "Take what is right": "fused"})
    (made,), session = run(entry, engine, layers=[GENERATORS, CRITIC, RANKER, FUSER])
    generated = engine.requests[0]
    answers = [f"answer {seed % 1000}" for seed in generated.seeds]
    fused = engine.requests[-1].chat[-1]["content"]
    places = [
        fused.index(f"{answers[at]}\n(Critique: is {word})") for at, word in ((2, "wrong"), (0, "short"))
    ]
    assert places == sorted(places)
    assert fused.index("is long") > places[-1]
    assert made.text == "fused"
    assert charged(session, "generated_tokens") == engine.written


def test_critiques_are_gone_once_candidates_are_fused():
    engine = script({**CRITICISED, "Take what is right": "fused", "Rank all answers": "[2] > [1]"})
    fusers = [one("fuser", samples=2)]
    run(entry, engine, layers=[GENERATORS, CRITIC, fusers, RANKER])
    asked = [request.chat[-1]["content"] for request in engine.requests]
    assert "Critique:" in asked[2]
    assert "Critique:" not in asked[3]


def test_a_critic_is_asked_again_and_what_it_leaves_out_stays_empty():
    engine = script({"Name the strengths": "[2] is long", "Take what is right": "fused"})
    _, session = run(entry, engine, layers=[GENERATORS, CRITIC, FUSER], retries=2)
    asked = [request.chat[-1]["content"] for request in engine.requests]
    assert sum("Name the strengths" in text for text in asked) == 3
    assert asked[-1].count("Critique:") == 1
    assert charged(session, "unreadable") == 3


@pytest.mark.parametrize(
    ("verdict", "kept", "counted"), [("[Correct]", 3, 0), ("[Incorrect]", 3, 0), ("?", 3, 3)]
)
def test_a_verifier_keeps_all_where_none_passes(verdict, kept, counted):
    engine = script({"Is the answer correct": verdict, "Go through": "fine", "Take what is right": "fused"})
    _, session = run(entry, engine, layers=[GENERATORS, VERIFIER, FUSER])
    assert engine.requests[-1].chat[-1]["content"].count("answer ") >= kept
    assert len(engine.requests) == 1 + 2 * 3 + 1
    assert charged(session, "unreadable") == counted


def test_a_verifier_keeps_the_first_that_pass():
    def write(request, before, seed):
        said = request.chat[-1]["content"]
        if "Is the answer correct" in said:
            return "[Incorrect]" if "answer A" in said else "[Correct]"
        return "fine" if "Go through" in said else f"answer {'ABC'[request.seeds.index(seed)]}"

    (made,), _ = run(entry, Scripted(write), layers=[GENERATORS, [one("verifier", keep=1)]])
    assert made.text == "answer B"


def test_of_equal_passes_the_earlier_stays_before():
    def write(request, before, seed):
        said = request.chat[-1]["content"]
        if "true of every right answer" in said:
            return "1. It is a number\n2. It is prime"
        if "Is each statement true" in said:
            return (
                "[1] Passed\n[2] Passed" if "answer" in said and "odd" in said else "[1] Passed\n[2] Failed"
            )
        if "Take what is right" in said:
            return said
        return ["z answer", "a answer", "m odd answer"][request.seeds.index(seed)]

    engine = Scripted(write)
    (made,), _ = run(entry, engine, layers=[GENERATORS, TESTS, EVALUATOR, FUSER])
    assert [made.text.index(text) for text in ("[1] m odd", "[2] z answer", "[3] a answer")] == sorted(
        made.text.index(text) for text in ("[1] m odd", "[2] z answer", "[3] a answer")
    )
    assert len(engine.requests) == 1 + 1 + 3 + 1


def test_without_tests_nothing_is_evaluated():
    engine = script({"true of every right answer": "I would rather not"})
    _, session = run(entry, engine, layers=[GENERATORS, TESTS, EVALUATOR])
    assert len(engine.requests) == 2
    assert charged(session, "unreadable") == 1


def test_all_calls_are_within_its_worth():
    engine = script({"true of every right answer": "1. a\n2. b"})
    other = script({})
    layers = [
        [*GENERATORS, one("generator", model="o", samples=2)],
        CRITIC,
        RANKER,
        VERIFIER,
        TESTS,
        EVALUATOR,
        [one("fuser", samples=2), one("fuser", model="o")],
        RANKER,
    ]
    run(entry, engine, layers=layers, retries=3, partners=Partners(helpers={"o": other}))
    sequences = sum(len(request.seeds) for request in [*engine.requests, *other.requests])
    most = entry.worth(ArchonOptions(layers=layers, retries=3, max_tokens=1))
    assert sequences == most == 5 + 4 + 1 + 10 + 1 + 5 + 3 + 1


def test_one_answer_of_several_is_the_best_of_an_order_or_any():
    ranked = [GENERATORS, RANKER]
    engine = script(RANKED)
    (made,), _ = run(entry, engine, layers=ranked)
    assert made.text == f"answer {engine.requests[0].seeds[2] % 1000}"
    engine = script({})
    (made,), _ = run(entry, engine, layers=[GENERATORS])
    assert made.text in [f"answer {seed % 1000}" for seed in engine.requests[0].seeds]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The answer is not correct.", False),
        ("It isn't correct", False),
        ("That does not seem correct.", False),
        ("It is not incorrect.", True),
        ("not sure, but correct", True),
    ],
)
def test_a_negated_verdict_is_the_opposite_one(text, right):
    assert is_correct(text) is right


def test_results_are_whole_words_the_last_of_a_line():
    assert passed("[1] 40 passengers fit: Failed\n[2] Does not pass\n[3] fails? no: passed", 3) == 1


def test_a_chain_in_an_explanation_is_no_ranking():
    assert ranking("[2] > [1] > [3]\nbecause 5 > 3 and 9 > 7", 3) == [1, 0, 2]
    assert ranking("[2] > [1]\n\nOn reflection: [1] > [2]", 2) == [0, 1]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("It is not at all correct.", False),
        ("The statement is incorrect; the correct answer is 7", False),
        ("It looked wrong, but it is correct.", True),
        ("I don't think this is correct.", None),
        ("It is far from correct", None),
        ("This is hardly correct", None),
        ("I cannot say whether it is correct", None),
        ("Verdict: in correct", False),
    ],
)
def test_a_verdict_that_is_in_doubt_is_none(reply, verdict):
    assert is_correct(reply) is verdict


@pytest.mark.parametrize(
    "said", ["failed to pass", "unable to pass", "no pass", "does not come close to passing"]
)
def test_a_test_of_which_nobody_can_say_whether_it_passed_counts_for_nothing(said):
    assert passed(f"[1] {said}\n[2] passed", 2) == 1


def test_blank_lines_take_no_time():
    """Ten seconds and more where two runs of blanks stand side by side in a pattern."""
    assert passed((" " * 1_999 + "\n") * 200, 5) is None
