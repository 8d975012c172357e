# SPDX-License-Identifier: BSD-3-Clause
#
# make tree       the checks of the tree itself
# make baseline   lets tests/tree/baseline.txt shrink to the old uses that are left
# make deps       the Debian packages of tests/deps.txt: installs them as root, or says how
# make check      all tests; STEPS="tree unit" some of them
# make unit       the unit tests of every folder
# make format     the formatter over all sources

.PHONY: tree baseline deps check unit check-programs
tree:
	$(Q)sh tests/tree/run.sh

baseline:
	$(Q)sh tests/tree/baseline.sh

deps:
	$(Q)sh tests/deps.sh

# In a make of its own, which sees the libraries that `deps` may just have installed.
check: deps
	$(Q)MAKE='$(MAKE)' B='$(B)' sh tests/check.sh

unit: $(addprefix unit-,$(folders))

# What steps that run side by side would otherwise build at the same time.
check-programs: $(sim) $(fuzz_names:%=$(B)/tests/fuzz/replay_%)

.PHONY: format
format:
	$(Q)find rt fec lfs replicator nbd-server control tests -name '*.[ch]' | xargs clang-format -i
