# SPDX-License-Identifier: BSD-3-Clause
#
# make install DESTDIR= PREFIX=     programs, manual, documents, examples, systemd unit
# make uninstall DESTDIR= PREFIX=   the same away again; never configuration, keys, stores

PREFIX ?= /usr/local
DESTDIR ?=
sbindir ?= $(PREFIX)/sbin
bindir ?= $(PREFIX)/bin
mandir ?= $(PREFIX)/share/man
docdir ?= $(PREFIX)/share/doc/wanmirror
unitdir ?= $(PREFIX)/lib/systemd/system
sysusersdir ?= $(PREFIX)/lib/sysusers.d
INSTALL ?= install

etc_examples := etc/wanmirror-primary.conf etc/wanmirror-mirror.conf
etc_docs := README.md LICENSE $(wildcard docs/*.md)
etc_man := wanmirror.1 wanmirror.conf.5 wanmirrord.8 wanmirror-edge.8
# wanmirror.1 goes to man1, and so on.
etc_man_path = man$(patsubst .%,%,$(suffix $1))/$1

.PHONY: install uninstall
install: $(programs:%=$(B)/%)
	$(Q)$(INSTALL) -D -m 755 $(B)/wanmirrord '$(DESTDIR)$(sbindir)/wanmirrord'
	$(Q)$(INSTALL) -D -m 755 $(B)/wanmirror-edge '$(DESTDIR)$(sbindir)/wanmirror-edge'
	$(Q)$(INSTALL) -D -m 755 $(B)/wanmirror '$(DESTDIR)$(bindir)/wanmirror'
	$(Q)set -e; for page in $(foreach m,$(etc_man),$(call etc_man_path,$m)); do \
		$(INSTALL) -D -m 644 "docs/man/$${page#*/}" "$(DESTDIR)$(mandir)/$$page"; \
	done
	$(Q)for file in $(etc_examples); do \
		$(INSTALL) -D -m 644 "$$file" "$(DESTDIR)$(docdir)/$${file#etc/}" || exit 1; \
	done
	$(Q)for file in $(etc_docs); do \
		$(INSTALL) -D -m 644 "$$file" "$(DESTDIR)$(docdir)/$${file##*/}" || exit 1; \
	done
	$(Q)$(INSTALL) -D -m 644 etc/wanmirror.sysusers \
		'$(DESTDIR)$(sysusersdir)/wanmirror.conf'
	$(Q)mkdir -p '$(DESTDIR)$(unitdir)'
	$(Q)sed 's,@sbindir@,$(sbindir),' etc/wanmirrord.service \
		>'$(DESTDIR)$(unitdir)/wanmirrord.service'
	$(Q)chmod 644 '$(DESTDIR)$(unitdir)/wanmirrord.service'

uninstall:
	$(Q)rm -f '$(DESTDIR)$(sbindir)/wanmirrord' '$(DESTDIR)$(bindir)/wanmirror' \
		'$(DESTDIR)$(sbindir)/wanmirror-edge' \
		'$(DESTDIR)$(unitdir)/wanmirrord.service' \
		'$(DESTDIR)$(sysusersdir)/wanmirror.conf' \
		$(foreach m,$(etc_man),'$(DESTDIR)$(mandir)/$(call etc_man_path,$m)') \
		$(etc_examples:etc/%='$(DESTDIR)$(docdir)/%') \
		$(foreach d,$(etc_docs),'$(DESTDIR)$(docdir)/$(notdir $d)')
	$(Q)rmdir '$(DESTDIR)$(docdir)' 2>/dev/null || true
