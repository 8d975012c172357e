/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_WHY_H
#define LFS_WHY_H

#include <stdio.h>

#include "lfs/lfs.h"

/* A reason for people, into a buffer of LFS_WHY_MAX bytes. */
#define lfs_say(why, ...) ((void)snprintf(why, LFS_WHY_MAX, __VA_ARGS__))

#endif
