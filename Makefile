# Each target is one line over a script that needs nothing but Python; without make, type for
# example: py course_tools\tasks.py book
# More words for the task: make test ARGS="-k losses"
PYTHON ?= python3

.PHONY: help book serve test test-all test-colab publish mutants lint locks
help:
	@$(PYTHON) course_tools/tasks.py --help
book serve test test-all test-colab publish mutants lint locks:
	@$(PYTHON) course_tools/tasks.py $@ $(ARGS)
