/* The floor that checks are measured against: what the same probes cost in plain C.
 *
 * loop KIND TARGETS SECONDS PORT: every target (127.0.x.y, PORT) once a second, spread evenly; KIND
 * is tcp (connect, close), http (GET over a fresh connection, the status line read) or keep (the
 * same over a connection that is kept). One epoll set, edge-triggered, registered once; like the
 * worker it starts what is due every 10 ms. After 2 s of warming up it counts for SECONDS and prints
 * one line of JSON: checks, how many were good, and its own processor time. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GRAIN_MS 10
#define EVENTS 64
#define WARM_UP 2.0

struct probe {
    struct sockaddr_in to;
    double at;
    int fd, busy, sent;
};

static int epoll_fd, keep, tcp;
static long done, good;
static char request[256];
static size_t request_size;

static double clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void finish(struct probe *p, int ok)
{
    done++;
    good += ok;
    p->busy = 0;
    if (!keep || !ok) {
        close(p->fd);
        p->fd = -1;
    }
}

static void ask(struct probe *p)
{
    p->sent = 1;
    if (send(p->fd, request, request_size, MSG_NOSIGNAL) < 0)
        finish(p, 0);
}

static void start(struct probe *p)
{
    p->busy = 1;
    p->sent = 0;
    if (p->fd >= 0) {
        ask(p);
        return;
    }
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(p->fd, (struct sockaddr *)&p->to, sizeof p->to) < 0 && errno != EINPROGRESS) {
        finish(p, 0);
        return;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = p};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &e);
}

static void ready(struct probe *p, unsigned events)
{
    char answer[4096];

    if (!p->busy) {
        if (p->fd >= 0 && (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))) {
            close(p->fd);
            p->fd = -1;
        }
        return;
    }
    if (events & EPOLLERR) {
        finish(p, 0);
        return;
    }
    if (tcp) {
        finish(p, 1);
        return;
    }
    if (!p->sent)
        ask(p);
    if (p->busy && (events & (EPOLLIN | EPOLLRDHUP))) {
        ssize_t size = recv(p->fd, answer, sizeof answer, 0);
        finish(p, size > 12 && !memcmp(answer, "HTTP/1.1 200", 12));
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct rlimit limit;

    if (argc != 5)
        return 64;
    tcp = !strcmp(argv[1], "tcp");
    keep = !strcmp(argv[1], "keep");
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]), now = clock_of(CLOCK_MONOTONIC), began = now, cpu = -1;
    request_size = snprintf(request, sizeof request,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: loop\r\nAccept: */*\r\n%s\r\n",
        keep ? "" : "Connection: close\r\n");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct probe *probes = calloc(count, sizeof *probes);
    for (int i = 0; i < count; i++) {
        probes[i].to.sin_family = AF_INET;
        probes[i].to.sin_port = htons(atoi(argv[4]));
        probes[i].to.sin_addr.s_addr = htonl(0x7f000000 + (i / 250 << 8) + i % 250 + 1);
        probes[i].at = now + (double)i / count;
        probes[i].fd = -1;
    }
    for (int next = 0; now < began + WARM_UP + seconds; now = clock_of(CLOCK_MONOTONIC)) {
        if (cpu < 0 && now >= began + WARM_UP) {
            cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
            done = good = 0;
        }
        for (; probes[next].at <= now; next = (next + 1) % count) {
            probes[next].at += 1;
            if (!probes[next].busy)
                start(&probes[next]);
        }
        int wait = (probes[next].at - now) * 1000 + 1;
        int ready_now = epoll_wait(epoll_fd, events, EVENTS, wait < GRAIN_MS ? GRAIN_MS : wait);
        for (int i = 0; i < ready_now; i++)
            ready(events[i].data.ptr, events[i].events);
    }
    printf("{\"checks\": %ld, \"good\": %ld, \"cpu_s\": %.6f}\n", done, good,
        clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
