# SPDX-License-Identifier: BSD-3-Clause
#
# make demo    the main job on real data: two sites, a disaster, and what is left
# make run     two sites that stay; make stop ends them

.PHONY: demo run stop
demo: deps
	$(Q)$(MAKE) --no-print-directory all check-programs
	$(Q)B='$(B)' sh tests/demo/demo.sh

run: deps
	$(Q)$(MAKE) --no-print-directory all check-programs
	$(Q)B='$(B)' sh tests/demo/run.sh

stop:
	$(Q)B='$(B)' sh tests/demo/run.sh stop
