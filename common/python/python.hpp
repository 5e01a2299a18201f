// The one door to Python.h; always the first include of a file that touches Python.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>  // PyMemberDef, before 3.12

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030F0000
#error "CPython 3.11 to 3.14"
#endif
