"""Names that the grammar knows."""

from __future__ import annotations

__all__ = ["CONSTANTS", "FUNCTIONS", "PLAIN_NAMES", "SYMBOLS"]

FUNCTIONS = frozenset([
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec", "acsc", "sinh",
    "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh", "exp", "ln", "log",
])  # fmt: skip
PLAIN_NAMES = FUNCTIONS | {
    "sqrt",
    "arcsin",
    "arccos",
    "arctan",
    "pi",
    "infty",
    "abs",
    "floor",
    "ceil",
    "cbrt",
}
"""What a run of letters may be called without a backslash."""
CONSTANTS = {"pi": "pi"}
SYMBOLS = frozenset([
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda",
    "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "ell", "hbar", "ldots", "emptyset", "square", "circ",
    "triangle", "angle", "star", "prime", "aleph", "nabla", "partial", "dagger", "clubsuit", "heartsuit",
    "spadesuit", "diamondsuit",
])  # fmt: skip
