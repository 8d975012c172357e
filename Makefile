# SPDX-License-Identifier: BSD-3-Clause
#
# make               everything into build/
# make demo          the main job on real data
# make check         all tests
# make unit-FOLDER   the unit tests of one folder (rt fec lfs tunnel replicator ...)
# make sim SEED= RUNS= BUG=   the simulator
# make format tidy cover
# V=1 shows commands; SAN=address,undefined, CC=clang, BUGS=1 build variants in their own
# folder.

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
CC := gcc
AR := ar
V ?= 0
Q := $(if $(filter 1,$V),,@)
say = $(if $(filter 1,$V),,@printf '  %-7s %s\n' $1 $2;)
empty :=
space := $(empty) $(empty)
comma := ,

variant := $(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter clang,$(CC)),-clang)$(if $(filter 1,$(BUGS)),-bugs)
B := build$(variant)

OPT ?= -O2
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wundef -Werror=implicit-function-declaration \
	-Werror=incompatible-pointer-types -Wno-unused-parameter
# What an attacker finds harder; sanitizers and builds without optimisation bring their own.
HARDEN ?= $(if $(SAN)$(filter -O0,$(OPT)),,1)
harden_c := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
harden_ld := -pie -Wl,-z,relro,-z,now
# CFLAGS, CPPFLAGS and LDFLAGS are the builder's: they come last, and nothing here sets them.
flags_c = -std=gnu17 -g $(OPT) -fno-strict-aliasing -fno-omit-frame-pointer $(WARN) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all) \
	$(if $(filter 1,$(BUGS)),-DRT_BUGS) $(if $(HARDEN),$(harden_c)) \
	$(if $(WERROR),-Werror) $(EXTRA_CFLAGS) $(CFLAGS)
flags_cpp = -D_GNU_SOURCE -I. $(CPPFLAGS)
flags_ld = $(if $(SAN),-fsanitize=$(SAN)) $(if $(HARDEN),$(harden_ld)) $(EXTRA_LDFLAGS) \
	$(LDFLAGS)

# One archive per folder. `below` is what the folder may link, in link order: it is the
# layer table of docs/architecture.md once more, and an upward call does not link.
folders := rt fec lfs tunnel replicator nbd-server control
dir_rt := rt
dir_fec := fec
dir_lfs := lfs
dir_tunnel := replicator/tunnel
dir_replicator := replicator
dir_nbd-server := nbd-server
dir_control := control
below_rt :=
below_fec := rt
below_lfs := rt
below_tunnel := fec rt
below_replicator := tunnel lfs fec rt
below_nbd-server := replicator tunnel lfs fec rt
below_control := nbd-server replicator tunnel lfs fec rt
libs_rt := -luring -lisal
libs_fec := -lisal -lm
libs_lfs :=
libs_tunnel := -lgnutls
libs_replicator :=
libs_nbd-server :=
libs_control := -lconfig -ljansson -lsystemd -lblkid

programs := wanmirrord wanmirror wanmirror-edge
program_sources := $(programs:%=control/%.c)

archive = $(B)/$1.a
sources = $(filter-out $(program_sources),$(wildcard $(dir_$1)/*.c))
objects = $(patsubst %.c,$(B)/%.o,$1)
archives_of = $(call archive,$1) $(foreach b,$(below_$1),$(call archive,$b))
libs_of = $(libs_$1) $(foreach b,$(below_$1),$(libs_$b)) -lm

define folder_rules
$(call archive,$1): $(call objects,$(call sources,$1))
	$$(call say,AR,$$@)rm -f $$@; $(AR) rcs $$@ $$^
unit_$1 := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/$1/test_*.c))
$$(unit_$1): $(B)/tests/unit/$1/test_%: $(B)/tests/unit/$1/test_%.o $(call archives_of,$1)
	$$(call say,LD,$$@)$(CC) $$(flags_ld) -o $$@ $$^ $(call libs_of,$1) -lcmocka
.PHONY: unit-$1
unit-$1: $$(unit_$1)
	$(Q)set -e; for t in $$(unit_$1); do echo "== $$$$t"; $$$$t; done
endef
$(foreach f,$(folders),$(eval $(call folder_rules,$f)))

$(B)/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(flags_cpp) $(flags_c) -MMD -MP -c -o $@ $<

$(programs:%=$(B)/%): $(B)/%: $(B)/control/%.o $(call archives_of,control)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ $(call libs_of,control)

.PHONY: all clean
all: $(programs:%=$(B)/%)

clean:
	$(Q)rm -rf build build-*

.PHONY: tidy cover
tidy:
	$(Q)for f in $(foreach d,$(folders),$(wildcard $(dir_$d)/*.c)); do \
		clang-tidy --quiet $$f -- -std=gnu17 $(flags_cpp) || exit 1; done

# Lines that the unit tests and the simulator reach, per folder (gcov).
cover:
	$(Q)$(MAKE) --no-print-directory EXTRA_CFLAGS=--coverage EXTRA_LDFLAGS=--coverage \
		OPT=-O0 B=build-cover cover-run

.PHONY: cover-run
cover-run: $(foreach f,$(folders),unit-$f) sim
	$(Q)for d in $(foreach f,$(folders),$(dir_$f)); do \
		gcov -n build-cover/$$d/*.gcda 2>/dev/null | awk -v d=$$d \
		'/^File/ { own = index($$0, d "/") == 7 } own && /^Lines/ { \
			split($$2, p, ":"); n += $$4; hit += $$4 * p[2] / 100 } \
		END { printf "%-20s %5.1f %% of %d lines\n", d, n ? 100 * hit / n : 0, n }'; \
	done

# What etc/ and tests/ add has its own rules, a file each.
-include $(sort $(wildcard etc/rules.mk tests/*/rules.mk))
# The trees of make sim-traces are not this one's.
-include $(shell find $(B) -name traces -prune -o -name '*.d' -print 2>/dev/null)
