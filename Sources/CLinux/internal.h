// What the shim's own files share.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>

/// Repeats an interrupted call and gives its value or minus errno.
#define MARTLET_TRY(call)                          \
    ({                                             \
        __typeof__(call) result_;                  \
        do result_ = (call);                       \
        while (result_ < 0 && errno == EINTR);     \
        result_ < 0 ? -(__typeof__(call))errno : result_; \
    })
