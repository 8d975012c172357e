# SPDX-License-Identifier: BSD-3-Clause
# How the demo talks, for scripts that are sourced.

held=0
not_held=0

# A paragraph of what happens next.
say()
{
	echo
	echo "$*" | fold -s -w 88 | sed 's/ *$//'
}

# A result.
fact()
{
	echo "   -> $*"
}

# holds "what" command ...: a check of the verdict.
holds()
{
	what=$1
	shift
	if "$@"; then
		held=$((held + 1))
		echo "   ok     $what"
	else
		not_held=$((not_held + 1))
		echo "   FAILED $what"
	fi
}

milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

seconds() # of milliseconds
{
	awk -v ms="$1" 'BEGIN { printf "%.1f", ms / 1000 }'
}

ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
}

# The value of name=value among the words of a file.
word()
{
	tr ' ' '\n' <"$2" | sed -n "s/^$1=//p"
}

# nbdcopy with its progress on one line of a terminal, or every tenth on a pipe.
copy_with_progress() # FROM TO
{
	rm -f "$work/copied"
	{
		nbdcopy --progress=3 "$1" "$2" 3>&1 >"$work/copy.log" 2>&1 && : >"$work/copied"
	} | if [ -t 1 ]; then
		while read -r at; do
			printf '\r      %3d %%' "${at%/*}"
		done
		printf '\r            \r'
	else
		awk -F / '{ while ($1 >= next_) { printf " %d%%", next_; next_ += 10; fflush() } }
			END { print "" }' next_=10 | sed 's/^/     /'
	fi
	[ -e "$work/copied" ] || {
		cat "$work/copy.log"
		return 1
	}
}
