# SPDX-License-Identifier: BSD-3-Clause
# Samples for check_states.sh; part of selftest.sh.

good
echo 'lfs/*.c x->state x_set_state x_new' >>tests/tree/states.txt
refused states 'states.txt:2: x_set_state() assigns x->state nowhere'
cat <<'END' | source_of lfs/x.c
void x_set_state(struct x *x, int state)
{
	x->state = state;
}

struct x *x_new(void)
{
	x->state = 0; /* x->state = 1 */
	if (x->state == 2)
		y.x->states = ex->state;
}
END
accepted states
printf 'void f(void)\n{\n\tif (a)\n\t\ty->x->state = 1;\n}\n' | source_of lfs/y.c
refused states 'lfs/y.c:5: assigns x->state'
printf 'void f(void)\n{\n\tx->state |= 1;\n}\n' | source_of lfs/y.c
refused states 'lfs/y.c:4: assigns x->state'
echo 'lfs/none.c x->state x_set_state' >>tests/tree/states.txt
refused states 'states.txt:3: no file is called lfs/none.c'
rm tests/tree/states.txt
refused states states.txt:1
