// SPDX-License-Identifier: BSD-3-Clause
/*
 * A main for a fuzz target where there is no libFuzzer: runs every file of a corpus, and
 * inputs made from them by chance, the same ones each time. Each runs in a child, so that
 * one that crashes or hangs is written down and the others still run.
 *
 *	replay_NAME CORPUS MUTATIONS PREFIX-OF-WHAT-CRASHES
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPLAY_FILES_MAX 4096
#define REPLAY_INPUT_MAX 65536
#define REPLAY_FRESH_MAX 1024 /* an input made from nothing */
#define REPLAY_SECONDS 20     /* an input that takes longer hangs */
#define REPLAY_FAILURES_MAX 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
	__attribute__((weak));
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

struct input {
	uint8_t *bytes;
	size_t len;
};

/* Shared with the child: which input it is at. */
struct progress {
	unsigned long at;
};

static struct input files[REPLAY_FILES_MAX];
static unsigned long nfiles;
static uint64_t random_state = 1;

static unsigned long random_below(unsigned long n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

/* ---- the corpus ----------------------------------------------------------------- */

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void corpus_read(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, not_hidden, alphasort);

	for (int i = 0; i < n; i++) {
		char path[4096];
		FILE *file;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		free(names[i]);
		file = fopen(path, "rb");
		if (!file || nfiles == REPLAY_FILES_MAX) {
			(void)fprintf(stderr, "%s: not read\n", path);
			exit(2);
		}
		files[nfiles].bytes = malloc(REPLAY_INPUT_MAX);
		if (!files[nfiles].bytes)
			exit(2);
		files[nfiles].len = fread(files[nfiles].bytes, 1, REPLAY_INPUT_MAX, file);
		(void)fclose(file);
		nfiles++;
	}
	if (n >= 0)
		free(names);
}

/* ---- mutation ------------------------------------------------------------------- */

static size_t mutate_insert(uint8_t *data, size_t size, size_t max_size)
{
	size_t at = random_below(size + 1), len = 1 + random_below(16);

	if (size + len > max_size)
		return size;
	memmove(data + at + len, data + at, size - at);
	for (size_t i = 0; i < len; i++)
		data[at + i] = (uint8_t)random_below(256);
	return size + len;
}

static size_t mutate_remove(uint8_t *data, size_t size)
{
	size_t at = random_below(size), len = 1 + random_below(16);

	if (len > size - at)
		len = size - at;
	memmove(data + at, data + at + len, size - at - len);
	return size - len;
}

static void mutate_number(uint8_t *data, size_t size)
{
	static const uint64_t edges[] = {
		0,	1,	    0x7f,	0xff,	    0x7fff,
		0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 7
	};
	size_t len = 1u << random_below(4), at;

	if (len > size)
		return;
	at = random_below(size - len + 1);
	memcpy(data + at, &edges[random_below(sizeof(edges) / sizeof(edges[0]))], len);
}

static void mutate_copy(uint8_t *data, size_t size)
{
	size_t from = random_below(size), to = random_below(size);
	size_t most = size - (from > to ? from : to);

	memmove(data + to, data + from, random_below(most + 1));
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	if (size == 0)
		return mutate_insert(data, size, max_size);
	switch (random_below(7)) {
	case 0:
	case 1:
		data[random_below(size)] ^= (uint8_t)(1 << random_below(8));
		return size;
	case 2:
		data[random_below(size)] = (uint8_t)random_below(256);
		return size;
	case 3:
		mutate_number(data, size);
		return size;
	case 4:
		mutate_copy(data, size);
		return size;
	case 5:
		return mutate_insert(data, size, max_size);
	default:
		return random_below(4) ? mutate_remove(data, size) : random_below(size);
	}
}

/* Input number `at` behind the files: a function of that number alone. */
static size_t input_make(unsigned long at, uint8_t *data)
{
	size_t size = 0;

	random_state = (at + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (nfiles && random_below(16)) {
		const struct input *from = &files[random_below(nfiles)];

		memcpy(data, from->bytes, from->len);
		size = from->len;
	} else {
		size = random_below(REPLAY_FRESH_MAX);
		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)random_below(256);
	}
	for (unsigned long n = 1 + random_below(8); n; n--) {
		if (LLVMFuzzerCustomMutator)
			size = LLVMFuzzerCustomMutator(data, size, REPLAY_INPUT_MAX,
						       (unsigned)random_below(1u << 31));
		else
			size = LLVMFuzzerMutate(data, size, REPLAY_INPUT_MAX);
	}
	return size;
}

/* ---- running -------------------------------------------------------------------- */

static size_t input_get(unsigned long at, uint8_t *data)
{
	if (at >= nfiles)
		return input_make(at, data);
	memcpy(data, files[at].bytes, files[at].len);
	return files[at].len;
}

/* The target gets a copy of just its size, so that a sanitizer sees every overrun. */
static void run_one(unsigned long at)
{
	static uint8_t data[REPLAY_INPUT_MAX];
	size_t size = input_get(at, data);
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		exit(2);
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static bool run_from(struct progress *progress, unsigned long end)
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		exit(2);
	if (child == 0) {
		for (; progress->at < end; progress->at++) {
			(void)alarm(REPLAY_SECONDS);
			run_one(progress->at);
		}
		exit(0); /* as main would, so that a leak is a failure */
	}
	if (waitpid(child, &status, 0) < 0)
		exit(2);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && progress->at == end;
}

static void write_down(const char *prefix, unsigned long at)
{
	static uint8_t data[REPLAY_INPUT_MAX];
	size_t size = input_get(at, data);
	char path[4096];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%scrash-%lu", prefix, at);
	file = fopen(path, "wb");
	if (file && fwrite(data, 1, size, file) == size)
		(void)fprintf(stderr, "input %lu failed, written to %s\n", at, path);
	if (file)
		(void)fclose(file);
}

int main(int argc, char **argv)
{
	unsigned long end, failed = 0;
	struct progress *progress;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: %s CORPUS MUTATIONS PREFIX\n", argv[0]);
		return 2;
	}
	corpus_read(argv[1]);
	end = nfiles + strtoul(argv[2], NULL, 10);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return 2;
	if (LLVMFuzzerInitialize)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	while (progress->at < end && failed < REPLAY_FAILURES_MAX) {
		if (run_from(progress, end))
			break;
		failed++;
		if (progress->at < end)
			write_down(argv[3], progress->at++);
	}
	(void)printf("%lu passed, %lu failed\n", progress->at - failed, failed);
	return failed != 0;
}
