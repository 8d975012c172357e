# SPDX-License-Identifier: BSD-3-Clause
#
# make disaster RUNS=n LOSS=0.01   kills of a primary under load, the line cut behind it
# make disaster POLICY=all RUNS=n LOSSY=0.5   the same by the policies that it is compared with

disaster_programs := $(B)/tests/disaster/stamper $(B)/tests/disaster/prefixer
$(disaster_programs): %: %.o $(B)/tests/disaster/stamp.o
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lnbd

unit_disaster := $(B)/tests/unit/disaster/test_stamp
$(unit_disaster): %: %.o $(B)/tests/disaster/stamp.o
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lcmocka

.PHONY: unit-disaster disaster
unit-disaster: $(unit_disaster)
	$(Q)$(unit_disaster)

disaster: deps
	$(Q)$(MAKE) --no-print-directory all check-programs
	$(Q)B='$(B)' RUNS='$(RUNS)' LOSS='$(LOSS)' SEED='$(SEED)' LOSSY='$(LOSSY)' POLICY='$(POLICY)' \
		sh tests/disaster/disaster.sh

check-programs: $(disaster_programs)
unit: unit-disaster
