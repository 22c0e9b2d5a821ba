/* This computer as a board: bytes over standard input and output, or over the TCP connection named by the
 * environment variable THUMBNET_LINK=HOST:PORT (numeric host). The program ends when the other side does.
 * A fault is a signal, which ends the program too: nothing calls hal_fault(). */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hal.h"

static int in_fd = STDIN_FILENO;
static int out_fd = STDOUT_FILENO;
static struct timespec start;

static __attribute__((noreturn)) void give_up(const char *what)
{
    (void)fprintf(stderr, "thumbnet device: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void connect_to(const char *link)
{
    char host[64];
    const char *colon = strrchr(link, ':');
    const size_t length = colon == NULL ? 0 : (size_t)(colon - link);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    errno = EINVAL;
    if (length == 0 || length >= sizeof host)
        give_up("THUMBNET_LINK is not HOST:PORT");
    memcpy(host, link, length);
    host[length] = '\0';
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        give_up("THUMBNET_LINK is not HOST:PORT");
    in_fd = out_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (in_fd < 0 || connect(in_fd, (const struct sockaddr *)&address, sizeof address) != 0)
        give_up("cannot connect to THUMBNET_LINK");
}

void hal_init(void)
{
    const char *link = getenv("THUMBNET_LINK");
    (void)signal(SIGPIPE, SIG_IGN); /* hal_write() sees the error */
    if (link != NULL && link[0] != '\0')
        connect_to(link);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
}

static int readable(int timeout_ms)
{
    struct pollfd wanted = {.fd = in_fd, .events = POLLIN, .revents = 0};
    int ready;
    do {
        ready = poll(&wanted, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

size_t hal_read(uint8_t *bytes, size_t capacity)
{
    if (capacity == 0 || !readable(0))
        return 0;
    const ssize_t count = read(in_fd, bytes, capacity);
    if (count <= 0)
        exit(EXIT_SUCCESS);
    return (size_t)count;
}

void hal_write(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(out_fd, bytes, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            exit(EXIT_SUCCESS);
        bytes += count;
        size -= (size_t)count;
    }
}

void hal_wait(void)
{
    (void)readable(-1);
}

uint32_t hal_rx_lost(void)
{
    return 0;
}

uint64_t hal_ticks(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t seconds = (int64_t)now.tv_sec - (int64_t)start.tv_sec;
    return (uint64_t)(seconds * 1000000000 + now.tv_nsec - start.tv_nsec);
}

uint32_t hal_ticks_hz(void)
{
    return 1000000000u;
}

void hal_paint_stack(void)
{
}

size_t hal_stack_used(void)
{
    return 0;
}

size_t hal_stack_size(void)
{
    return 0;
}
