"""Phrases that introduce an answer, in English and a little of other languages that models answer in."""

from __future__ import annotations

import re

__all__ = ["ANSWER_IS", "NOT_AN_ANSWER", "OFF_HAND"]

ANSWER_IS = re.compile(
    r"""
    (?:\banswers?\b[*_"']{0,3}
      (?:[ \t](?:to|for|of|in)[ \t][^.!?\n:=]{1,80}?)?[ \t]{0,4}
      (?:(?:is|are|was|would\ be|will\ be|should\ be|must\ be|has\ to\ be|comes\ to|equals|becomes)\b
        |[:：=]|[*_]{1,3}[:：])
    |(?:答案|答え|정답|답)[*_]{0,3}[ \t]?(?:是|为|為|は|은|[:：=])
    |(?:الجواب|الإجابة|उत्तर)[*_]{0,3}[ \t]?(?:هو|هي|है|[:：=])
    |\b(?:réponse|respuesta|resposta|risposta|antwort|ответ)\b[*_]{0,3}
      (?:[ \t](?:final[ea]?|correct[ae]))?[ \t]{0,2}
      (?:(?:est|es|é|è|ist|lautet|равен)\b|[:：=—–]))
    (?:[*_]{1,3}(?=[ \t\n]|$))?[:：= \t]{0,8}
    """,
    re.VERBOSE | re.IGNORECASE,
)
NOT_AN_ANSWER = re.compile(
    r"""
    (?:not|correct|incorrect|right|wrong|helpful|clear|useful|reasonable|as\ follows|below|above|shown
    |given\ (?:by|as|in)|found|unique|obvious|simple|still|in\ the|the\ same|what\ you|you\ were|expected
    |yours|close|consistent|valid|satisfactory|complete|confirmed|verified|accurate|acceptable|ready|good
    |nicht|pas)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What says something about the answer instead of giving it."""
OFF_HAND = re.compile(
    r"""
    \b(?:hope|whether|if|this|your|that|think|check|sure|verify|confirm|any|no|an)[ \t]
    (?:that[ \t])?(?:the|this|my|your|our)?[ \t]?(?:final[ \t])?$
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What stands before an "answer is" that probably introduces none."""
