#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Calls that are banned everywhere, and calls that go around rt/ in the engine: all
# memory comes from rt/mem.h, all disk, network, time and randomness from rt/loop.h, or
# the simulator does not see them.
. "$(dirname "$0")/lib.sh"

everywhere="strcpy|strcat|sprintf|vsprintf|atoi|atol|atoll|alloca|system|gets|strtok|popen"
around="malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign"
around="$around|time|gettimeofday|clock_gettime|clock|nanosleep|sleep|usleep"
around="$around|rand|srand|random|srandom|getrandom|arc4random"
around="$around|open|openat|close|read|write|pread|pwrite|readv|writev|preadv|pwritev|fsync"
around="$around|fdatasync|fallocate|ftruncate|socket|bind|listen|accept|connect|send|sendto"
around="$around|sendmsg|recv|recvfrom|recvmsg|setsockopt|getsockopt|poll|select|epoll_wait"
around="$around|ioctl|fork|pthread_create"

files . c h | xargs -r awk -v names="$everywhere" -f "$here/c.awk" -f "$here/calls.awk" \
	>"$complaints"
files "$engine" c h |
	xargs -r awk -v names="$around" -f "$here/c.awk" -f "$here/calls.awk" >>"$complaints"
verdict
