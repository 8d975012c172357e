// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* A pcap file with nanoseconds, each packet beginning with its IP head. */
#define LINK_RAW 101

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

int wanem_capture_open(FILE **file, const char *path)
{
	struct file_head head = { .magic = 0xa1b23c4d,
				  .major = 2,
				  .minor = 4,
				  .snap = 65535,
				  .link = LINK_RAW };

	wanem_capture_close(file);
	*file = fopen(path, "wbe");
	if (*file == NULL)
		return -errno;
	if (fwrite(&head, sizeof(head), 1, *file) != 1) {
		wanem_capture_close(file);
		return -EIO;
	}
	return 0;
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The head that a relayed datagram would have on a line. */
static void ip_head(const struct wanem *w, const struct wanem_event *event, uint8_t *ip)
{
	const struct sockaddr_in *from = event->dir == WANEM_AB ? &w->peer : &w->to;
	const struct sockaddr_in *to = event->dir == WANEM_AB ? &w->to : &w->peer;

	ip[0] = 0x45;
	put16(ip + 2, IP_HEAD + UDP_HEAD + event->len);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, &from->sin_addr, 4);
	memcpy(ip + 16, &to->sin_addr, 4);
	memcpy(ip + 20, &from->sin_port, 2);
	memcpy(ip + 22, &to->sin_port, 2);
	put16(ip + 24, UDP_HEAD + event->len);
}

void wanem_capture(struct wanem *w, FILE **file, const struct wanem_event *event,
		   uint64_t now)
{
	uint32_t head_len = w->is_tun ? 0 : IP_HEAD + UDP_HEAD;
	struct packet_head head = { .seconds = (uint32_t)(now / 1000000000),
				    .nanoseconds = (uint32_t)(now % 1000000000),
				    .kept = head_len + event->len,
				    .len = head_len + event->len };
	uint8_t ip[IP_HEAD + UDP_HEAD] = { 0 };

	if (*file == NULL)
		return;
	if (head_len != 0)
		ip_head(w, event, ip);
	if (fwrite(&head, sizeof(head), 1, *file) != 1 ||
	    fwrite(ip, 1, head_len, *file) != head_len ||
	    fwrite(event->data, 1, event->len, *file) != event->len) {
		(void)fprintf(stderr, "wanem: capture stopped: %s\n", strerror(errno));
		wanem_capture_close(file);
	}
}

void wanem_capture_close(FILE **file)
{
	if (*file != NULL && fclose(*file) != 0)
		(void)fprintf(stderr, "wanem: capture is incomplete\n");
	*file = NULL;
}
