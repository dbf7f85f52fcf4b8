"""The columns of every table that a study leaves, in order, with their types."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

__all__ = [
    "ACCURACIES",
    "ACCURACIES_DRAWN",
    "COMBINATION",
    "COMPLETIONS",
    "COMPLETION_KEY",
    "CURVES",
    "DIFFERENCES",
    "FAILURES",
    "FITS",
    "FORECASTS",
    "LEADERBOARD",
    "LEDGER",
    "MISSING",
    "OUTCOMES",
    "OUTCOMES_DRAWN",
    "PROBLEMS",
    "REFITS",
    "RUN_KEY",
    "SUMMARY",
    "TREES",
    "TREES_DRAWN",
    "VERDICTS",
    "Schema",
]

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

COMBINATION = ("task", "model", "strategy")
"""Columns that name what is sampled, or imported, and compared."""
RUN_KEY = ("problem_id", "budget", "replicate")
"""Columns that name a run; of a pool, budget and replicate are 0."""
COMPLETION_KEY = (*RUN_KEY, "index")
"""Columns that name a completion of a combination."""

_MESSAGE = pl.Struct({"role": pl.String, "content": pl.String})

_ASKED = pl.Struct(
    {
        "by": pl.String,  # label of the model
        "prompt_tokens": pl.Int64,
        "cached_prompt_tokens": pl.Int64,
        "generated_tokens": pl.Int64,
    }
)

PROBLEMS: Schema = {
    "problem_id": pl.String,
    "messages": pl.List(_MESSAGE),
    "reference": pl.String,
    "metadata": pl.String,  # JSON
    "material": pl.String,  # JSON
}

COMPLETIONS: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "text": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int32,
    "generated_tokens": pl.Int32,
    "logprob": pl.Float64,
    "step_ends": pl.List(pl.Int32),
    "step_tokens": pl.List(pl.Int32),
    "step_logprobs": pl.List(pl.Float64),
    "step_scores": pl.List(pl.Float64),
    "step_confidences": pl.List(pl.Float64),
    "nodes": pl.List(pl.Int64),
    "weight": pl.Float64,
}

LEDGER: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "start": pl.Int32,  # first completion index of the block (exchangeable), else 0
    "call": pl.String,  # generate, score (for rewards), embed, logprobs, next_logprobs
    "by": pl.String,  # label of the model that was called
    "scorer": pl.String,  # label of the scorer that asked; null where the strategy did
    "failed": pl.Boolean,  # it came to nothing: no completion or verdict is made of it
    "calls": pl.Int64,
    "sequences": pl.Int64,
    "prompt_tokens": pl.Int64,
    "cached_prompt_tokens": pl.Int64,
    "generated_tokens": pl.Int64,
    "saved_prompt_tokens": pl.Int64,  # of answers that a session had before, and did not pay for again
    "saved_cached_prompt_tokens": pl.Int64,
    "saved_generated_tokens": pl.Int64,
    "unreadable": pl.Int64,  # replies in which the strategy did not find what it had asked for
    "seconds": pl.Float64,
}

TREES: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "completion": pl.Int32,  # whose own tree it is; null where a problem's pool, or a run, is one tree
    "node": pl.Int64,  # digest of its lineage; 0 is the problem's own chat
    "parent": pl.Int64,  # what it continues; null of a chat
    "kind": pl.String,  # chat, drawn (a step), cut (the beginning of one), chosen (a token), given (a text)
    "status": pl.String,  # done, cancelled, failed
    "by": pl.String,  # label of the model that wrote it
    "text": pl.String,  # as far as the study keeps it, of a chat its last turn; null of what was cancelled
    "characters": pl.Int32,  # of the whole text
    "reads": pl.List(pl.Int64),  # of a chat: nodes it quotes, as its strategy says
    "prompt_tokens": pl.Int32,  # charged: of what was drawn in one request, to the first
    "generated_tokens": pl.Int32,
    "logprob": pl.Float64,
    "finish_reason": pl.String,  # null where it can be continued
    "score": pl.Float64,  # of what ends there, given while sampling
    "scorer": pl.String,
    "children": pl.Int32,  # nodes that continue it, those that are left out here, too
    "completions": pl.List(pl.Int32),  # indices of those that end there
    "weights": pl.List(pl.Float64),  # their weights
}

VERDICTS: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "answer": pl.String,  # canonical answer, null if unparsable; null from a scorer
    "correct": pl.Boolean,
    "score": pl.Float64,
    "status": pl.String,
    "detail": pl.String,
    "asked": pl.List(_ASKED),  # what models read and generated for it, as if it had been asked for alone
}

OUTCOMES: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "answer": pl.String,  # representative of the answer's class, null if unparsable
    "correct": pl.Boolean,
    "status": pl.String,  # of the oracle's verdict; or unclassified
    "prompt_tokens": pl.Int32,
    "generated_tokens": pl.Int32,
    # one Float64 column `score_{scorer}` per scorer follows; in an imported table that holds counts, an Int64
    # column `count`: how many completions, of consecutive indices, the row stands for
}

_DRAWN: Schema = {"task": pl.String, "model": pl.String, "strategy": pl.String, "simulated": pl.Boolean}

TREES_DRAWN: Schema = {**_DRAWN, **TREES}
"""Trees as figures get them."""

OUTCOMES_DRAWN: Schema = {
    **_DRAWN,
    **{name: OUTCOMES[name] for name in ("problem_id", "budget", "replicate", "index", "answer", "correct")},
}
"""Outcomes as figures get them."""

FAILURES: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "stage": pl.String,  # sampling (the unit left no completions), verification, outcomes
    "by": pl.String,  # label of the strategy, or of the verifier
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "start": pl.Int32,  # completion indices [start, stop) of the unit, or of the run, that are concerned
    "stop": pl.Int32,
    "completions": pl.Int64,  # how many of them are missing, not judged, or without a score
    "status": pl.String,  # failed, or of the verdicts: error, timeout; unclassified of the outcomes
    "reason": pl.String,
}

MISSING: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "units": pl.Int64,  # completions of a problem in a block, or runs
    "failed_units": pl.Int64,
    "failed_problems": pl.Int64,  # problems with a unit that failed
    "completions": pl.Int64,  # that there are
    "missing_completions": pl.Int64,  # most that the units that failed would have given
    "not_judged": pl.Int64,  # by the oracle: counted as wrong
    "not_scored": pl.Int64,  # by a scorer: ranked below every score
    "not_classified": pl.Int64,  # answers of their own in every vote
    "unparsable": pl.Int64,  # completions in which the oracle found no answer: counted as wrong
    "unreadable": pl.Int64,  # replies of models in which the strategy did not find what it had asked for
}

ACCURACIES: Schema = {
    "selector": pl.String,
    "problem_id": pl.String,
    "budget": pl.Int64,
    "accuracy": pl.Float64,
    "monte_carlo_error": pl.Float64,
    "tokens": pl.Float64,  # generated, and read and generated by the scorer, at that budget
    "usd": pl.Float64,  # what all tokens cost by the study's price tables; NaN without them
}

ACCURACIES_DRAWN: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    **ACCURACIES,
    "estimand": pl.String,
    "axis": pl.String,
    "simulated": pl.Boolean,
}
"""Accuracies of a whole study, as figures read them: what files and footers say of each is in columns."""

CURVES: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "selector": pl.String,
    "estimand": pl.String,  # what the selector estimates: coverage, single, selected, reliability
    "axis": pl.String,  # what the budget counts: completions, or what the runs of a strategy do
    "budget": pl.Int64,  # k: so many per problem
    "generated_tokens": pl.Float64,  # mean per problem at that k, from the ledger
    "prompt_tokens": pl.Float64,
    "scorer_tokens": pl.Float64,  # read and generated for scores: all the strategy asked, the selector's own
    "usd": pl.Float64,  # mean per problem of what all of them cost; null without price tables, or a ledger
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "interval": pl.String,  # how low and high were found: see `CurveInterval`
    "band_low": pl.Float64,  # a band that holds the whole curve at the same confidence
    "band_high": pl.Float64,
    "monte_carlo_error": pl.Float64,
    "problems": pl.Int64,  # whose mean it is: all of them, or there is no point
    "simulated": pl.Boolean,
}

DIFFERENCES: Schema = {
    "difference": pl.String,  # its label in the study
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "selector": pl.String,
    "minus_model": pl.String,
    "minus_strategy": pl.String,
    "minus_selector": pl.String,
    "against": pl.String,  # what budgets count, where both count the same: completions, or the axis of runs;
    # or what was spent: tokens (generated, and read and generated by scorers), usd
    "budget": pl.Float64,  # k, or mean tokens or USD per problem
    "estimate": pl.Float64,  # accuracy of the former less that of the latter
    "low": pl.Float64,
    "high": pl.Float64,
    "interval": pl.String,
    "band_low": pl.Float64,
    "band_high": pl.Float64,
    "p_value": pl.Float64,  # sign-flip test at this budget, two-sided
    "p_error": pl.Float64,  # its Monte Carlo error
    "p_curve": pl.Float64,  # adjusted for all budgets of the curve
    "p_least": pl.Float64,  # the smallest p that any differences of so many problems could have
    "p_holm": pl.Float64,  # at the largest budget: adjusted for all comparisons of the study
    "comparisons": pl.Int64,  # how many that are
    "problems": pl.Int64,
    "simulated": pl.Boolean,
}

FITS: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "law": pl.String,
    "axis": pl.String,  # what budgets count, as in CURVES; null of a tabular law
    "status": pl.String,  # ok, or failed
    "message": pl.String,  # what the law remarked, and every gate that closed
    "parameter": pl.String,  # null where the fit failed
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "covariance": pl.List(pl.Float64),  # over refits, with each parameter in order
    "estimand": pl.String,
    "extrapolates": pl.Boolean,  # it says how failure falls as k → ∞, and is meant to
    "ensemble": pl.String,  # what it is to an ensemble: far, near, other; null where it does not extrapolate
    "asymptotic_exponent": pl.Float64,  # failure falls as k^-b as k → ∞; null where it does not
    "asymptotic_exponent_low": pl.Float64,
    "asymptotic_exponent_high": pl.Float64,
    "effective_slope": pl.Float64,  # of log(-log coverage) on log k, from slope_from to slope_to
    "effective_slope_low": pl.Float64,
    "effective_slope_high": pl.Float64,
    "slope_from": pl.Float64,
    "slope_to": pl.Float64,
    "points": pl.Int64,  # points of the curve used
    "problems": pl.Int64,
    "refits": pl.Int64,  # bootstrap refits that succeeded
    "refits_failed": pl.Int64,
    "identified": pl.Boolean,  # no gate closed
    "condition": pl.Float64,  # of the scaled J'J of the prediction
    "correlation": pl.Float64,  # largest rank correlation of two parameters over refits
    "scale": pl.String,  # what the likelihood is of: counts, coverage; AICc and BIC compare within one
    "log_likelihood": pl.Float64,
    "aicc": pl.Float64,
    "bic": pl.Float64,
    "holdout_origins": pl.Int64,  # how many smaller studies were forecast from; each counts alike below
    "holdout_gap": pl.Float64,  # largest held-out k over the largest k the fit had seen
    "holdout_error": pl.Float64,  # mean absolute error of coverage at the held-out larger k
    "holdout_rmsle": pl.Float64,
    "holdout_log_error": pl.Float64,  # signed: above 0 if the law promised too much
    "holdout_inside": pl.Float64,  # share of held-out points inside the band
    "holdout_inside_80": pl.Float64,
    "sampled": pl.Int64,  # completions of the problem that has fewest
    "solved": pl.Int64,  # problems with a correct completion
    "simulated": pl.Boolean,
}

FORECASTS: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "law": pl.String,
    "axis": pl.String,  # as in FITS
    "fitted_to": pl.Int64,  # largest k the fit has seen
    "budget": pl.Float64,
    "role": pl.String,  # fit (inside the data), holdout (data withheld), extrapolation (beyond the data)
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "low_80": pl.Float64,
    "high_80": pl.Float64,
    "observed": pl.Float64,  # the curve's own estimate (from what the fit has seen, inside), null beyond
    "simulated": pl.Boolean,
}

REFITS: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "law": pl.String,
    "fitted_to": pl.Int64,
    "budget": pl.Float64,
    "role": pl.String,  # fit (its last budget), holdout, extrapolation
    "predicted": pl.List(pl.Float32),  # by each refit, NaN where it failed; resamples are those of every law
}

LEADERBOARD: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "axis": pl.String,  # as in FITS
    "place": pl.Int64,  # by expected error; null where a law does not extrapolate
    "law": pl.String,  # or `ensemble`
    "status": pl.String,
    "message": pl.String,
    "weight": pl.Float64,  # in the ensemble's forecast beyond the data
    "holdout_origins": pl.Int64,  # at so many the law could be fitted
    "origins": pl.Int64,  # the most origins of any law here: errors over fewer do not compare
    "holdout_gap": pl.Float64,
    "holdout_error": pl.Float64,  # over the origins at which the law could be fitted
    "holdout_rmsle": pl.Float64,
    "holdout_log_error": pl.Float64,
    "holdout_inside": pl.Float64,
    "holdout_inside_80": pl.Float64,
    "scale": pl.String,
    "aicc": pl.Float64,
    "expected_error": pl.Float64,  # root mean square error of the forecast that the ensemble expects
    "forecast_budget": pl.Float64,  # the largest k that is forecast
    "forecast": pl.Float64,
    "forecast_low": pl.Float64,
    "forecast_high": pl.Float64,
    "simulated": pl.Boolean,
}

SUMMARY: Schema = {
    "task": pl.String,  # null, as model and strategy, of a tabular law
    "model": pl.String,
    "strategy": pl.String,
    "role": pl.String,  # selector, law, missing
    "label": pl.String,  # its label in the study; null of what is missing
    "quantity": pl.String,  # accuracy (share of problems solved), and with prices usd (mean per problem); of
    # a law each parameter, and holdout_error; of what is missing what was counted, as in MISSING
    "estimand": pl.String,  # of a selector as in CURVES, of a law what its exponent means
    "axis": pl.String,  # what k counts, as in CURVES
    "k": pl.Int64,  # budget: 1 and the largest there is; null of a law
    "estimate": pl.Float64,  # null where the law has no fit
    "low": pl.Float64,
    "high": pl.Float64,
    "interval": pl.String,
    "problems": pl.Int64,  # behind the estimate
    "refits": pl.Int64,  # of a law: those behind the interval
    "refits_failed": pl.Int64,
    "status": pl.String,  # ok, or failed
    "message": pl.String,  # why it failed, and remarks on the fit
    "simulated": pl.Boolean,
}
