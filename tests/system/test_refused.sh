#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Each system call of a program's set-up is refused, as by a seccomp filter: the program
# does without it, or ends with 1 and a sentence that has the system's error. It never ends by a
# signal and never hangs. Calls that are made before main (the dynamic linker's) are let be.
#
# REFUSED=all refuses them from each of their occurrences on, not only from the first one,
# and takes minutes.
. "$(dirname "$0")/lib.sh"

# Not refused, with the reason:
#   brk          the kernel never refuses it; the C library takes a filter's answer for memory
#   execve exit_group rt_sigreturn    no program starts, ends or returns from a handler else
#   rseq set_tid_address set_robust_list arch_prctl access    the C library's, before main
left_be=' brk execve exit_group rt_sigreturn rseq set_tid_address set_robust_list arch_prctl access '

can_refuse()
{
	status=0
	"$tools/refuse" list NEVER true >"$T/can" 2>&1 || status=$?
	[ $status -eq 0 ] || skip "no seccomp filter that asks: $(cat "$T/can")"
}

# calls_of PROGRAM ARGUMENT...: what it calls in its set-up and not before it, a line each:
# name, times before main, times in all.
calls_of()
{
	"$tools/refuse" list NEVER "$1" --version >"$T/before" 2>/dev/null
	"$tools/refuse" list "$ready" "$@" >"$T/all" 2>"$T/all.err"
	grep -q 'end=exit-0' "$T/all" || fail "it does not start: $(cat "$T/all.err")"
	awk '$1 != "call" { next } NR == FNR { n[$2] = $3; next }
		$3 > n[$2] { print $2, n[$2] + 0, $3 }' "$T/before" "$T/all"
}

# The set-up again as it was.
anew()
{
	rm -f "$T/new.store" "$T/near.ctl" "$T/near.nbd"
}

# refused CALL ERROR TEXT FROM PROGRAM ARGUMENT...
refused()
{
	call=$1 error=$2 text=$3 from=$4
	shift 4
	anew
	end=$("$tools/refuse" "$call" "$error" "$from" "$ready" "$@" 2>"$T/err" | tail -n 1)
	grep -v '^info' "$T/err" | tail -n 1 >"$T/sentence"
	cut -c1-160 "$T/sentence"
	case $end in
	end=exit-0) ;;
	end=exit-1)
		grep -q "$text" "$T/sentence" ||
			fail "$call $error $from: does not say what: $(cat "$T/err")"
		;;
	*) fail "$call $error $from: $end $(cat "$T/err")" ;;
	esac
	echo "$call $error $from $end"
}

# each_refused PROGRAM ARGUMENT...: READY is in a line of its log when it is set up.
each_refused()
{
	calls_of "$@" >"$T/calls"
	! grep unknown "$T/calls" || fail "calls that tests/system/refuse.c does not know"
	tried=0
	while read -r call before times; do
		case $left_be in
		*" $call "*) continue ;;
		esac
		[ "${REFUSED:-}" = all ] || times=$((before + 1))
		while [ "$before" -lt "$times" ]; do
			before=$((before + 1))
			refused "$call" EPERM 'Operation not permitted' $before "$@"
			# Without a log one waits, and of umask() nobody says why it failed.
			[ "$call" = write ] || [ "$call" = umask ] ||
				refused "$call" ENOSYS 'Function not implemented' $before "$@"
			tried=$((tried + 1))
		done
	done <"$T/calls"
	[ $tried -ge "$at_least" ] || fail "only $tried calls"
}

# each_hung_up PROGRAM ARGUMENT...: SIGHUP before the first call of each kind.
each_hung_up()
{
	calls_of "$@" >"$T/calls"
	tried=0
	while read -r call before times; do
		anew
		end=$("$tools/refuse" "$call" HANGUP $((before + 1)) "$ready" "$@" \
			2>"$T/err" | tail -n 1)
		grep -q "$ready" "$T/err" || fail "$call: not ready: $(cat "$T/err")"
		[ "$end" = end=exit-0 ] || fail "$call: $end $(cat "$T/err")"
		tried=$((tried + 1))
	done <"$T/calls"
	[ $tried -ge "$at_least" ] || fail "only $tried calls"
}

configure()
{
	can_refuse
	port=$("$tools/ports" 1)
	nbd_listen="\"tcp:127.0.0.1:$("$tools/ports" 1)\""
	"$build/wanmirror" keygen "$T/key"
	site near primary "open_timeout = \"100ms\";
		peer: { listen = \"127.0.0.1:$port\"; key = \"$T/key\"; rate = \"1Gbit\"; };"
}

test_daemon_with_each_call_refused()
{
	configure
	create near
	ready='serving role' at_least=20
	each_refused "$build/wanmirrord" -c "$T/near.conf"
}

test_create_with_each_call_refused()
{
	configure
	sed 's/near.store/new.store/' near.conf >new.conf
	ready='NEVER' at_least=10
	each_refused "$build/wanmirror" create -c "$T/new.conf"
	# What could not be made whole is not left as an empty file.
	refused flock EPERM 'not permitted' 1 "$build/wanmirror" create -c "$T/new.conf"
	[ ! -e new.store ] || fail "left behind"
}

test_check_with_each_call_refused()
{
	configure
	ready='NEVER' at_least=3
	each_refused "$build/wanmirrord" -n -c "$T/near.conf"
}

# A hang-up is for reading the configuration again; nobody dies of one, however early it is.
test_daemon_hung_up_at_each_call()
{
	configure
	create near
	ready='serving role' at_least=20
	each_hung_up "$build/wanmirrord" -c "$T/near.conf"
}

edge()
{
	can_refuse
	"$build/wanmirror" keygen "$T/key"
	edge_port=$("$tools/ports" 1)
	ready='relaying at' at_least=10
}

test_edge_hung_up_at_each_call()
{
	edge
	each_hung_up "$build/wanmirror-edge" -l "127.0.0.1:$edge_port" -m 127.0.0.1:9 -k "$T/key"
}

# Whoever reads its log may end; and where it cannot listen it says what helps.
test_edge_outlives_who_reads_its_log()
{
	edge
	mkfifo log
	"$build/wanmirror-edge" -l "127.0.0.1:$edge_port" -m 127.0.0.1:9 -k "$T/key" 2>log &
	edge=$!
	later "end $edge"
	head -n 1 log >first
	grep -q 'relaying at' first
	! "$build/wanmirror-edge" -l "127.0.0.1:$edge_port" -m 127.0.0.1:9 -k "$T/key" 2>err ||
		fail "two of them"
	grep -q 'another process has it' err || fail "no hint: $(cat err)"
	kill -HUP $edge # which is a line of the log
	kill $edge
	wait_for 10 gone $edge
	wait $edge || fail "ended with $?"
}

run test_daemon_hung_up_at_each_call
run test_edge_hung_up_at_each_call
run test_edge_outlives_who_reads_its_log
run test_daemon_with_each_call_refused
run test_create_with_each_call_refused
run test_check_with_each_call_refused
finish
