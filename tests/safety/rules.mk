# SPDX-License-Identifier: BSD-3-Clause
#
# make safety        3,000,000 kills of the codes and the product's wire gate (KILLS=), minutes
# make safety-model  what the risk model states, against what is drawn (LOSSES= a point)
# make safety-mixed  the rule for writes on a line that is not busy
# A short version of each is a unit test.

safety := $(B)/tests/safety/safety
safety_draws := $(patsubst %,$(B)/tests/safety/%.o,line ideal mixed codec)

$(safety): $(safety).o $(safety_draws) $(call archives_of,tunnel)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ $(call libs_of,tunnel)

unit_safety := $(B)/tests/unit/safety/test_safety
$(unit_safety): %: %.o $(safety_draws) $(call archives_of,tunnel)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ $(call libs_of,tunnel) -lcmocka

.PHONY: safety safety-model safety-mixed unit-safety
safety: $(safety)
	$(Q)$(safety) codec $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))
safety-model safety-mixed: safety-%: $(safety)
	$(Q)$(safety) $* $(if $(LOSSES),--losses $(LOSSES)) $(if $(SEED),--seed $(SEED))
unit-safety: $(unit_safety)
	$(Q)$(unit_safety)

check-programs: $(safety)
unit: unit-safety
