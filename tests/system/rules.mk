# SPDX-License-Identifier: BSD-3-Clause
#
# make system                     the real programs with real clients, all tests/system/test_*.sh
# make system ONLY=nbd_clients    one of them
# make runbook                    what docs/runbook.md shows, where it is printed differently now

system_tools := $(patsubst %.c,$(B)/%,$(wildcard tests/system/*.c))
$(system_tools): $(B)/tests/system/%: $(B)/tests/system/%.o
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $< -lnbd -ljansson

.PHONY: system
system: all $(system_tools) $(B)/tests/bench/load $(B)/tests/wan/wanem $(B)/tests/disaster/stamper \
		$(B)/tests/disaster/prefixer
	$(Q)sh tests/system/run.sh $(B) $(ONLY)

# The blocks of docs/runbook.md that do not show what is printed now are written anew.
.PHONY: runbook
runbook: all $(system_tools)
	$(Q)RUNBOOK=write sh tests/system/test_runbook.sh $(B)

check-programs: $(system_tools)
