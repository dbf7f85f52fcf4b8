"""Reading a final answer as mathematics, in this process, whatever was written.

`notation` makes one spelling of many, `numerals` and `grammar` read numbers and plain expressions into a
tree, `arithmetic` gives a tree its value, `quantities` knows units and number words, `statements` equations
and inequalities; `reading` puts an answer together, `agreement` compares two, and `symbolic` is what runs in
the sandbox for the rest. Nothing is evaluated as a program, every size is bounded, and what exceeds a bound
is refused at once.
"""
