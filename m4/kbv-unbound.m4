# SPDX-License-Identifier: BSD-3-Clause
# KBV_CHECK_UNBOUND
# Finds the Unbound to build: the tree given by --with-unbound-source, or the
# distribution's own source package, which scripts/unbound-source fetches (and
# keeps) without root and without touching the system's apt configuration.
AC_DEFUN([KBV_CHECK_UNBOUND], [
AC_ARG_WITH([unbound-source],
    [AS_HELP_STRING([--with-unbound-source=DIR],
        [an unpacked Unbound source, which is copied and never modified
         @<:@default: the distribution's source package@:>@])],
    [], [with_unbound_source=])
AC_ARG_WITH([unbound-cache],
    [AS_HELP_STRING([--with-unbound-cache=DIR],
        [where sources and builds of Unbound are kept
         @<:@default: $XDG_CACHE_HOME/lorawan-kbv@:>@])],
    [UNBOUND_CACHE=$withval], [UNBOUND_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lorawan-kbv])
AS_CASE([$UNBOUND_CACHE], [/*], [], [UNBOUND_CACHE=$(pwd)/$UNBOUND_CACHE])

AC_MSG_CHECKING([for Unbound's source])
AS_CASE([$with_unbound_source],
    [no], [AC_MSG_ERROR([--without-unbound-source makes no sense: the module is linked into Unbound])],
    [''|yes], [UNBOUND_SOURCE=$("$srcdir/scripts/unbound-source" --cache "$UNBOUND_CACHE" --log config.log) ||
        AC_MSG_ERROR([no Unbound source: see config.log, or give one by --with-unbound-source=DIR])],
    [UNBOUND_SOURCE=$(cd "$with_unbound_source" && pwd) ||
        AC_MSG_ERROR([--with-unbound-source=$with_unbound_source: no such directory])])
UNBOUND_VERSION=$(sed -n "s/^PACKAGE_VERSION='\(.*\)'/\1/p" "$UNBOUND_SOURCE/configure")
AS_IF([test -f "$UNBOUND_SOURCE/services/modstack.c" && test -n "$UNBOUND_VERSION"],
    [AC_MSG_RESULT([$UNBOUND_SOURCE ($UNBOUND_VERSION)])],
    [AC_MSG_ERROR([$UNBOUND_SOURCE is no unpacked Unbound source])])

AC_SUBST([UNBOUND_SOURCE])
AC_SUBST([UNBOUND_CACHE])
AC_SUBST([UNBOUND_VERSION])
])
