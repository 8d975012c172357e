// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* A pcap file with nanoseconds, each packet an IPv4 one (LINKTYPE_IPV4). */
struct file_head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snap, link;
};

struct packet_head {
	uint32_t seconds, nanoseconds, kept, len;
};

#define IP_HEAD 20
#define UDP_HEAD 8

int wanem_capture_open(struct wanem *w, const char *path)
{
	struct file_head head = {
		.magic = 0xa1b23c4d, .major = 2, .minor = 4, .snap = 65535, .link = 228
	};

	wanem_capture_close(w);
	w->capture = fopen(path, "wbe");
	if (w->capture == NULL)
		return -errno;
	if (fwrite(&head, sizeof(head), 1, w->capture) != 1) {
		wanem_capture_close(w);
		return -EIO;
	}
	return 0;
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void wanem_capture(struct wanem *w, const struct wanem_event *event, uint64_t now)
{
	const struct sockaddr_in *from = event->dir == WANEM_AB ? &w->peer : &w->to;
	const struct sockaddr_in *to = event->dir == WANEM_AB ? &w->to : &w->peer;
	struct packet_head head = { .seconds = (uint32_t)(now / 1000000000),
				    .nanoseconds = (uint32_t)(now % 1000000000),
				    .kept = IP_HEAD + UDP_HEAD + event->len,
				    .len = IP_HEAD + UDP_HEAD + event->len };
	uint8_t ip[IP_HEAD + UDP_HEAD] = { 0x45 };

	put16(ip + 2, head.len);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, &from->sin_addr, 4);
	memcpy(ip + 16, &to->sin_addr, 4);
	memcpy(ip + 20, &from->sin_port, 2);
	memcpy(ip + 22, &to->sin_port, 2);
	put16(ip + 24, UDP_HEAD + event->len);
	if (fwrite(&head, sizeof(head), 1, w->capture) != 1 ||
	    fwrite(ip, sizeof(ip), 1, w->capture) != 1 ||
	    fwrite(event->data, event->len, 1, w->capture) != 1) {
		(void)fprintf(stderr, "wanem: capture stopped: %s\n", strerror(errno));
		wanem_capture_close(w);
	}
}

void wanem_capture_close(struct wanem *w)
{
	if (w->capture != NULL && fclose(w->capture) != 0)
		(void)fprintf(stderr, "wanem: capture is incomplete\n");
	w->capture = NULL;
}
