# SPDX-License-Identifier: BSD-3-Clause
#
# make wan     the tests of the WAN emulator

wan_tools := $(patsubst %,$(B)/tests/wan/%,wanprobe flow)
wanem_objects := $(filter-out $(wan_tools:=.o),$(patsubst %.c,$(B)/%.o,$(wildcard tests/wan/*.c)))
$(B)/tests/wan/wanem: $(wanem_objects)
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lm

$(wan_tools): %: %.o
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $^ -lm

unit_wan := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/wan/test_*.c))
$(unit_wan): $(B)/tests/unit/wan/test_%: $(B)/tests/unit/wan/test_%.o \
		$(filter-out $(B)/tests/wan/wanem.o,$(wanem_objects))
	$(call say,LD,$@)$(CC) $(flags_ld) -o $@ $< $(B)/tests/wan/line.o $(B)/tests/wan/units.o \
		$(B)/tests/wan/event.o -lm -lcmocka

.PHONY: unit-wan wan
unit: unit-wan
unit-wan: $(unit_wan)
	$(Q)set -e; for t in $(unit_wan); do echo "== $$t"; $$t; done

wan: $(B)/tests/wan/wanem $(wan_tools)
	$(Q)sh tests/wan/run.sh $(B)

check-programs: $(B)/tests/wan/wanem $(wan_tools)
