/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_LIST_H
#define RT_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * An intrusive, circular, doubly linked list. A head is an rt_list of its own; an
 * element that is in no list is initialised, too, so that removing it is harmless.
 */
struct rt_list {
	struct rt_list *next, *prev;
};

static inline void rt_list_init(struct rt_list *l)
{
	l->next = l->prev = l;
}

static inline bool rt_list_empty(const struct rt_list *l)
{
	return l->next == l;
}

static inline void rt_list_push_back(struct rt_list *head, struct rt_list *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

static inline void rt_list_push_front(struct rt_list *head, struct rt_list *e)
{
	rt_list_push_back(head->next, e);
}

static inline void rt_list_remove(struct rt_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	rt_list_init(e);
}

/* The first element, taken out, or NULL. */
static inline struct rt_list *rt_list_pop(struct rt_list *head)
{
	struct rt_list *e = head->next;

	if (e == head)
		return NULL;
	rt_list_remove(e);
	return e;
}

#endif
