// What the shim's own files share.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>

// Older headers do not have them.
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/// Repeats an interrupted call and gives its value or minus errno.
#define MARTLET_TRY(call)                          \
    ({                                             \
        __typeof__(call) result_;                  \
        do result_ = (call);                       \
        while (result_ < 0 && errno == EINTR);     \
        result_ < 0 ? -(__typeof__(call))errno : result_; \
    })
