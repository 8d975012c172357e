// SPDX-License-Identifier: BSD-3-Clause
/*
 * prefixer URI VOLUME LOG
 *
 * Reads a volume that `stamper` wrote, as it is after a disaster, and says which prefix of
 * the writes it shows and whether every completed one is in it. It knows nothing of the
 * daemons: bytes of the image, and the log of the writer that outlived them.
 *
 * Exit: 0 the image is a prefix (missing= may still be more than 0); 1 it is not, or it
 * holds a block that nobody wrote; 2 it could not look.
 */
#include "tests/disaster/stamp.h"

#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (1 << 20)

struct image {
	uint64_t blocks;
	uint64_t *seen, *below;
	uint64_t *completed;
	uint64_t n_completed;
	uint64_t foreign; /* blocks that are no stamp, or one of elsewhere */
};

static int read_log(const char *path, struct image *image)
{
	FILE *log = fopen(path, "rbe");
	long bytes;

	if (log == NULL || fread(&image->blocks, sizeof(image->blocks), 1, log) != 1 ||
	    fseek(log, 0, SEEK_END) != 0 || (bytes = ftell(log)) < 8 ||
	    fseek(log, 8, SEEK_SET) != 0)
		goto fail;
	image->n_completed = (uint64_t)bytes / 8 - 1;
	image->completed = calloc(image->n_completed + 1, sizeof(uint64_t));
	if (image->completed == NULL || bytes % 8 != 0 ||
	    fread(image->completed, 8, image->n_completed, log) != image->n_completed)
		goto fail;
	(void)fclose(log);
	return 0;
fail:
	(void)fprintf(stderr, "prefixer: %s: no log of a stamper\n", path);
	if (log != NULL)
		(void)fclose(log);
	return -EINVAL;
}

static void look(struct image *image, uint64_t volume, uint64_t lba, const uint8_t *block)
{
	struct stamp stamp;
	int err = stamp_decode(block, &stamp);

	if (err == -ENOENT)
		return;
	if (err != 0 || stamp.volume != volume || stamp.lba != lba ||
	    stamp_lba(stamp.number, image->blocks) != lba) {
		if (image->foreign++ == 0)
			(void)fprintf(stderr,
				      "prefixer: block %llu is not what was written\n",
				      (unsigned long long)lba);
		return;
	}
	image->seen[lba] = stamp.number;
	image->below[lba] = stamp.below;
}

static int read_image(const char *uri, uint64_t volume, struct image *image)
{
	struct nbd_handle *nbd = nbd_create();
	uint64_t size = image->blocks * STAMP_BLOCK;
	uint8_t *piece = malloc(PIECE);
	int err = -EIO;

	image->seen = calloc(image->blocks, sizeof(uint64_t));
	image->below = calloc(image->blocks, sizeof(uint64_t));
	if (nbd == NULL || piece == NULL || image->seen == NULL || image->below == NULL ||
	    nbd_connect_uri(nbd, uri) < 0)
		goto out;
	for (uint64_t at = 0; at < size; at += PIECE) {
		uint64_t n = size - at < PIECE ? size - at : PIECE;

		if (nbd_pread(nbd, piece, n, at, 0) < 0)
			goto out;
		for (uint64_t i = 0; i < n; i += STAMP_BLOCK)
			look(image, volume, (at + i) / STAMP_BLOCK, piece + i);
	}
	(void)nbd_shutdown(nbd, 0);
	err = 0;
out:
	if (err != 0)
		(void)fprintf(stderr, "prefixer: %s\n",
			      nbd_get_error() ? nbd_get_error() : "no memory");
	nbd_close(nbd);
	free(piece);
	return err;
}

int main(int argc, char **argv)
{
	struct image image = { 0 };
	struct stamp_verdict verdict;
	bool prefix;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: prefixer URI VOLUME LOG\n");
		return 2;
	}
	if (read_log(argv[3], &image) != 0 ||
	    read_image(argv[1], stamp_volume(argv[2]), &image) != 0)
		return 2;
	stamp_judge(image.seen, image.below, image.blocks, image.completed,
		    image.n_completed, &verdict);
	prefix = image.foreign == 0 && verdict.broken == 0;
	(void)printf(
		"prefix=%s exact=%s last=%llu completed=%llu missing=%llu holes=%llu "
		"broken=%llu foreign=%llu\n",
		prefix ? "yes" : "no", prefix && verdict.holes == 0 ? "yes" : "no",
		(unsigned long long)verdict.last, (unsigned long long)image.n_completed,
		(unsigned long long)verdict.missing, (unsigned long long)verdict.holes,
		(unsigned long long)verdict.broken, (unsigned long long)image.foreign);
	free(image.seen);
	free(image.below);
	free(image.completed);
	return prefix ? 0 : 1;
}
