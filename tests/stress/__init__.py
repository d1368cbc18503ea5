"""Programs and peers that behave badly, and what must hold meanwhile.

The programs are processes of their own, so that one that hangs or crashes is a failed
test and not the end of the run.
"""
