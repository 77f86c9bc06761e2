/* The wall clock of one process, moved by a test: the time of day is the system's plus what the file STEPPED_CLOCK holds,
 * nanoseconds as a number of 64 bits. Waits for a time of day end by the moved clock, as they do when an operator steps
 * the system's: a step back prolongs them. The monotonic clock is left alone, as a step leaves it alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define SLICE (10 * 1000000LL)

static volatile int64_t *offset;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("STEPPED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) offset = mapped;
}

static int64_t nanos(const struct timespec *time) { return time->tv_sec * SECOND + time->tv_nsec; }

static void set(struct timespec *time, int64_t at) {
    time->tv_sec = at / SECOND;
    time->tv_nsec = at % SECOND;
}

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (syscall(SYS_clock_gettime, clock, time) != 0) return -1;
    if (offset && is_wall(clock)) set(time, nanos(time) + *offset);
    return 0;
}

static int64_t wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanos(&now);
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    int64_t now = wall();
    time->tv_sec = now / SECOND;
    time->tv_usec = now % SECOND / 1000;
    return 0;
}

time_t time(time_t *out) {
    time_t now = wall() / SECOND;
    if (out) *out = now;
    return now;
}

int timespec_get(struct timespec *time, int base) {
    if (base != TIME_UTC || clock_gettime(CLOCK_REALTIME, time) != 0) return 0;
    return base;
}

/* In slices, so that a step is seen. That it returns early and without cause is allowed to a wait for a condition. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    int64_t left = nanos(until) - wall();
    if (left <= 0) return ETIMEDOUT;
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    set(&soon, nanos(&soon) + (left < SLICE ? left : SLICE));
    int ended = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &soon);
    return ended == ETIMEDOUT ? 0 : ended;
}

/* C11's, which librdkafka uses: in glibc the same structures under other names. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    int ended = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return ended == 0 ? thrd_success : ended == ETIMEDOUT ? thrd_timedout : thrd_error;
}
