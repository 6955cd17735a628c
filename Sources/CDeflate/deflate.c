#include "CDeflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

struct martlet_deflater {
    z_stream zlib;
};

struct martlet_inflater {
    z_stream zlib;
    // Set once everything is there: from then on zlib gets no memory any more.
    int is_ready;
};

enum { near_window = 11, whole_window = 15, memory_level = 6 };

static voidpf give(voidpf owner, uInt items, uInt size) {
    const int *is_ready = owner;
    if (is_ready && *is_ready) return Z_NULL;
    return calloc(items, size);
}

static void take_back(voidpf owner, voidpf memory) {
    (void)owner;
    free(memory);
}

martlet_deflater *martlet_deflater_make(void) {
    martlet_deflater *stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->zlib.zalloc = give;
    stream->zlib.zfree = take_back;
    // All of a deflater's memory is had here. Less of it for hashes than usual: they are cleared for every packet.
    if (deflateInit2(
            &stream->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -near_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

void martlet_deflater_free(martlet_deflater *stream) {
    deflateEnd(&stream->zlib);
    free(stream);
}

size_t martlet_deflate(martlet_deflater *stream, const uint8_t *from, size_t count, uint8_t *to, size_t room) {
    if (count > UINT_MAX || room > UINT_MAX || room == 0 || deflateReset(&stream->zlib) != Z_OK) return 0;
    stream->zlib.next_in = (z_const Bytef *)from;
    stream->zlib.avail_in = (uInt)count;
    stream->zlib.next_out = to;
    stream->zlib.avail_out = (uInt)room;
    return deflate(&stream->zlib, Z_FINISH) == Z_STREAM_END ? room - stream->zlib.avail_out : 0;
}

martlet_inflater *martlet_inflater_make(void) {
    martlet_inflater *stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->zlib.zalloc = give;
    stream->zlib.zfree = take_back;
    stream->zlib.opaque = &stream->is_ready;
    if (inflateInit2(&stream->zlib, -whole_window) != Z_OK) {
        free(stream);
        return NULL;
    }
    // A window is wanted only by a stream that goes on in another call, which ours never do.
    stream->is_ready = 1;
    return stream;
}

void martlet_inflater_free(martlet_inflater *stream) {
    inflateEnd(&stream->zlib);
    free(stream);
}

size_t martlet_inflate(martlet_inflater *stream, const uint8_t *from, size_t count, uint8_t *to, size_t room) {
    if (count > UINT_MAX || room > UINT_MAX || room == 0 || inflateReset(&stream->zlib) != Z_OK) return 0;
    stream->zlib.next_in = (z_const Bytef *)from;
    stream->zlib.avail_in = (uInt)count;
    stream->zlib.next_out = to;
    stream->zlib.avail_out = (uInt)room;
    return inflate(&stream->zlib, Z_FINISH) == Z_STREAM_END ? room - stream->zlib.avail_out : 0;
}
