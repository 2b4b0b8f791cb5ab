"""One file a peer.

A file declares, and imports nothing but NumPy until a task is asked for:

TITLE : what the tables call it.
REQUIREMENTS : what its own virtual environment holds; None for the project's environment.
PACKAGES : the packages whose versions count.
COMMIT : the commit of this package that it is, if it is an earlier one.
TASKS : ``{(task, contestant): function}``. The function takes `benchmarks.data.Data` and returns
    two callables: one to time, and one that reads the answer off its result, untimed.
LARGEST : by task the most numbers, rows x columns, that it is asked to read; above it takes
    minutes, or more memory than there is.
REMARKS : by contestant, how its answer is none to the same question. Without a remark its answer
    must be ours to within Monte Carlo error, else its times do not count.
"""
