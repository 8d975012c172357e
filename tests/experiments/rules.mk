# SPDX-License-Identifier: BSD-3-Clause
#
# make experiments                 the paper's evaluation run again: build/experiments/*.csv,
#                                  *.md and *.png; goes on where it was interrupted
# make experiments FIG="6 9"       some of: carry table1 6 7 8 9 10 11 12 bursts gate
#                                  staleness
# make experiments QUICK=1         few and short points, and the shapes they must show
# make experiments-doc             the tables of the last full run into docs/experiments.md
# make unit-experiments            what computes the figures, on samples
# N=runs RATE=Mbit/s SECONDS_PER_POINT=s NEW=1 (forget earlier rows)

xp_programs := $(B)/tests/experiments/marks $(B)/tests/experiments/writers
$(B)/tests/experiments/marks: $(addprefix $(B)/tests/,experiments/marks.o bench/measure.o)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -ljansson

$(B)/tests/experiments/writers: $(addprefix $(B)/tests/,experiments/writers.o \
		bench/measure.o bench/turn.o)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lnbd

check-programs: $(xp_programs)

.PHONY: experiments experiments-doc unit-experiments
unit-experiments:
	$(Q)sh tests/experiments/selftest.sh $(B)

unit: unit-experiments

experiments: deps
	$(Q)if [ '$(QUICK)' != 1 ] || [ "$$(id -u)" -eq 0 ]; then \
		sh tests/deps.sh tests/experiments/deps.txt; fi
	$(Q)$(MAKE) --no-print-directory all check-programs
	$(Q)QUICK='$(QUICK)' FIG='$(FIG)' N='$(N)' RATE='$(RATE)' NEW='$(NEW)' \
		SECONDS_PER_POINT='$(SECONDS_PER_POINT)' sh tests/experiments/experiments.sh $(B)

experiments-doc:
	$(Q)sh tests/experiments/doc.sh $(B)

draws := $(B)/tests/experiments/draws
$(draws): $(addprefix $(B)/tests/,experiments/draws.o safety/line.o safety/codec.o) \
		$(call archives_of,tunnel)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ $(call libs_of,tunnel)

check-programs: $(draws)
