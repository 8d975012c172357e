# SPDX-License-Identifier: BSD-3-Clause
#
# make fuzz-NAME     tests/fuzz/fuzz_NAME.c under libFuzzer for FUZZ_SECONDS (needs clang);
#                    what it finds and learns stays in its build folder
# make fuzz-corpus   every target on tests/fuzz/corpus/NAME/ and FUZZ_MUTATIONS inputs
#                    made from it, the same ones each time; no libFuzzer needed
#
# A target says within its first three lines which folders it links:
#	/* fuzz-links: nbd-server */

FUZZ_SECONDS ?= 60
FUZZ_MUTATIONS ?= 20000

fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_links = $(shell sed -n '1,3s,.*fuzz-links: *\([^*]*\)\*/.*,\1,p' tests/fuzz/fuzz_$1.c)

define fuzz_rules
fuzz_folders_$1 := $$(call fuzz_links,$1)
fuzz_archives_$1 := $$(foreach f,$$(fuzz_folders_$1),$$(call archives_of,$$f))
fuzz_libs_$1 := $$(foreach f,$$(fuzz_folders_$1),$$(call libs_of,$$f))
$$(B)/tests/fuzz/replay_$1: $$(B)/tests/fuzz/fuzz_$1.o $$(B)/tests/fuzz/replay.o \
		$$(fuzz_archives_$1)
	$$(call say,LD,$$@)$$(CC) $$(flags_ld) -o $$@ $$^ $$(fuzz_libs_$1) -lm
$$(B)/tests/fuzz/fuzz_$1: $$(B)/tests/fuzz/fuzz_$1.o $$(fuzz_archives_$1)
	$$(call say,LD,$$@)$$(CC) $$(flags_ld) -fsanitize=fuzzer -o $$@ $$^ \
		$$(fuzz_libs_$1) -lm
.PHONY: fuzz-$1 fuzz-run-$1
fuzz-$1:
	$$(Q)$$(MAKE) --no-print-directory CC=clang SAN=address,undefined,fuzzer-no-link \
		fuzz-run-$1
fuzz-run-$1: $$(B)/tests/fuzz/fuzz_$1
	$$(Q)mkdir -p $$(B)/tests/fuzz/learned_$1 tests/fuzz/corpus/$1
	$$(Q)$$< -max_total_time=$$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=$$(B)/tests/fuzz/$1- $$(FUZZ_FLAGS) \
		$$(B)/tests/fuzz/learned_$1 tests/fuzz/corpus/$1
endef
$(foreach n,$(fuzz_names),$(eval $(call fuzz_rules,$n)))

.PHONY: fuzz-corpus
fuzz-corpus: $(fuzz_names:%=$(B)/tests/fuzz/replay_%)
	$(Q)sh tests/fuzz/corpus.sh $(B) $(FUZZ_MUTATIONS) $(fuzz_names)
