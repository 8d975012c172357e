// SPDX-License-Identifier: BSD-3-Clause
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "control/config.h"
#include "control/daemon.h"
#include "control/process.h"
#include "control/version.h"
#include "rt/log.h"

static const char usage[] =
	"usage: wanmirrord [-c FILE] [-n] [-v] [-s]\n"
	"  -c FILE   configuration, " CONFIG_DEFAULT_PATH " if it is not said\n"
	"  -n        check it, say what it means, and end\n"
	"  -v        say more on standard error\n"
	"  -s        serve one NBD connection on standard input and output\n"
	"See wanmirrord(8).\n";

static int configuration_run(const struct daemon_params *params, bool check_only)
{
	static struct config config; /* large */
	static struct config_errors errors;

	if (config_load(params->path, CONFIG_READ_KEYS, &config, &errors) < 0) {
		config_errors_print(&errors, stderr);
		return CONTROL_FAILED;
	}
	if (check_only && config_check_host(params->path, &config, &errors) < 0) {
		config_errors_print(&errors, stderr);
		return CONTROL_FAILED;
	}
	if (check_only) {
		config_describe(&config, stdout);
		return fflush(stdout) == 0 ? CONTROL_DONE : CONTROL_FAILED;
	}
	rt_log_set_level(params->verbose ? RT_LOG_DEBUG : config.log);
	process_prepare_log();
	return daemon_run(&config, params);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct daemon_params params = { .path = CONFIG_DEFAULT_PATH };
	bool check_only = false;
	int option;

	process_prepare_signals();
	if (process_prepare("wanmirrord") < 0)
		return CONTROL_FAILED;
	while ((option = getopt_long(argc, argv, "c:hnsv", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			params.path = optarg;
			break;
		case 'n':
			check_only = true;
			break;
		case 's':
			params.single = true;
			break;
		case 'v':
			params.verbose = true;
			break;
		case 'h':
			printf("%s", usage);
			return CONTROL_DONE;
		case 'V':
			printf("wanmirrord %s\n", WANMIRROR_VERSION);
			return CONTROL_DONE;
		default:
			fprintf(stderr, "%s", usage);
			return CONTROL_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "wanmirrord: %s: no such argument\n%s", argv[optind],
			usage);
		return CONTROL_USAGE;
	}
	return configuration_run(&params, check_only);
}
