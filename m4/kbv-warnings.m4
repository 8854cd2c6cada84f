# SPDX-License-Identifier: BSD-3-Clause
# KBV_CHECK_WARNINGS
# Sets KBV_CFLAGS to those of our warnings that the compiler knows, and the
# language our code is written in. --enable-werror makes them errors.
AC_DEFUN([KBV_CHECK_WARNINGS], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])],
    [], [enable_werror=no])
KBV_CFLAGS="-std=gnu11"
kbv_saved_cflags=$CFLAGS
for kbv_flag in -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
    -Wvla -Wformat=2 -Wundef -Wwrite-strings; do
    CFLAGS="$kbv_saved_cflags -Werror $kbv_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [KBV_CFLAGS="$KBV_CFLAGS $kbv_flag"])
done
CFLAGS=$kbv_saved_cflags
AS_IF([test "$enable_werror" != no], [KBV_CFLAGS="$KBV_CFLAGS -Werror"])
AC_SUBST([KBV_CFLAGS])
])
