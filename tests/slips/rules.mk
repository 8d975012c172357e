# SPDX-License-Identifier: BSD-3-Clause
#
# make slips ROOM=fec SLIPS=FOLDER [SCENARIOS="leave pair"] [RUNS=n]
#   each patch in FOLDER is a slip; the room's unit tests and the simulator must notice it

.PHONY: slips
slips:
	$(Q)CC='$(CC)' sh tests/slips/run.sh '$(ROOM)' '$(SLIPS)' $(or $(RUNS),300) '$(SCENARIOS)'
