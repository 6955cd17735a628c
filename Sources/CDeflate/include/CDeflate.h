// Raw DEFLATE (RFC 1951) by the system's zlib, a packet at a time: all memory is had when a stream is made, and never
// again, whatever comes out of the network.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

typedef struct martlet_deflater martlet_deflater;
typedef struct martlet_inflater martlet_inflater;

// Null when there is no memory. Distances reach back 2,048 octets at most: Linux's own decompressor knows no farther.
martlet_deflater *_Nullable martlet_deflater_make(void);
void martlet_deflater_free(martlet_deflater *stream);

// Compresses `count` octets into `room` octets at `to`, and returns how many they became; 0 when there is no room.
size_t martlet_deflate(martlet_deflater *stream, const uint8_t *from, size_t count, uint8_t *to, size_t room);

// Null when there is no memory. Distances may reach as far as DEFLATE can say.
martlet_inflater *_Nullable martlet_inflater_make(void);
void martlet_inflater_free(martlet_inflater *stream);

// Decompresses one whole stream into `room` octets at `to`, and returns how many it became; 0 when it is damaged, has
// no end, is empty, or has no room. What follows its end is not looked at.
size_t martlet_inflate(martlet_inflater *stream, const uint8_t *from, size_t count, uint8_t *to, size_t room);

#pragma clang assume_nonnull end
