# SPDX-License-Identifier: BSD-3-Clause
#
# make bench         every tests/bench/bench_*.c and .sh, one after the other, and a table
# make bench-NAME    one of them: disk, modes, path, line, fec, tunnel, flight, postgres
# make bench-table   the table of what ran last
# QUICK=1            three short runs for five, and fewer conditions
#
# A bench in C says within its first three lines which folders it links, if other than the
# one of its name:
#	/* bench-links: fec */

bench_c := $(patsubst tests/bench/bench_%.c,%,$(wildcard tests/bench/bench_*.c))
bench_sh := $(patsubst tests/bench/bench_%.sh,%,$(wildcard tests/bench/bench_*.sh))
bench_links = $(or $(shell sed -n '1,3s,.*bench-links: *\([^*]*\)\*/.*,\1,p' \
	tests/bench/bench_$1.c),$(filter $1,$(folders)))
bench_tools := $(B)/tests/bench/load $(B)/tests/bench/fill

$(B)/tests/bench/load: $(addprefix $(B)/tests/bench/,load.o measure.o turn.o)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lnbd

$(B)/tests/bench/fill: $(B)/tests/bench/fill.o
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^

check-programs: $(bench_tools)

define bench_rules
bench_folders_$1 := $$(call bench_links,$1)
bench_archives_$1 := $$(foreach f,$$(bench_folders_$1),$$(call archives_of,$$f))
bench_libs_$1 := $$(foreach f,$$(bench_folders_$1),$$(call libs_of,$$f))
$$(B)/tests/bench/bench_$1: $$(B)/tests/bench/bench_$1.o $$(bench_archives_$1)
	$$(call say,LD,$$@)$$(CC) $$(flags_ld) -o $$@ $$^ $$(bench_libs_$1) -lm
.PHONY: bench-$1
bench-$1: $$(B)/tests/bench/bench_$1
	$$(Q)echo "== $1"; mkdir -p $$(B)/bench && $$< >$$(B)/bench/$1.out && \
		cat $$(B)/bench/$1.out && sh tests/bench/rows.sh $1 $$(B) <$$(B)/bench/$1.out
endef
$(foreach n,$(bench_c),$(eval $(call bench_rules,$n)))

define bench_sh_rules
.PHONY: bench-$1
bench-$1: all $(bench_tools) $(B)/tests/wan/wanem $(B)/tests/wan/flow
	$$(Q)echo "== $1"; QUICK='$$(QUICK)' sh tests/bench/bench_$1.sh $$(B)
endef
$(foreach n,$(bench_sh),$(eval $(call bench_sh_rules,$n)))

# One after the other, whatever -j says: they share the machine.
.PHONY: bench bench-table
bench:
	$(Q)for b in fec tunnel $(filter-out fec tunnel,$(bench_c) $(bench_sh)); do \
		$(MAKE) --no-print-directory bench-$$b || exit 1; done
	$(Q)$(MAKE) --no-print-directory bench-table

bench-table:
	$(Q)sh tests/bench/table.sh $(B)
