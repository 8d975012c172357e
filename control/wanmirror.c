// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>

#include "control/command.h"
#include "control/process.h"

int main(int argc, char **argv)
{
	struct command command;
	enum control_exit exit;

	if (process_prepare("wanmirror") < 0)
		return CONTROL_FAILED;
	exit = command_parse(argc, argv, &command, stdout, stderr);
	if (exit == CONTROL_DONE)
		exit = command_run(&command, stdout, stderr);
	return (int)exit;
}
