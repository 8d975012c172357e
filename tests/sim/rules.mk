# SPDX-License-Identifier: BSD-3-Clause
#
# make sim           every scenario, RUNS=100 runs each from SEED=1 on
# make sim SCENARIO=pair SEED=7 RUNS=1 TWICE=1 [BUG=NAME with BUGS=1]
# make sim-traces BASE=REVISION   the same seeds must give the same traces there and here
# make sim-bugs      each deliberate bug must be caught within SIM_BUG_SEEDS runs
# SIM_ONLY=lfs       link scenario_lfs.c alone: the other rooms need not be complete

SIM_BUG_SEEDS ?= 1000

# What one scenario alone needs; all of them need all rooms.
sim_below_self := rt
sim_below_disk := rt
sim_below_net := rt
sim_below_oracle := rt
sim_below_lfs := lfs rt
sim_below := $(or $(sim_below_$(SIM_ONLY)),replicator tunnel lfs fec rt)
sim_rooms := $(foreach f,$(sim_below),$(if $(call sources,$f),$f))
sim_scenarios := $(if $(SIM_ONLY),$(SIM_ONLY:%=tests/sim/scenario_%.c), \
	$(wildcard tests/sim/scenario_*.c))
sim_core := $(wildcard tests/sim/sim_*.c) \
	$(addprefix tests/sim/,loop_sim.c main.c oracle.c work.c)
sim_helpers := $(filter-out $(sim_core) tests/sim/scenario_% tests/sim/secure_sim.c, \
	$(wildcard $(if $(SIM_ONLY),$(SIM_ONLY:%=tests/sim/%*.c),tests/sim/*.c)))
sim_objects := $(call objects,$(sim_core) $(sim_helpers) $(sim_scenarios) \
	$(if $(filter tunnel,$(sim_rooms)),tests/sim/secure_sim.c))
sim := $(B)/tests/sim/sim$(if $(SIM_ONLY),-$(subst $(space),-,$(SIM_ONLY)))

# Each call of lfs_append() by the engine comes by site_image.c.
sim_wraps := $(if $(filter %/site_image.o,$(sim_objects)),-Wl$(comma)--wrap=lfs_append)

# The simulator's objects come first: rt.a's loop and memory are then never asked for.
$(sim): $(sim_objects) $(foreach r,$(sim_rooms),$(call archive,$r))
	$(call say,LD,$@)$(CC) $(flags_ld) $(sim_wraps) -o $@ $(sim_objects) \
		$(foreach r,$(sim_rooms),$(call archive,$r)) \
		$(foreach r,$(sim_rooms),$(libs_$r)) -lm

$(B)/tests/sim/sim_trace.o: $(B)/gen/tests/sim/revision.h
$(B)/tests/sim/sim_trace.o: flags_cpp += -I$(B)/gen

# Rewritten only when the revision is another one.
$(B)/gen/tests/sim/revision.h: sim-always
	@mkdir -p $(@D)
	@echo '#define SIM_REVISION "$(shell git describe --always --dirty 2>/dev/null)"' \
		> $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

.PHONY: sim sim-traces sim-bugs check-sim sim-always
sim: $(sim)
	$(Q)$(sim) $(or $(SCENARIO),all) --seed $(or $(SEED),1) \
		--runs $(or $(RUNS),100) $(if $(BUG),--bug $(BUG)) \
		$(if $(TWICE),--twice)

sim-traces: $(sim)
	$(Q)MAKE='$(MAKE)' sh tests/sim/traces.sh $(B) '$(BASE)' $(or $(RUNS),40) $(or $(SEED),1)

sim-bugs:
	$(Q)$(MAKE) --no-print-directory BUGS=1 SIM_ONLY=$(SIM_ONLY) sim-bugs-run

.PHONY: sim-bugs-run
sim-bugs-run: $(sim)
	$(Q)sh tests/sim/bugs.sh $(sim) $(SIM_BUG_SEEDS)
