# SPDX-License-Identifier: BSD-3-Clause
# KBV_CHECK_SANITIZERS
# --enable-sanitizers=address,undefined or =thread. The flags go into CFLAGS and
# LDFLAGS so that our code and Unbound's are built alike: a sanitizer that sees
# only half of the program reports nonsense.
AC_DEFUN([KBV_CHECK_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers=LIST],
        [build with sanitizers: "address,undefined" or "thread"])],
    [], [enable_sanitizers=no])
AS_CASE([$enable_sanitizers],
    [no], [KBV_SANITIZERS=],
    [yes], [KBV_SANITIZERS=address,undefined],
    [KBV_SANITIZERS=$enable_sanitizers])
AS_IF([test -n "$KBV_SANITIZERS"], [
    kbv_flags="-fsanitize=$KBV_SANITIZERS -fno-omit-frame-pointer"
    AS_CASE([$KBV_SANITIZERS], [*undefined*], [kbv_flags="$kbv_flags -fno-sanitize-recover=all"])
    UNBOUND_CONFIGURE=--enable-debug # its assertions too
    CFLAGS="$CFLAGS $kbv_flags"
    LDFLAGS="$LDFLAGS $kbv_flags"
    AC_MSG_CHECKING([whether the compiler has -fsanitize=$KBV_SANITIZERS])
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([--enable-sanitizers=$KBV_SANITIZERS: the compiler cannot link with it])])
])
AC_SUBST([KBV_SANITIZERS])
AC_SUBST([UNBOUND_CONFIGURE])
])
