# SPDX-License-Identifier: BSD-3-Clause
#
# make bench         every tests/bench/bench_*.c and .sh, one after the other
# make bench-NAME    one of them
#
# A bench in C says within its first three lines which folders it links, if other than the
# one of its name:
#	/* bench-links: fec */

bench_c := $(patsubst tests/bench/bench_%.c,%,$(wildcard tests/bench/bench_*.c))
bench_sh := $(patsubst tests/bench/bench_%.sh,%,$(wildcard tests/bench/bench_*.sh))
bench_links = $(or $(shell sed -n '1,3s,.*bench-links: *\([^*]*\)\*/.*,\1,p' \
	tests/bench/bench_$1.c),$(filter $1,$(folders)))

define bench_rules
bench_folders_$1 := $$(call bench_links,$1)
bench_archives_$1 := $$(foreach f,$$(bench_folders_$1),$$(call archives_of,$$f))
bench_libs_$1 := $$(foreach f,$$(bench_folders_$1),$$(call libs_of,$$f))
$$(B)/tests/bench/bench_$1: $$(B)/tests/bench/bench_$1.o $$(bench_archives_$1)
	$$(call say,LD,$$@)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(bench_libs_$1) -lm
.PHONY: bench-$1
bench-$1: $$(B)/tests/bench/bench_$1
	$$(Q)echo "== $1"; $$<
endef
$(foreach n,$(bench_c),$(eval $(call bench_rules,$n)))

define bench_sh_rules
.PHONY: bench-$1
bench-$1: all
	$$(Q)echo "== $1"; sh tests/bench/bench_$1.sh $$(B)
endef
$(foreach n,$(bench_sh),$(eval $(call bench_sh_rules,$n)))

.PHONY: bench
bench: $(bench_c:%=bench-%) $(bench_sh:%=bench-%)
