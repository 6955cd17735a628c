// Host names.
#include "internal.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "CLinux.h"

int martlet_lookup_name(const char *name, uint8_t *addresses, int capacity) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(name, NULL, &hints, &found);
    if (result != 0) return result < 0 ? result : -result;
    int count = 0;
    for (struct addrinfo *each = found; each && count < capacity; each = each->ai_next) {
        uint8_t *place = addresses + 16 * count;
        if (each->ai_family == AF_INET) {
            memset(place, 0, 10);
            memset(place + 10, 0xff, 2);
            memcpy(place + 12, &((struct sockaddr_in *)each->ai_addr)->sin_addr, 4);
        } else if (each->ai_family == AF_INET6) {
            memcpy(place, &((struct sockaddr_in6 *)each->ai_addr)->sin6_addr, 16);
        } else {
            continue;
        }
        count += 1;
    }
    freeaddrinfo(found);
    return count;
}

const char *martlet_lookup_error(int error) { return gai_strerror(error); }
